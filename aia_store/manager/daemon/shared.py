"""What the daemon's tasks share: the settings, the store, the watches, the log and the supervisor."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import partial
from typing import Any

from ...inside.settings import Settings
from . import state
from .daemon_lock import Keeper
from .journal import Journal
from .schedule import Burst
from .sd_notify import Supervisor
from .wakeup import Bell
from .watch_list import Lookout
from .watching import Watcher

QUIET, LONGEST_BURST = 0.3, 1.5  # seconds; a trust manager causes thousands of events in a row


class Shared:
    """A change of the configuration replaces `settings` and `lookout`. Everything else lives as long as the daemon."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        """Raises StoreError if the store cannot be written, DaemonError if another daemon already holds its lock."""
        self.settings = settings
        self.journal = journal
        self.supervisor = Supervisor()
        self.keeper = Keeper(settings)
        self.bell = Bell()
        self.changes = Burst(QUIET, LONGEST_BURST)  # changes of watched files
        self.arrivals = Burst(QUIET, LONGEST_BURST)  # new files in the hand-in folder
        self.look_at = 0.0  # when to look at the files if no event comes before, on the monotonic clock
        self.lookout = self._new_lookout()
        before = state.read(self.keeper.home)
        refreshed = before.refreshed if before is not None else None
        self.state = state.DaemonState(os.getpid(), state.process_mark(), time.time(), "", refreshed)

    def use(self, settings: Settings) -> None:
        """Use other settings. If this fails, nothing changes; raises what the constructor raises."""
        self.keeper.move(settings)
        self.settings = settings
        self.lookout.watcher.stop()
        self.lookout = self._new_lookout()

    def see_change(self) -> None:
        """Note that a watched file may have changed. Any thread may call this."""
        self._hint(self.changes)

    def note(self, **news: Any) -> None:
        """Replace these fields of the daemon's state, which `tell` reports."""
        self.state = self.state._replace(**news)

    def tell(self) -> None:
        """Report the state to the supervisor and `aia-store status`."""
        self.note(watching=self.lookout.watcher.method)
        if self.state.last is not None:
            self.supervisor.status(f"{self.state.last.action}: {self.state.last.outcome}")
        if self.keeper.holds():  # otherwise another daemon may be reporting its own state there
            with suppress(OSError):  # the log says why
                state.write(self.keeper.home, self.state)

    def _new_lookout(self) -> Lookout:
        say = partial(self.journal.say, "watch")
        return Lookout(self.settings, Watcher(self.see_change, partial(self._hint, self.arrivals), say))

    def _hint(self, burst: Burst) -> None:
        burst.hint(time.monotonic())
        self.bell.ring()
