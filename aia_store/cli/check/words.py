"""What a finding comes to, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ... import probe
    from ...der import Certificate


def source_of(certificate: Certificate, finding: probe.Finding) -> str:
    """Where a certificate of the path came from, in words."""
    if certificate == finding.chain.leaf or certificate in finding.chain.sent:
        return "sent"
    if finding.path is not None and certificate in finding.path.sources:
        return f"fetched from {output.harmless(finding.path.sources[certificate])}"
    return "from the store" if certificate in finding.stored else "trusted here"


def fault_of(certificate: Certificate, finding: probe.Finding) -> str:
    if certificate in finding.revoked:
        return f"revoked {output.harmless(finding.revoked[certificate])}"
    if not certificate.validity[0] <= finding.chain.now <= certificate.validity[1]:
        return "out of its time"
    if certificate.is_self_signed:
        return "self-signed" if certificate == finding.chain.leaf else "a root, which clients do not need"
    return "not needed"


def verdict(finding: probe.Finding, *, offline: bool) -> Iterator[str]:
    """What it comes to, in words, and what to do."""
    if finding.hangs_on_revoked:
        for certificate in finding.revoked:
            yield f"Revoked: {output.subject(certificate)}, {output.harmless(finding.revoked[certificate])}."
        if finding.refusal is None:
            yield "Programs that do not look at revocation connect all the same; browsers do not."
        yield "Its owner needs a certificate from another intermediate."
        return
    if finding.refusal is None:
        yield "Complete: every client that trusts the root can connect."
        return
    if finding.path is None:
        if finding.chain.is_hopeless():
            yield f"Broken: {finding.refusal}. The chain is not what is wrong."
            yield _remedy(finding)
            return
        yield f"Broken: {finding.refusal}. No path to a trust anchor was found."
        if not output.ca_issuers(finding.chain.leaf):
            yield "The certificate names no URL of its issuer (AIA) that can be read, so nobody can look it up."
        elif offline:
            yield "Nothing was fetched: AIA_STORE_OFFLINE is set."
        return
    count = len(finding.missing)
    if finding.completed_refusal is not None and not count:
        yield f"Broken: {finding.completed_refusal}. The chain is not what is wrong."
        yield _remedy(finding)
        return
    if finding.completed_refusal is not None:
        yield f"Broken: {finding.completed_refusal}. Besides, intermediates are missing: {count}."
    elif count:
        yield f"Incomplete: {count} intermediate{'s' * (count > 1)} must be looked up ({finding.refusal})."
    else:
        yield f"Wrong: a certificate that is sent stands in the way of the right one ({finding.refusal})."
    if finding.completed_refusal is None:
        yield "Browsers do that, and Python under the hook; curl, git, Node and plain Python refuse this server."
    yield f"Its owner should install the full chain: aia-store check {finding.address} --fullchain FILE"


def _remedy(finding: probe.Finding) -> str:
    """What to do where the chain is not what is wrong."""
    leaf, now = finding.chain.leaf, finding.chain.now
    if leaf.validity[1] < now:
        return f"Its owner should renew the certificate, which ended on {output.day(leaf.validity[1])}."
    if leaf.validity[0] > now:
        return f"The certificate begins on {output.day(leaf.validity[0])}; is the clock of this machine right?"
    if leaf.is_self_signed:
        return "Its owner should get a certificate from a CA; until then, clients must be given this one to trust."
    return f"Its owner should get a certificate that is good for {output.harmless(finding.host)}."
