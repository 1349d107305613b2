"""What an answer comes to in one line, and many of them in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...check import Fault
from ...manager.words import counted
from .. import output
from .answer import Result
from .phrases import names_of

if TYPE_CHECKING:
    from collections import Counter

    from .answer import Answer

MOST_LISTED = 3  # intermediates named in one line


def headline(answer: Answer) -> str:
    """One line without the host: what it comes to."""
    finding = answer.finding
    if finding is None:
        return "could not be asked"
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
    """How many hosts came to what."""
    words = {
        Result.COMPLETE: "complete",
        Result.ENDING: "ending soon",
        Result.INCOMPLETE: "incomplete",
        Result.BROKEN: "broken",
        Result.COULD_NOT_TELL: "could not be asked",
    }
    parts = [f"{results[result]:,} {words[result]}" for result in Result if results[result]]
    return f"{results.total():,} hosts: {', '.join(parts)}."
