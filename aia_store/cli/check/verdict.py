"""What a finding comes to, and what to do, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...check import MENDED_BY_CHAIN, Fault
from ...check.views import views
from ...manager.words import counted
from .. import output
from .phrases import command_for, names_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...check import Finding

WORKS_IN = "Works in: "  # so begins the sentence that a page draws instead
SOON = 15  # days before its end, from which on a certificate is spoken of


def verdict(finding: Finding, expiry_days: int, *, offline: bool) -> Iterator[str]:
    """The sentences; `expiry_days` is for how long the chain should last."""
    faults = finding.faults
    if not faults:
        yield from _complete(finding)
    elif Fault.REVOKED in faults:
        yield from _revoked(finding)
    elif Fault.NO_PATH in faults:
        yield from _without_path(finding, offline=offline)
    elif MENDED_BY_CHAIN.isdisjoint(faults):
        yield f"Broken: {output.harmless(finding.completed_refusal or '')}. The chain is not what is wrong."
        yield _remedy(finding)
    else:
        yield from _mended_by_chain(finding)
    for certificate in finding.links:
        days = finding.days_left(certificate)
        if 0 <= days < max(SOON, expiry_days):
            ends = output.day(certificate.validity[1])
            yield f"Ends soon: {output.subject(certificate)}, on {ends}, in {counted(days, 'day')}."


def _complete(finding: Finding) -> Iterator[str]:
    failing = [view for view in views(finding) if not view.works]
    if not failing:
        yield "Complete: every client that trusts the root can connect."
        return
    yield "Complete: nearly every client that trusts the root can connect."
    for reason in dict.fromkeys(view.why for view in failing):
        alike = ", ".join(view.client for view in failing if view.why == reason)
        yield f"But it fails in {alike}: {output.harmless(reason)}."


def _revoked(finding: Finding) -> Iterator[str]:
    for certificate, reason in finding.revoked_links.items():
        yield f"Revoked: {output.subject(certificate)}, {output.harmless(reason)}."
    if finding.refusal is None:
        yield "Programs that do not look at revocation connect all the same; browsers do not."
    if finding.chain.leaf in finding.revoked_links:
        yield "Its owner needs a new certificate."
    else:
        yield "Its owner needs a certificate from another intermediate."


def _without_path(finding: Finding, *, offline: bool) -> Iterator[str]:
    yield f"Broken: {output.harmless(finding.refusal or '')}. No path to a trust anchor was found."
    last = finding.drawn[-1]
    if finding.not_found is None:
        if not finding.is_anchor(last):
            yield f"It ends at {output.subject(last)}, a root that is not trusted here."
    elif not output.ca_issuers(last):
        yield f"{output.subject(last)} names no URL of its issuer (AIA) that can be read, so nobody can look it up."
    elif offline:
        yield "Nothing was fetched: AIA_STORE_OFFLINE is set."


def _mended_by_chain(finding: Finding) -> Iterator[str]:
    refusal = output.harmless(finding.refusal or "")
    count = len(finding.missing)
    if Fault.WRONG_NAME in finding.faults:
        remaining = output.harmless(finding.completed_refusal or "")
        yield f"Broken: {remaining}. Besides, intermediates are missing: {count}."
    elif Fault.INCOMPLETE in finding.faults:
        yield f"Incomplete: {counted(count, 'intermediate')} must be looked up ({refusal})."
    else:
        yield f"Wrong: a certificate that is sent stands in the way of the right one ({refusal})."
    working, failing = clients(finding)
    if working:
        yield f"{WORKS_IN}{', '.join(working)}. Fails in: {', '.join(failing)}."
    yield f"Its owner should install the full chain: {command_for(finding.target)} --fullchain FILE"


def clients(finding: Finding) -> tuple[list[str], list[str]]:
    """In which clients it is expected to work, and in which not; all versions of one together where they agree."""
    found: tuple[list[str], list[str]] = [], []
    seen = views(finding)
    for view in seen:
        agree = all(other.works == view.works for other in seen if other.family == view.family)
        side = found[0 if view.works else 1]
        name = view.family if agree else view.client
        if name not in side:
            side.append(name)
    return found


def _remedy(finding: Finding) -> str:
    """What to do where the chain is not what is wrong."""
    leaf = finding.chain.leaf
    fault = finding.faults[0]
    if fault is Fault.EXPIRED:
        return f"Its owner should renew the certificate, which ended on {output.day(leaf.validity[1])}."
    if fault is Fault.NOT_YET_VALID:
        return f"The certificate begins on {output.day(leaf.validity[0])}; is the clock of this machine right?"
    if fault is Fault.SELF_SIGNED:
        return "Its owner should get a certificate from a CA; until then, clients must be given this one to trust."
    wanted = output.harmless(finding.target.name)
    return f"Its owner should get a certificate that is good for {wanted}; this one is for {names_of(leaf)}."
