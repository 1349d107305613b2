"""The daemon's tasks. Each one decides when it is due, what it does, how long it may take, and what follows.

The loop calls a task's `run` at its `due_at`, which is on the monotonic clock (infinity: never). `Look` examines the
watched files, also the configuration, and lets each other task decide when to act. The others work in child processes.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from ...inside import ownership, toml  # noqa: F401  # loaded now, to read the settings later even if our files are gone
from ...inside import settings as config
from ...inside.store import StoreError
from .. import published
from .daemon_lock import DaemonError
from .job import Job, end
from .schedule import HOUR, Pause, next_refresh
from .shared import Shared
from .state import Last
from .watch_list import configuration
from .work import Outcome

LOOKS_EVERY = 60.0  # seconds between looks at the files, in case an event was missed
HANDINS_APART = 2.0  # seconds, so that a user who hands in all the time does not keep us busy
BUILDS_APART = 3.0  # seconds between two builds, unless the trust anchors changed
REFRESH_AFTER_CHANGE = 60.0  # seconds after the trust anchors change, to drop what lost its root
FIRST_RETRY, LONGEST_RETRY = 2.0, 600.0  # seconds
FIRST_RETRY_OF_REFRESH, LONGEST_RETRY_OF_REFRESH = 60.0, 3600.0


class Work(ABC):
    """A task whose work is done by a child process, one at a time."""

    action: ClassVar[str]
    seconds: ClassVar[float]  # how long the child may take
    ends_with_us: ClassVar[bool] = False  # see `Job`

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.job: Job | None = None  # the child that is working

    @property
    def due_at(self) -> float:
        """When to call `run`: to start a child, at the deadline of a running child, or 0 (at once) if one has ended."""
        if self.job is None:
            return self.starts_at()
        return 0.0 if self.job.is_over else self.job.deadline

    @abstractmethod
    def starts_at(self) -> float:
        """When to start a child, on the monotonic clock."""

    @abstractmethod
    def follow(self, outcome: Outcome) -> None:
        """Plan the next start, by the outcome of the last child process."""

    def look(self) -> None:  # noqa: B027  # not everything depends on files
        """Plan anew, because the files may have changed."""

    def restart(self) -> None:  # noqa: B027
        """Plan anew, because the settings have changed."""

    def run(self) -> None:
        """Start a child process. If there is one already, handle its outcome if it has ended, or else end it."""
        if self.job is None:
            self.start()
        elif self.job.is_over:
            outcome, self.job = self.job.outcome(), None
            self._finish(outcome)
        else:
            end([self.job])

    def start(self) -> None:
        shared = self._shared
        try:
            deadline = time.monotonic() + self.seconds
            self.job = Job(self.action, shared.settings, deadline, shared.bell.ring, ends_with_us=self.ends_with_us)
        except OSError as error:
            self._finish(Outcome(True, f"no process can be started ({error.strerror})", []))

    def report(self, outcome: Outcome) -> None:
        """Write an outcome for `aia-store status`, and then log it: a reader of the log may run `status` at once."""
        shared = self._shared
        shared.note(last=Last(self.action, time.time(), outcome.message, outcome.failed))
        shared.tell()
        for line in outcome.details:
            shared.journal.say(self.action, line)
        shared.journal.say(self.action, outcome.message, failed=outcome.failed)

    def _finish(self, outcome: Outcome) -> None:
        if not outcome.failed:
            self._shared.look_at = 0.0  # the files may have changed meanwhile
        self.follow(outcome)
        self.report(outcome)


class Build(Work):
    """Builds the bundle: at once if the trust anchors have changed, else after a short pause since the last build."""

    action, seconds = "build", 120.0

    def __init__(self, shared: Shared, refresh: Refresh) -> None:
        super().__init__(shared)
        self._refresh = refresh
        self._pause = Pause(BUILDS_APART, FIRST_RETRY, LONGEST_RETRY)
        self._built_from: object = None  # the state of the trust anchors at the start of the last build
        self._trust_changed = False  # whether the trust anchors changed between the last two builds
        self._must_build = True  # whether to build even if the bundle is fresh
        self._is_due = True

    def starts_at(self) -> float:
        return 0.0 if self._is_due else float("inf")

    def look(self) -> None:
        """Plan a build if the bundle is not up to date. In the pause after a build, look again when the pause ends."""
        shared = self._shared
        if self.job is not None:
            return  # at its end, this is called again
        if shared.lookout.trust() != self._built_from:
            self._is_due = True
        elif self._must_build or not published.are_fresh(shared.settings, shared.keeper.home):
            self._is_due = time.monotonic() >= self._pause.until
            if not self._is_due:
                shared.look_at = min(shared.look_at, self._pause.until)

    def restart(self) -> None:
        self._must_build = True
        self._pause.succeeded(-BUILDS_APART)

    def start(self) -> None:
        trust = self._shared.lookout.trust()
        self._trust_changed = self._built_from not in (None, trust)
        self._built_from, self._is_due = trust, False
        super().start()

    def follow(self, outcome: Outcome) -> None:
        shared = self._shared
        self._must_build = outcome.failed
        is_fresh = not outcome.failed and published.are_fresh(shared.settings, shared.keeper.home)
        (self._pause.succeeded if is_fresh else self._pause.failed)(time.monotonic())
        if self._trust_changed and not outcome.failed:
            self._refresh.start_within(REFRESH_AFTER_CHANGE)
        shared.look_at = 0.0
        shared.supervisor.ready()  # services waited for a bundle, and now there is one if there can be


class Collect(Work):
    """Takes the intermediates that users of this machine have handed in, into the machine's store."""

    action, seconds = "collect", 300.0

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._pause = Pause(HANDINS_APART, HANDINS_APART, LONGEST_RETRY)
        self._seen = shared.lookout.handins()

    def starts_at(self) -> float:
        return max(self._shared.arrivals.due_at, self._pause.until)

    def look(self) -> None:
        """Plan to collect if something was handed in and no event reported it."""
        found = self._shared.lookout.handins()
        if self.job is None and found != self._seen:
            self._seen = found
            self._shared.arrivals.hint(time.monotonic())

    def start(self) -> None:
        self._shared.arrivals.take(time.monotonic())
        super().start()

    def follow(self, outcome: Outcome) -> None:
        now = time.monotonic()
        (self._pause.failed if outcome.failed else self._pause.succeeded)(now)
        self._seen = self._shared.lookout.handins()
        if outcome.has_more:
            self._shared.arrivals.hint(now)


