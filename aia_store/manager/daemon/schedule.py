"""When what is due. Times are seconds; `now` is of the monotonic clock unless it says otherwise."""

from __future__ import annotations

import random

HOUR = 3600.0
SPREAD = 0.1  # of the time between two refreshes: not all machines ask the CAs at once
FIRST_REFRESH_WITHIN = 60.0


class Burst:
    """Many hints in a row are one: due when it has been quiet for a moment, or after the longest time to wait."""

    def __init__(self, quiet: float, longest: float) -> None:
        self._quiet, self._longest = quiet, longest
        self._first: float | None = None
        self._last = 0.0

    def hint(self, now: float) -> None:
        """Something happened."""
        self._first = now if self._first is None else self._first
        self._last = now

    @property
    def due_at(self) -> float:
        """When to act; infinity while nothing has happened."""
        return float("inf") if self._first is None else min(self._last + self._quiet, self._first + self._longest)

    def take(self, now: float) -> bool:
        """Whether it is time to act; if so, it starts over."""
        if now < self.due_at:
            return False
        self._first = None
        return True


class Pause:
    """The time to leave between two attempts: short after a success, doubling from failure to failure."""

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


def next_refresh(last: float | None, hours: int, now: float) -> float:
    """When the next refresh is due, by the clock on the wall: `hours` after the last, spread a little.

    Soon where there was none, where it is overdue, or where the clock was turned back behind the last one.
    """
    soon = now + random.uniform(0.1, 1) * FIRST_REFRESH_WITHIN
    if last is None or last > now:
        return soon
    return max(soon, last + hours * HOUR * random.uniform(1 - SPREAD, 1))
