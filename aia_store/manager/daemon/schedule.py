"""When things are due. Times are in seconds; `now` is on the monotonic clock unless a docstring says otherwise."""

from __future__ import annotations

import random

HOUR = 3600.0
SPREAD = 0.1  # how far refreshes may come early, as a fraction, so that not all machines ask the CAs at once
FIRST_REFRESH_WITHIN = 60.0


class Burst:
    """Merges events that come in a row. It is due `quiet` seconds after the last, at most `longest` after the first."""

    def __init__(self, quiet: float, longest: float) -> None:
        self._quiet, self._longest = quiet, longest
        self._first: float | None = None
        self._last = 0.0

    def hint(self, now: float) -> None:
        self._first = now if self._first is None else self._first
        self._last = now

    @property
    def due_at(self) -> float:
        """When to act; infinity if nothing has happened."""
        return float("inf") if self._first is None else min(self._last + self._quiet, self._first + self._longest)

    def take(self, now: float) -> bool:
        """Whether it is time to act. If so, the burst is over, and the next event begins another."""
        if now < self.due_at:
            return False
        self._first = None
        return True


class Pause:
    """The time between two attempts: short after a success, doubling with each failure."""

    def __init__(self, after_success: float, first: float, longest: float) -> None:
        self._after_success, self._first, self._longest = after_success, first, longest
        self._failures = 0
        self.until = 0.0

    def succeeded(self, now: float) -> None:
        self._failures = 0
        self.until = now + self._after_success

    def failed(self, now: float) -> None:
        self.until = now + min(self._first * 2.0 ** min(self._failures, 30), self._longest)
        self._failures += 1


def jittered(seconds: float) -> float:
    """A random time from 0 to twice as many seconds, so that machines that started together spread out."""
    return random.uniform(0, 2 * seconds)


def next_refresh(last: float | None, hours: int, now: float) -> float:
    """When the next refresh is due: `hours` after the last, or up to 10 % earlier. Times are in seconds since 1970.

    It is due within a minute if there was none, if it is overdue, or if `last` is after `now` (the clock was set back).
    """
    soon = now + random.uniform(0.1, 1) * FIRST_REFRESH_WITHIN
    if last is None or last > now:
        return soon
    return max(soon, last + hours * HOUR * random.uniform(1 - SPREAD, 1))
