"""The manager's loop: it waits for a change, a time or a signal, looks what is to be done, and has it done."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ...inside import settings as config
from ...inside.store import StoreError
from .. import bundle
from . import state
from .bell import Bell
from .job import Job, end
from .keeper import DaemonError, Keeper
from .lookout import Lookout, configuration
from .outcome import Outcome
from .schedule import HOUR, Burst, Pause, next_refresh
from .sd_notify import Supervisor
from .watching import Watcher

if TYPE_CHECKING:
    from ...inside.settings import Settings
    from .journal import Journal

LOOKS_EVERY = 60.0  # seconds: at the files themselves, should an event have been missed
QUIET, LONGEST_BURST = 0.3, 1.5  # seconds: a trust manager emits thousands of events in a row
HANDINS_APART = 2.0  # seconds: who hands in without end does not keep us busy
BUILDS_APART = 3.0  # seconds, unless the trust anchors changed
REFRESH_AFTER_CHANGE = 60.0  # seconds: what lost its root leaves the store too
FIRST_RETRY, LONGEST_RETRY = 2.0, 600.0  # seconds
FIRST_RETRY_OF_REFRESH, LONGEST_RETRY_OF_REFRESH = 60.0, 3600.0
LONGEST_WORK = {"build": 120.0, "collect": 300.0, "refresh": 3600.0}  # seconds


class Service:
    """One manager, for one store."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        """Raises StoreError where the store cannot be written, DaemonError where another manager keeps it."""
        self._settings = settings
        self._journal = journal
        self._supervisor = Supervisor()
        self._keeper = Keeper(settings)
        self._since = time.time()
        self._last: state.Last | None = None
        before = state.read(self._keeper.home)
        self._refreshed = before.refreshed if before is not None else None
        self._refresh_at = next_refresh(self._refreshed, settings.refresh_hours, time.time())
        self._refresh_pause = Pause(0, FIRST_RETRY_OF_REFRESH, LONGEST_RETRY_OF_REFRESH)

        self._bell = Bell()
        self._changed = self._arrived = self._stopping = self._reload_wanted = False
        self._changes = Burst(QUIET, LONGEST_BURST)
        self._handins = Burst(QUIET, LONGEST_BURST)
        self._handins_pause = Pause(HANDINS_APART, HANDINS_APART, LONGEST_RETRY)
        self._build_pause = Pause(BUILDS_APART, FIRST_RETRY, LONGEST_RETRY)
        self._look_at = 0.0
        self._jobs: dict[str, Job] = {}

        self._watcher = self._new_watcher()
        self._lookout = Lookout(settings, self._watcher)
        self._configured = configuration()
        self._built_from: object = None  # the trust anchors that the last build began with
        self._handins_seen: object = None
        self._must_build = True
        self._trust_moved = False
        self._is_ready = False

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; SIGHUP reads the settings again, SIGUSR1 refreshes at once.

        Raises DaemonError where another manager has taken the store.
        """
        threading.excepthook = self._on_broken_thread
        self._bell.ring_on_signals()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        if os.name == "posix":
            signal.signal(signal.SIGHUP, self._want_reload)
            signal.signal(signal.SIGUSR1, self._want_refresh)
        try:
            watching = self._lookout.watch()
            self._handins_seen = self._lookout.handins()
            self._journal.say("start", f"process {os.getpid()} keeps {self._keeper.home.path}, {watching}")
            self._start("build", time.monotonic())
            self._tell()
            while not self._stopping:
                self._bell.wait(self._next_time() - time.monotonic())
                self._turn(time.monotonic())
        finally:
            self._end()

    def _next_time(self) -> float:
        """When something is due, on the monotonic clock, should nothing happen before."""
        times = [self._look_at, self._changes.due_at, self._supervisor.ping_at]
        times += [job.deadline for job in self._jobs.values()]
        if "refresh" not in self._jobs:
            times.append(time.monotonic() + self._refresh_at - time.time())
        if "collect" not in self._jobs:
            times.append(max(self._handins.due_at, self._handins_pause.until))
        return min(times)

    def _turn(self, now: float) -> None:
        """Do what is due."""
        if self._stopping:
            return
        self._supervisor.ping(now)
        if self._changed:
            self._changed = False
            self._changes.hint(now)
        if self._arrived:
            self._arrived = False
            self._handins.hint(now)
        for job in list(self._jobs.values()):
            if job.is_over:
                del self._jobs[job.action]
                self._finished(job.action, job.outcome(), now)
            elif now > job.deadline:
                end([job])
        if self._reload_wanted:
            self._reload_wanted = False
            self._reload()
        if self._changes.take(now) or now >= self._look_at:
            self._check(now)
        if "collect" not in self._jobs and now >= self._handins_pause.until and self._handins.take(now):
            self._start("collect", now)
        if "refresh" not in self._jobs and time.time() >= self._refresh_at:
            self._start("refresh", now)

    def _check(self, now: float) -> None:
        """Look at the files: what changed is dealt with."""
        self._look_at = now + LOOKS_EVERY
        if self._keeper.keep():
            self._tell()
        if configuration() != self._configured:
            self._reload()
        self._lookout.watch()
        if self._lookout.handins() != self._handins_seen and "collect" not in self._jobs:
            self._handins_seen = self._lookout.handins()
            self._handins.hint(now)
        if self._refresh_at - time.time() > (self._settings.refresh_hours + 1) * HOUR:  # the clock was turned back
            self._refresh_at = next_refresh(self._refreshed, self._settings.refresh_hours, time.time())
        if "build" in self._jobs:
            return  # its end leads here again
        if self._lookout.trust() != self._built_from:
            self._start("build", now)
        elif self._must_build or not bundle.are_fresh(self._settings, self._keeper.home):
            if now >= self._build_pause.until:
                self._start("build", now)
            else:
                self._look_at = min(self._look_at, self._build_pause.until)

    def _start(self, action: str, now: float) -> None:
        if action == "build":
            trust = self._lookout.trust()
            self._trust_moved = self._built_from not in (None, trust)
            self._built_from = trust
        try:
            self._jobs[action] = Job(action, self._settings, now + LONGEST_WORK[action], self._bell.ring)
        except OSError as error:
            self._finished(action, Outcome(True, f"no process can be started ({error.strerror})", []), now)

    def _finished(self, action: str, outcome: Outcome, now: float) -> None:
        failed = outcome.failed
        for line in outcome.details:
            self._journal.say(action, line)
        self._journal.say(action, outcome.message, failed=failed)
        self._last = state.Last(action, time.time(), outcome.message, failed)
        if action == "build":
            self._after_build(failed, now)
        elif action == "refresh":
            self._after_refresh(failed)
        else:
            self._handins_pause.failed(now) if failed else self._handins_pause.succeeded(now)
            self._handins_seen = self._lookout.handins()
            if outcome.has_more:
                self._handins.hint(now)
        if not failed or action == "build":
            self._look_at = min(self._look_at, now)  # at what happened meanwhile
        self._tell()

    def _after_build(self, failed: bool, now: float) -> None:
        self._must_build = failed
        if failed or not bundle.are_fresh(self._settings, self._keeper.home):
            self._build_pause.failed(now)
        else:
            self._build_pause.succeeded(now)
        if self._trust_moved and not failed:
            self._refresh_at = min(self._refresh_at, time.time() + REFRESH_AFTER_CHANGE)
        if not self._is_ready:  # now whoever waited for us finds a bundle, if there can be one
            self._is_ready = True
            self._supervisor.ready()

    def _after_refresh(self, failed: bool) -> None:
        if failed:
            self._refresh_pause.failed(time.time())
            self._refresh_at = self._refresh_pause.until
        else:
            self._refresh_pause.succeeded(time.time())
            self._refreshed = time.time()
            self._refresh_at = next_refresh(self._refreshed, self._settings.refresh_hours, self._refreshed)

    def _reload(self) -> None:
        """Take the settings as they are now; where they cannot be used, those that there were stay."""
        self._supervisor.reloading()
        self._configured = configuration()
        try:
            settings = config.load()
            self._keeper.move(settings)
        except (config.ConfigError, StoreError, DaemonError) as error:
            self._journal.say("reload", f"{error}; the settings stay as they were", failed=True)
        else:
            self._settings = settings
            self._watcher.stop()
            self._watcher = self._new_watcher()
            self._lookout = Lookout(settings, self._watcher)
            self._refresh_at = next_refresh(self._refreshed, settings.refresh_hours, time.time())
            self._must_build = True
            self._build_pause.succeeded(-BUILDS_APART)
            self._journal.say("reload", f"the settings were read again, {self._lookout.watch()}")
            self._tell()
        self._look_at = 0.0
        if self._is_ready:
            self._supervisor.ready()

    def _tell(self) -> None:
        """Say to the supervisor and to `status` how things stand."""
        if self._last is not None:
            self._supervisor.status(f"{self._last.action}: {self._last.outcome}")
        with suppress(OSError):  # the log has said what is wrong there
            state.write(
                self._keeper.home,
                state.State(
                    os.getpid(),
                    state.process_mark(),
                    self._since,
                    self._watcher.method,
                    self._refreshed,
                    self._last,
                    self._refresh_at,
                ),
            )

    def _end(self) -> None:
        self._supervisor.stopping()
        end(list(self._jobs.values()))
        self._watcher.stop()
        self._keeper.release()
        self._journal.say("stop", f"process {os.getpid()} ends")

    def _new_watcher(self) -> Watcher:
        return Watcher(self._on_change, self._on_arrival, lambda message: self._journal.say("watch", message))

    def _on_change(self) -> None:
        self._changed = True
        self._bell.ring()

    def _on_arrival(self) -> None:
        self._arrived = True
        self._bell.ring()

    def _on_broken_thread(self, broken: threading.ExceptHookArgs) -> None:
        """A watch may have died: the files are looked at now, and every so often."""
        self._journal.say("watch", f"{broken.exc_type.__name__}: {broken.exc_value}", failed=True)
        self._on_change()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _want_reload(self, *_: object) -> None:
        self._reload_wanted = True

    def _want_refresh(self, *_: object) -> None:
        self._refresh_at = time.time()
