"""How much of a server's time its clients may use up: whoever can connect may try."""

from __future__ import annotations

import os
import time
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

PERIOD = 60.0  # seconds in which a spent allowance comes back


class Allowance:
    """So many seconds a minute, for what takes time or is to be rare; each use counts for at least `least`.

    A use that has begun may end, so the last ones can overdraw it. That counts too, up to as much again.
    """

    def __init__(self, seconds: float, least: float) -> None:
        self._most = seconds
        self._least = least
        self._left = seconds
        self._at = time.monotonic()
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        """A lock of this process: a forked child would wait for ever for what another thread held."""
        self._counting = RLock()  # reentrant, because a signal handler may shake hands too

    def use(self, work: Callable[[float], T]) -> T | None:
        """What the work returns, which is told how many seconds it may take; None where nothing is left."""
        began = time.monotonic()
        with self._counting:
            self._left = min(self._most, self._left + (began - self._at) * self._most / PERIOD)
            self._at = began
            if self._left <= 0:
                return None
            self._left -= self._least  # now, or a crowd that comes at once would be let in whole
        try:
            return work(self._most)
        finally:
            with self._counting:
                more = max(0.0, time.monotonic() - began - self._least)
                self._left = max(-self._most, self._left - more)
