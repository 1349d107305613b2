"""What the manager's tasks share: the settings, the store that is kept, what is watched, and who is told."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from . import state
from .bell import Bell
from .keeper import Keeper
from .lookout import Lookout
from .schedule import Burst
from .sd_notify import Supervisor
from .watching import Watcher

if TYPE_CHECKING:
    from typing import Any

    from ...inside.settings import Settings
    from .journal import Journal

QUIET, LONGEST_BURST = 0.3, 1.5  # seconds: a trust manager emits thousands of events in a row


class Shared:
    """The settings and the lookout change when the configuration does; all else lives as long as the manager."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        """Raises StoreError if the store cannot be written, DaemonError if another manager keeps it."""
        self.settings = settings
        self.journal = journal
        self.supervisor = Supervisor()
        self.keeper = Keeper(settings)
        self.bell = Bell()
        self.changes = Burst(QUIET, LONGEST_BURST)  # of files that matter
        self.arrivals = Burst(QUIET, LONGEST_BURST)  # in the hand-in folder
        self.look_at = 0.0  # when to look at the files if no change is seen before, on the monotonic clock
        self.lookout = self._new_lookout()
        before = state.read(self.keeper.home)
        refreshed = before.refreshed if before is not None else None
        self.state = state.DaemonState(
            os.getpid(), state.process_mark(), time.time(), self.lookout.method, refreshed, None, None
        )

    def use(self, settings: Settings) -> None:
        """Take other settings. Raises as the constructor does; then nothing has changed."""
        self.keeper.move(settings)
        self.settings = settings
        self.lookout.stop()
        self.lookout = self._new_lookout()

    def look_soon(self) -> None:
        """Have the files looked at as the next thing."""
        self.look_at = 0.0

    def see_change(self) -> None:
        """Something that matters may have changed; called by any thread."""
        self._hint(self.changes)

    def note(self, **news: Any) -> None:
        """Replace these fields of the state, for the next `tell`."""
        self.state = self.state._replace(**news)

    def tell(self) -> None:
        """Tell the supervisor and `aia-store status` how things stand."""
        self.note(watching=self.lookout.method)
        if self.state.last is not None:
            self.supervisor.status(f"{self.state.last.action}: {self.state.last.outcome}")
        with suppress(OSError):  # the log has said what is wrong there
            state.write(self.keeper.home, self.state)

    def _new_lookout(self) -> Lookout:
        watcher = Watcher(
            self.see_change, lambda: self._hint(self.arrivals), lambda message: self.journal.say("watch", message)
        )
        return Lookout(self.settings, watcher)

    def _hint(self, burst: Burst) -> None:
        burst.hint(time.monotonic())
        self.bell.ring()
