"""The daemon's loop: it waits until a task is due, something changes or a signal comes, and runs what is due."""

from __future__ import annotations

import os
import signal
import threading
import time

from ...inside.settings import Settings
from .fleet import HandIn, Listen, Share
from .job import end
from .journal import Journal
from .sd_notify import Supervisor
from .shared import Shared
from .tasks import Build, Collect, Look, Refresh, Work


class Service:
    """One daemon, for one store."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        """Raises StoreError if the store cannot be written, DaemonError if another daemon already holds its lock."""
        shared = self._shared = Shared(settings, journal)
        self._refresh = Refresh(shared)
        sharing = Share(shared), HandIn(shared), Listen(shared)
        self._works: list[Work] = [Build(shared, self._refresh), Collect(shared), self._refresh, *sharing]
        self._look = Look(shared, self._works)
        self._tasks: list[Supervisor | Work | Look] = [shared.supervisor, *self._works, self._look]
        self._is_stopping = False

    def run(self) -> None:
        """Work until SIGTERM or SIGINT. Raises DaemonError if another daemon has taken the store."""
        shared = self._shared
        threading.excepthook = self._on_broken_thread
        shared.bell.ring_on_signals()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        if os.name == "posix":
            signal.signal(signal.SIGHUP, lambda *_: self._look.reload())
            signal.signal(signal.SIGUSR1, lambda *_: self._refresh.start_within(0))
        try:
            watching = shared.lookout.watch()
            shared.tell()
            shared.journal.say("start", f"process {os.getpid()} manages {shared.keeper.home.path}, {watching}")
            while not self._is_stopping:
                shared.bell.wait(min(task.due_at for task in self._tasks) - time.monotonic())
                for task in self._tasks:
                    if not self._is_stopping and task.due_at <= time.monotonic():
                        task.run()
        finally:
            self._end()

    def _end(self) -> None:
        shared = self._shared
        shared.supervisor.stopping()
        end([work.job for work in self._works if work.job is not None])
        shared.lookout.watcher.stop()
        shared.keeper.release()
        shared.journal.say("stop", f"process {os.getpid()} ends")

    def _stop(self, *_: object) -> None:
        self._is_stopping = True

    def _on_broken_thread(self, broken: threading.ExceptHookArgs) -> None:
        """Log the exception that ended a thread, and look at the files now: the thread may have watched them."""
        self._shared.journal.say("watch", f"{broken.exc_type.__name__}: {broken.exc_value}", failed=True)
        self._shared.see_change()
