"""What is known of one host: a finding, or why there is none."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from ...check import MENDED_BY_CHAIN

if TYPE_CHECKING:
    from ...check import Finding, Target
    from ...inside.certificate import Certificate

COULD_NOT_TELL_STATUS = 2


class Result(str, Enum):
    """The result for a host, in the words of the JSON document."""

    __str__ = str.__str__

    COMPLETE = "complete"
    ENDING = "ending"  # complete, but not for as many days as --expiry-days
    INCOMPLETE = "incomplete"  # installing the full chain repairs it
    BROKEN = "broken"  # something else is wrong
    COULD_NOT_TELL = "could-not-tell"


class Answer(NamedTuple):
    """One host as it was named, and what was found. Either `finding` or `error` is set."""

    named: str
    target: Target | None  # None if the text names no host
    finding: Finding | None = None
    error: str | None = None  # one line
    expiry_days: int = 0  # how many days the chain must last

    @property
    def title(self) -> str:
        """The host in the usual form."""
        return self.target.address if self.target is not None else self.named

    @property
    def ending(self) -> list[Certificate]:
        """The links that expire within `expiry_days`."""
        return self.finding.ending_within(self.expiry_days) if self.finding is not None else []

    @property
    def result(self) -> Result:
        if self.finding is None:
            return Result.COULD_NOT_TELL
        faults = self.finding.faults
        if not faults:
            return Result.ENDING if self.ending else Result.COMPLETE
        return Result.INCOMPLETE if MENDED_BY_CHAIN.issuperset(faults) else Result.BROKEN


def exit_status(results: dict[Result, int]) -> int:
    """0: every chain is complete; 1: one is not; 2: one host could not be checked, and the others are complete.

    A definite no has priority: it stays true when the host that could not be checked is back.
    """
    if any(count for result, count in results.items() if result not in (Result.COMPLETE, Result.COULD_NOT_TELL)):
        return 1
    return COULD_NOT_TELL_STATUS if results[Result.COULD_NOT_TELL] else 0
