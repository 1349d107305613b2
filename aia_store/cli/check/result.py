"""The answer for one chain of a host or file: a finding or an error. Also the result and the exit status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from ...check.asked import FileTarget, Target
from ...check.finding import MENDED_BY_CHAIN, Finding
from ...inside.certificate import Certificate

SOON = 15  # days; if a certificate expires within them, that is mentioned


class Here(NamedTuple):
    """What the answers need to know of this machine."""

    roots_path: str  # where its trust anchors are
    anchor_path: str  # where one of them is
    offline: bool


class Result(str, Enum):
    """The result for a host, in the words of the JSON document."""

    __str__ = str.__str__

    COMPLETE = "complete"
    ENDING = "ending"  # complete, but not for as many days as --expiry-days
    INCOMPLETE = "incomplete"  # installing the full chain repairs it
    BROKEN = "broken"  # something else is wrong
    COULD_NOT_TELL = "could-not-tell"


_WORST_FIRST = (Result.BROKEN, Result.INCOMPLETE, Result.ENDING, Result.COULD_NOT_TELL, Result.COMPLETE)


class Answer(NamedTuple):
    """One host or file as the user named it, and what was found. After the check, `finding` or `error` is set.

    A host may send several chains: one for each kind of key, at each address. Each chain has its own answer.
    """

    named: str
    target: Target | FileTarget | None  # None if the text names neither
    finding: Finding | None = None
    error: str | None = None  # one line
    part: str = ""  # which of the host's chains this is, in words, if there are several
    expiry_days: int = 0  # how many days the chain must last
    requires_revocation: bool = False  # whether the CRL of each certificate must be available

    @property
    def title(self) -> str:
        """The host in the usual form, or the path."""
        return self.target.address if self.target is not None else self.named

    @property
    def full_title(self) -> str:
        """The host, and which of its chains this is."""
        return f"{self.title} ({self.part})" if self.part else self.title

    @property
    def ending(self) -> list[Certificate]:
        """The certificates that expire within `expiry_days`, among the leaf and the intermediates."""
        return self.finding.ending_within(self.expiry_days) if self.finding is not None else []

    @property
    def not_asked(self) -> list[Certificate]:
        """The leaf and the intermediates whose revocation status is required but unknown."""
        if self.finding is None or self.finding.path is None or not self.requires_revocation:
            return []
        asked = self.finding.asked
        return [link for link in self.finding.links if link not in asked or asked[link].is_revoked is None]

    @property
    def result(self) -> Result:
        if self.finding is None:
            return Result.COULD_NOT_TELL
        if faults := self.finding.faults:
            return Result.INCOMPLETE if MENDED_BY_CHAIN.issuperset(faults) else Result.BROKEN
        if self.ending:
            return Result.ENDING
        return Result.COULD_NOT_TELL if self.not_asked else Result.COMPLETE

    @property
    def tone(self) -> Result:
        """The result by which the answer is coloured: ENDING if a complete chain expires soon, otherwise `result`."""
        is_ending = self.result is Result.COMPLETE and self.finding is not None and self.finding.ending_within(SOON)
        return Result.ENDING if is_ending else self.result

    @property
    def rank(self) -> int:
        """A key that sorts answers, the worst first."""
        return _WORST_FIRST.index(self.result)


def worst(answers: Sequence[Answer]) -> Result:
    """The result for a host: the result of its worst chain."""
    return min(answers, key=lambda answer: answer.rank).result


def worst_tone(answers: Sequence[Answer]) -> Result:
    """The worst `tone` of a host's answers. In text and HTML, it decides how the host is coloured and counted."""
    return min((answer.tone for answer in answers), key=_WORST_FIRST.index)


def exit_status(results: Counter[Result]) -> int:
    """0: every chain is complete; 1: one is not; 2: one host could not be checked, and the others are complete.

    1 has priority over 2, because it is true whatever the host that could not be checked sends.
    """
    if any(count for result, count in results.items() if result not in (Result.COMPLETE, Result.COULD_NOT_TELL)):
        return 1
    return 2 if results[Result.COULD_NOT_TELL] else 0
