"""What is wrong, for people who run servers: one plain sentence for each host, and the causes that hosts share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...check import views as clients
from ...check.asked import FileTarget
from ...check.finding import Fault, Finding
from ...inside.certificate import Certificate
from ...inside.certificate_names import host_names
from ...manager.target import HTTPS
from ...manager.words import counted
from .. import output
from .advice import FAILURES, IF_STAPLED, MOST_LISTED, how_sent, names_of, source_of, works_in
from .result import Answer, Result

_WITH_HOOK = "with the hook"  # clients that only their own users know
_EVERYBODY = "every client that trusts the root can connect"
_NAMES = {"plain Python": "Python", "GnuTLS": "wget", "Windows": "programs on Windows"}  # as everybody knows them


class Cause(NamedTuple):
    """What several hosts have in common."""

    one: str  # what one host does, as in "lacks X CA"
    many: str  # what several do

    def of(self, count: int, noun: str) -> str:
        """As a sentence without its full stop: "12 hosts lack X CA"."""
        return f"{counted(count, noun)} {self.one if count == 1 else self.many}"


def sentence(answer: Answer) -> str:
    """What is wrong with a host, and who is turned away."""
    finding = answer.finding
    if finding is None:
        return f"{_capital(answer.error or '')}."
    who = _who(finding)
    faults = finding.faults
    if not faults:
        first = min(finding.links, key=finding.days_left)
        lasting = f"until {output.day(first.validity[1])}, for {counted(finding.days_left(first), 'more day')}"
        needed = "all that its clients need" if who == _EVERYBODY else "what most clients need"
        if_stapled = IF_STAPLED if who == _EVERYBODY and finding.must_staple else ""
        return f"{_name(finding)} {_verb(finding)}s {needed}, {lasting}: {who}{if_stapled}."
    return f"{_capital(_wrong(faults[0], finding))}: {who}."


def cause(answer: Answer) -> Cause:
    """The cause under which an overview lists a host."""
    finding = answer.finding
    if finding is None:
        return Cause("could not be checked", "could not be checked")
    faults = finding.faults
    if not faults:
        for_whom = "" if all(view.works for view in clients.of(finding)) else " for most clients"
        of_result = {
            Result.COMPLETE: Cause(f"is complete{for_whom}", f"are complete{for_whom}"),
            Result.ENDING: Cause("is complete, but not for long", "are complete, but not for long"),
            Result.COULD_NOT_TELL: Cause("may be revoked", "may be revoked"),
        }
        return of_result[answer.tone if answer.result is Result.COMPLETE else answer.result]
    if faults[0] is Fault.INCOMPLETE:
        names = _listed(finding.missing)
        return Cause(f"lacks {names}", f"lack {names}")
    if faults[0] is Fault.NO_PATH and finding.not_found is not None:
        name = output.short_name(finding.not_found)
        return Cause(f"leads to {name}, which is not known here", f"lead to {name}, which is not known here")
    return {
        Fault.HANDSHAKE: Cause("fails in the handshake", "fail in the handshake"),
        Fault.REVOKED: Cause("has a revoked certificate", "have revoked certificates"),
        Fault.LEAF_NOT_FIRST: Cause("begins with a certificate of a CA", "begin with a certificate of a CA"),
        Fault.EXPIRED: Cause("has a certificate that has expired", "have certificates that have expired"),
        Fault.NOT_YET_VALID: Cause(
            "has a certificate that is not valid yet", "have certificates that are not valid yet"
        ),
        Fault.SELF_SIGNED: Cause("has a self-signed certificate", "have self-signed certificates"),
        Fault.NO_PATH: Cause("leads to no root that is trusted here", "lead to no root that is trusted here"),
        Fault.REFUSED: Cause("has a path that OpenSSL refuses", "have paths that OpenSSL refuses"),
        Fault.ANCHOR_NOT_ROOT: Cause(
            "leads to a trusted certificate that is no root", "lead to trusted certificates that are no roots"
        ),
        Fault.WRONG_NAME: Cause("has a certificate for another name", "have certificates for other names"),
        Fault.ANCHOR_IN_THE_WAY: Cause("is hidden by a root of this machine", "are hidden by a root of this machine"),
        Fault.OBSTRUCTED: Cause("has a certificate too many", "have a certificate too many"),
    }[faults[0]]


def _wrong(fault: Fault, finding: Finding) -> str:
    name, leaf, last = _name(finding), finding.chain.leaf, finding.drawn[-1]
    its = f"the certificate of {name}"
    reason = output.harmless(finding.completed_refusal or finding.refusal or "")
    if fault is Fault.NO_PATH and finding.not_found is not None:
        issuer = output.short_name(finding.not_found)
        if finding.namesakes:
            where = source_of(finding.namesakes[0], finding)
            return f"{its} was issued by another {issuer} than the one that is {where}"
        return f"{its} leads to {issuer}, which is neither {how_sent(finding)} nor known here"
    if fault is Fault.WRONG_NAME and not host_names(leaf):
        return f"{its} names no host"
    if fault is Fault.INCOMPLETE:
        leads = "leads" if len(finding.missing) == 1 else "lead"
        return (
            f"{name} does not {_verb(finding)} {_listed(finding.missing)}, which {leads} from its certificate to a root"
        )
    return {
        Fault.HANDSHAKE: _failure(name, finding),
        Fault.REVOKED: f"the CA has revoked {_listed(list(finding.revoked_links))}, which {name} uses",
        Fault.LEAF_NOT_FIRST: f"{name} does not begin with the server's certificate",
        Fault.EXPIRED: f"{its} expired on {output.day(leaf.validity[1])}",
        Fault.NOT_YET_VALID: f"{its} is not valid before {output.day(leaf.validity[0])}",
        Fault.SELF_SIGNED: f"{its} is self-signed, so no CA vouches for it",
        Fault.NO_PATH: f"{its} leads to no root that clients trust",
        Fault.REFUSED: f"the path of {name} to {output.subject(last)} is not valid ({reason})",
        Fault.ANCHOR_NOT_ROOT: f"{its} leads to {output.subject(last)}, which is trusted here, but is no root",
        Fault.WRONG_NAME: f"{its} is for {names_of(leaf)}, not for {output.harmless(finding.target.name)}",
        Fault.ANCHOR_IN_THE_WAY: f"{name} is right, but a root that this machine trusts leads its programs astray",
        Fault.OBSTRUCTED: f"{name} {_verb(finding)}s a certificate too many, which leads clients astray",
    }[fault]


def _failure(name: str, finding: Finding) -> str:
    failure = finding.seen.failure or ""
    if finding.seen.weaknesses:
        return f"{name} is out of date, because {_all([one.meaning for one in finding.seen.weaknesses])}"
    meaning, _ = FAILURES.get(failure, (failure, ""))
    return f"no connection to {name} succeeds, because {output.harmless(meaning)}"


def _who(finding: Finding) -> str:
    """Who can connect, and who is turned away."""
    working, failing = (
        [
            _NAMES.get(name, name)
            for family in side
            for name in family.split(", ")  # as in "Chrome, Edge"
            if not name.endswith(_WITH_HOOK)
        ]
        for side in works_in(finding)
    )
    if not failing:
        return _EVERYBODY
    if not working:
        return "clients are turned away"
    return f"{_all(failing)} {'is' if len(failing) == 1 else 'are'} turned away, while {_all(working)} can connect"


def _name(finding: Finding) -> str:
    """The host as its visitors know it, or the file."""
    target = finding.target
    is_usual = not isinstance(target, FileTarget) and target.port == HTTPS
    return output.harmless(target.name if is_usual else target.address)


def _verb(finding: Finding) -> str:
    return "hold" if isinstance(finding.target, FileTarget) else "send"


def _listed(certificates: Sequence[Certificate]) -> str:
    names = [output.subject(certificate) for certificate in certificates]
    return _all([*names[:MOST_LISTED], "others"] if len(names) > MOST_LISTED else names)


def _all(names: Sequence[str]) -> str:
    """Join names for a sentence: "A, B and C". Without names, the result is empty."""
    *first, last = names or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _capital(text: str) -> str:
    """Capitalize a sentence, unless it begins with the name of a host or file, which has dots, a slash or a colon."""
    first = text.split(" ", 1)[0]
    return text if set(first) & set("./:") else text[:1].upper() + text[1:]