class Refresh(Work):
    """Does what `aia-store refresh` does, on a schedule in wall-clock time."""

    action, seconds = "refresh", 3600.0

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._pause = Pause(0, FIRST_RETRY_OF_REFRESH, LONGEST_RETRY_OF_REFRESH)
        self._wanted_at = float("inf")  # on the monotonic clock
        self.restart()

    def starts_at(self) -> float:
        return min(time.monotonic() + self._at - time.time(), self._wanted_at)

    def start_within(self, seconds: float) -> None:
        """Plan a new refresh within `seconds`: a running one may have read old files. A signal handler calls this."""
        self._wanted_at = min(self._wanted_at, time.monotonic() + seconds)
        self._note_next()

    def start(self) -> None:
        self._wanted_at = float("inf")
        super().start()

    def look(self) -> None:
        """Plan the next refresh anew if the clock was set back."""
        if self._at - time.time() > (self._shared.settings.refresh_hours + 1) * HOUR:
            self.restart()

    def restart(self) -> None:
        self._plan(next_refresh(self._shared.state.refreshed, self._shared.settings.refresh_hours, time.time()))

    def follow(self, outcome: Outcome) -> None:
        now = time.time()
        if outcome.failed:
            self._pause.failed(now)
            self._plan(self._pause.until)
        else:
            self._pause.succeeded(now)
            self._shared.note(refreshed=now)
            self.restart()

    def _plan(self, at: float) -> None:
        self._at = at  # seconds since 1970
        self._note_next()

    def _note_next(self) -> None:
        self._shared.note(next_refresh=time.time() + self.starts_at() - time.monotonic())


class Look:
    """Examines the watched files, including the configuration: after change events, and every minute."""

    def __init__(self, shared: Shared, works: Sequence[Work]) -> None:
        self._shared = shared
        self._works = works
        self._configured: object = configuration()

    @property
    def due_at(self) -> float:
        """When to look: soon after change events, and at least once a minute."""
        return min(self._shared.changes.due_at, self._shared.look_at)

    def reload(self) -> None:
        """At the next look, read the settings again, even if they are unchanged. A signal handler calls this."""
        self._configured = None
        self._shared.look_at = 0.0

    def run(self) -> None:
        """Examine the files, read changed settings, and let every task decide whether to act."""
        shared, now = self._shared, time.monotonic()
        shared.changes.take(now)
        shared.look_at = now + LOOKS_EVERY
        if shared.keeper.keep():
            shared.tell()
        if configuration() != self._configured:
            self._reload()
        shared.lookout.watch()
        for work in self._works:
            work.look()

    def _reload(self) -> None:
        """Read the settings; if they cannot be used, the old ones stay."""
        shared = self._shared
        shared.supervisor.reloading()
        self._configured = configuration()
        try:
            shared.use(config.load())
        except (config.ConfigError, StoreError, DaemonError) as error:
            shared.journal.say("reload", f"{error}; the settings stay as they were", failed=True)
        else:
            for work in self._works:
                work.restart()
            watching = shared.lookout.watch()
            shared.tell()
            shared.journal.say("reload", f"the settings were read again, {watching}")
        shared.supervisor.reloaded()
