"""A finding in words: as sentences with what to do, as one line, and in phrases that all output formats share."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

from ...check import MENDED_BY_CHAIN, Fault
from ...check import views as clients
from ...check.host_names import names
from ...manager.words import counted
from .. import output
from .answer import Result

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from ...check import Finding, Target
    from ...inside.certificate import Certificate
    from .answer import Answer

WORKS_IN = "Works in: "  # begins a sentence that the HTML page shows as a drawing instead
SOON = 15  # days; if a certificate expires within them, that is mentioned
MOST_LISTED = 3  # intermediates named in one line
MOST_NAMES = 4  # of a certificate, shown


def sentences(finding: Finding, expiry_days: int, *, offline: bool) -> Iterator[str]:
    """What is wrong and what to do; `expiry_days` is for how long the chain should last."""
    faults = finding.faults
    if not faults:
        yield from _complete(finding)
    elif Fault.REVOKED in faults:
        yield from _revoked(finding)
    elif Fault.NO_PATH in faults:
        yield from _without_path(finding, offline=offline)
    elif MENDED_BY_CHAIN.isdisjoint(faults):
        yield f"Broken: {output.harmless(finding.completed_refusal or '')}. The chain is not the problem."
        yield _remedy(finding)
    else:
        yield from _mended_by_chain(finding)
    for certificate in finding.links:
        days = finding.days_left(certificate)
        if 0 <= days < max(SOON, expiry_days):
            ends = output.day(certificate.validity[1])
            yield f"Ends soon: {output.subject(certificate)}, on {ends}, in {counted(days, 'day')}."


def _complete(finding: Finding) -> Iterator[str]:
    failing = [view for view in clients.of(finding) if not view.works]
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
        yield "Programs that do not check revocation connect anyway; browsers do not."
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
        yield f"{output.subject(last)} names no readable URL for its issuer (AIA), so nobody can look it up."
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
    working, failing = works_in(finding)
    if working:
        yield f"{WORKS_IN}{', '.join(working)}. Fails in: {', '.join(failing)}."
    yield f"Its owner should install the full chain: {command_for(finding.target)} --fullchain FILE"


def works_in(finding: Finding) -> tuple[list[str], list[str]]:
    """The clients that are expected to connect, and the others; versions of a client are merged if they agree."""
    found: tuple[list[str], list[str]] = [], []
    seen = clients.of(finding)
    for view in seen:
        agree = all(other.works == view.works for other in seen if other.family == view.family)
        side = found[0 if view.works else 1]
        name = view.family if agree else view.client
        if name not in side:
            side.append(name)
    return found


def _remedy(finding: Finding) -> str:
    """What to do if the chain is not the problem."""
    leaf = finding.chain.leaf
    fault = finding.faults[0]
    if fault is Fault.EXPIRED:
        return f"Its owner should renew the certificate, which expired on {output.day(leaf.validity[1])}."
    if fault is Fault.NOT_YET_VALID:
        return f"The certificate begins on {output.day(leaf.validity[0])}; is the clock of this machine right?"
    if fault is Fault.SELF_SIGNED:
        return "Its owner should get a certificate from a CA; until then, clients must be given this one to trust."
    wanted = output.harmless(finding.target.name)
    return f"Its owner should get a certificate that is valid for {wanted}; this one is for {names_of(leaf)}."


def headline(answer: Answer) -> str:
    """The result in one line, without the host."""
    finding = answer.finding
    if finding is None:
        return "could not be checked"
    faults = finding.faults
    leaf = finding.chain.leaf
    if not faults:
        return f"{answer.result}, for {counted(min(map(finding.days_left, finding.links)), 'more day')}"
    missing = [output.subject(certificate) for certificate in finding.missing]
    listed = ", ".join(missing[:MOST_LISTED]) + (", …" if len(missing) > MOST_LISTED else "")
    said = {
        Fault.REVOKED: f"revoked: {', '.join(map(output.subject, finding.revoked_links))}",
        Fault.EXPIRED: f"expired on {output.day(leaf.validity[1])}",
        Fault.NOT_YET_VALID: f"not valid before {output.day(leaf.validity[0])}",
        Fault.SELF_SIGNED: "self-signed",
        Fault.NO_PATH: f"no path to a trust anchor ({output.harmless(finding.refusal or '')})",
        Fault.WRONG_NAME: f"the certificate is for {names_of(leaf)}",
        Fault.INCOMPLETE: f"not sent: {listed}",
        Fault.OBSTRUCTED: "a certificate that is sent stands in the way of the right one",
    }
    return f"{answer.result}, {'; '.join(said[fault] for fault in faults)}"


def summary(results: Counter[Result]) -> str:
    """The number of hosts for each result."""
    words = {
        Result.COMPLETE: "complete",
        Result.ENDING: "ending soon",
        Result.INCOMPLETE: "incomplete",
        Result.BROKEN: "broken",
        Result.COULD_NOT_TELL: "could not be checked",
    }
    parts = [f"{results[result]:,} {words[result]}" for result in Result if results[result]]
    return f"{results.total():,} hosts: {', '.join(parts)}."


class Link(NamedTuple):
    """One certificate of the path, for output."""

    certificate: Certificate
    kind: str  # "anchor", "missing", "bad" or "sent"
    fault: str | None  # what is wrong if it is "bad", in words
    notes: list[str]  # how long it is valid, and whether it is revoked


def links(finding: Finding) -> Iterator[Link]:
    """The path, from the leaf upwards, as far as it is known."""
    for certificate in finding.drawn:
        fault = fault_of(certificate, finding)
        if finding.is_anchor(certificate) and certificate != finding.chain.leaf:
            kind = "anchor"
        elif certificate in finding.missing:
            kind = "missing"
        else:
            kind = "sent" if fault is None else "bad"
        notes = [lasting(certificate, finding), revocation_of(certificate, finding)]
        yield Link(certificate, kind, fault, list(filter(None, notes)))


def source_of(certificate: Certificate, finding: Finding) -> str:
    """Where a certificate of the path came from."""
    if certificate == finding.chain.leaf or certificate in finding.chain.sent:
        return "sent"
    if finding.path is not None and certificate in finding.path.sources:
        return f"fetched from {output.harmless(finding.path.sources[certificate])}"
    return "from the store" if certificate in finding.stored else "trusted here"


def fault_of(certificate: Certificate, finding: Finding) -> str | None:
    """What is wrong with a certificate; None if nothing is."""
    revoked = {**finding.revoked, **finding.revoked_links}
    if certificate in revoked:
        return f"revoked {output.harmless(revoked[certificate])}"
    if finding.is_anchor(certificate):
        return None
    if not certificate.is_valid_at(finding.chain.now):
        return "expired or not yet valid"
    if certificate == finding.chain.leaf:
        if certificate.is_self_signed:
            return "self-signed"
        return "for another name" if Fault.WRONG_NAME in finding.faults else None
    return "not trusted here" if certificate.is_self_signed else None


def uselessness(certificate: Certificate, finding: Finding) -> str:
    """Why a certificate that was sent or found is not part of the path."""
    how = "sent, but no part of the path" if certificate in finding.chain.sent else "found, but of no use"
    is_root = certificate.is_self_signed and certificate not in finding.revoked
    why = "a root, which clients do not need" if is_root else fault_of(certificate, finding) or "not needed"
    return f"{how}: {why}"


def lasting(certificate: Certificate, finding: Finding) -> str:
    """The end of its validity, and how many days are left."""
    days = finding.days_left(certificate)
    until = output.day(certificate.validity[1])
    return f"until {until} ({counted(days, 'day')})" if days >= 0 else f"until {until} (ended)"


def revocation_of(certificate: Certificate, finding: Finding) -> str:
    """What its issuer's CRL says, if it was read."""
    status = finding.asked.get(certificate)
    if status is None:
        return ""
    words = {True: f"REVOKED {status.reason}", False: "not revoked", None: f"not known if revoked: {status.reason}"}
    return output.harmless(words[status.is_revoked])


def names_of(leaf: Certificate) -> str:
    """The names that a leaf is valid for."""
    found = names(leaf)
    return ", ".join(map(output.harmless, found[:MOST_NAMES])) + (", …" if len(found) > MOST_NAMES else "") or "no host"


def command_for(target: Target) -> str:
    """The command that checks this host again, as a user types it."""
    words = ["aia-store", "check", target.address]
    for option, value in (
        ("--starttls", target.starttls),
        ("--servername", target.servername),
        ("--connect", ":".join(map(str, target.connect)) if target.connect is not None else None),
    ):
        words += [option, value] if value is not None else []
    return output.harmless(shlex.join(words))


def how_reached(target: Target) -> str:
    """How the host was reached, in words, if host and port do not say it all."""
    parts = []
    if target.starttls is not None:
        parts.append(f"STARTTLS ({target.starttls})")
    if target.servername is not None:
        parts.append(f"as {target.servername}")
    if target.connect is not None:
        parts.append(f"at {':'.join(map(str, target.connect))}")
    return output.harmless(", ".join(parts))
