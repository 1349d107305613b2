"""The manager's tasks. Each one decides when it is due, what it does then, and what follows from the outcome.

`Look` looks at the files and then lets each of the others decide. `Reload` reads the settings again. For `Build`,
`Collect` and `Refresh`, a child process does the work.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol

from ...inside import settings as config
from ...inside.store import StoreError
from .. import bundle
from .job import Job, end
from .keeper import DaemonError
from .lookout import configuration
from .outcome import Outcome
from .schedule import HOUR, Pause, next_refresh
from .state import Last

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .shared import Shared

LOOKS_EVERY = 60.0  # seconds between looks at the files, in case an event was missed
HANDINS_APART = 2.0  # seconds, so that a user who hands in all the time does not keep us busy
BUILDS_APART = 3.0  # seconds between two builds, unless the trust anchors changed
REFRESH_AFTER_CHANGE = 60.0  # seconds after the trust anchors change, to drop what lost its root
FIRST_RETRY, LONGEST_RETRY = 2.0, 600.0  # seconds
FIRST_RETRY_OF_REFRESH, LONGEST_RETRY_OF_REFRESH = 60.0, 3600.0
NEVER = float("inf")


class Task(Protocol):
    """Something that the manager does when it is due."""

    @property
    def due_at(self) -> float:
        """When to run it, on the monotonic clock; infinity if it waits for something to happen."""

    def run(self) -> None:
        """Do what is due."""


class Work(ABC):
    """A task whose work is done by a child process, one at a time."""

    action: ClassVar[str]
    seconds: ClassVar[float]  # how long the child may take

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.job: Job | None = None  # the child that is working

    @property
    def due_at(self) -> float:
        """When to start a child; while there is one, when it has ended or must end."""
        if self.job is None:
            return self._starts_at
        return 0.0 if self.job.is_over else self.job.deadline

    def run(self) -> None:
        """Start a child, handle the outcome of one that has ended, or end one that takes too long."""
        if self.job is None:
            self._start()
        elif self.job.is_over:
            outcome, self.job = self.job.outcome(), None
            self._finish(outcome)
        else:
            end([self.job])

    def look(self) -> None:  # noqa: B027  # not everything depends on files
        """Decide, by the present files, when to start."""

    def restart(self) -> None:  # noqa: B027
        """Plan anew, because the settings have changed."""

    @property
    @abstractmethod
    def _starts_at(self) -> float:
        """When to start a child, on the monotonic clock."""

    def _note_start(self) -> None:  # noqa: B027
        """A child is about to be started."""

    @abstractmethod
    def _follow(self, outcome: Outcome) -> None:
        """Plan what follows from this outcome."""

    def _start(self) -> None:
        self._note_start()
        shared = self._shared
        try:
            self.job = Job(self.action, shared.settings, time.monotonic() + self.seconds, shared.bell.ring)
        except OSError as error:
            self._finish(Outcome(True, f"no process can be started ({error.strerror})", []))

    def _finish(self, outcome: Outcome) -> None:
        shared = self._shared
        for line in outcome.details:
            shared.journal.say(self.action, line)
        shared.journal.say(self.action, outcome.message, failed=outcome.failed)
        shared.note(last=Last(self.action, time.time(), outcome.message, outcome.failed))
        if not outcome.failed:
            shared.look_soon()  # the files may have changed meanwhile
        self._follow(outcome)
        shared.tell()


class Build(Work):
    """Publishes the bundle: at once when the trust anchors have changed, otherwise not too often."""

    action, seconds = "build", 120.0

    def __init__(self, shared: Shared, refresh: Refresh) -> None:
        super().__init__(shared)
        self._refresh = refresh
        self._pause = Pause(BUILDS_APART, FIRST_RETRY, LONGEST_RETRY)
        self._built_from: object = None  # the state of the trust anchors at the start of the last build
        self._trust_changed = False  # whether the trust anchors changed between the last two builds
        self._is_wanted = True  # whether to build even if the bundle is fresh
        self._at = 0.0

    @property
    def _starts_at(self) -> float:
        return self._at

    def look(self) -> None:
        """Build if the bundle does not match the present files. At the end of a running build, this is called again.

        During a pause, the files are looked at again when the pause ends.
        """
        shared = self._shared
        if self.job is not None:
            return
        if shared.lookout.trust() != self._built_from:
            self._at = 0.0
        elif self._is_wanted or not bundle.is_fresh(shared.settings, shared.keeper.home):
            if time.monotonic() >= self._pause.until:
                self._at = 0.0
            else:
                shared.look_at = min(shared.look_at, self._pause.until)

    def restart(self) -> None:
        self._is_wanted = True
        self._pause.succeeded(-BUILDS_APART)

    def _note_start(self) -> None:
        trust = self._shared.lookout.trust()
        self._trust_changed = self._built_from not in (None, trust)
        self._built_from = trust
        self._at = NEVER

    def _follow(self, outcome: Outcome) -> None:
        shared, now = self._shared, time.monotonic()
        self._is_wanted = outcome.failed
        if outcome.failed or not bundle.is_fresh(shared.settings, shared.keeper.home):
            self._pause.failed(now)
        else:
            self._pause.succeeded(now)
        if self._trust_changed and not outcome.failed:
            self._refresh.start_within(REFRESH_AFTER_CHANGE)
        shared.look_soon()
        shared.supervisor.ready()  # now there is a bundle, if there can be one, for services that waited


class Collect(Work):
    """Takes what users handed in."""

    action, seconds = "collect", 300.0

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._pause = Pause(HANDINS_APART, HANDINS_APART, LONGEST_RETRY)
        self._seen = shared.lookout.handins()

    @property
    def _starts_at(self) -> float:
        return max(self._shared.arrivals.due_at, self._pause.until)

    def look(self) -> None:
        """Collect if something was handed in without an event."""
        found = self._shared.lookout.handins()
        if self.job is None and found != self._seen:
            self._seen = found
            self._shared.arrivals.hint(time.monotonic())

    def _note_start(self) -> None:
        self._shared.arrivals.take(time.monotonic())

    def _follow(self, outcome: Outcome) -> None:
        now = time.monotonic()
        self._pause.failed(now) if outcome.failed else self._pause.succeeded(now)
        self._seen = self._shared.lookout.handins()
        if outcome.has_more:
            self._shared.arrivals.hint(now)


class Refresh(Work):
    """Verifies everything again, on schedule, in wall-clock time."""

    action, seconds = "refresh", 3600.0

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._pause = Pause(0, FIRST_RETRY_OF_REFRESH, LONGEST_RETRY_OF_REFRESH)
        self.restart()

    @property
    def _starts_at(self) -> float:
        return time.monotonic() + self._at - time.time()

    def start_within(self, seconds: float) -> None:
        """Refresh within so many seconds, if no refresh is due before."""
        self._plan(min(self._at, time.time() + seconds))

    def look(self) -> None:
        """Plan anew if the clock was set back."""
        if self._at - time.time() > (self._shared.settings.refresh_hours + 1) * HOUR:
            self.restart()

    def restart(self) -> None:
        self._plan(next_refresh(self._shared.state.refreshed, self._shared.settings.refresh_hours, time.time()))

    def _plan(self, at: float) -> None:
        self._at = at  # seconds since 1970
        self._shared.note(next_refresh=at)

    def _follow(self, outcome: Outcome) -> None:
        now = time.time()
        if outcome.failed:
            self._pause.failed(now)
            self._plan(self._pause.until)
        else:
            self._pause.succeeded(now)
            self._shared.note(refreshed=now)
            self.restart()


class Reload:
    """Reads the settings again; if they cannot be used, the old ones stay."""

    def __init__(self, shared: Shared, works: Sequence[Work]) -> None:
        self._shared = shared
        self._works = works
        self._configured = configuration()
        self.due_at = NEVER

    def want(self) -> None:
        """Reload next. A signal handler calls this."""
        self.due_at = 0.0

    def look(self) -> None:
        """Reload at once if a configuration file was changed."""
        if configuration() != self._configured:
            self.run()

    def run(self) -> None:
        """Read the settings, and let every task plan anew."""
        shared = self._shared
        self.due_at = NEVER
        shared.supervisor.reloading()
        self._configured = configuration()
        try:
            shared.use(config.load())
        except (config.ConfigError, StoreError, DaemonError) as error:
            shared.journal.say("reload", f"{error}; the settings stay as they were", failed=True)
        else:
            for work in self._works:
                work.restart()
            shared.journal.say("reload", f"the settings were read again, {shared.lookout.watch()}")
            shared.tell()
        shared.look_soon()
        shared.supervisor.reloaded()


class Look:
    """Looks at the files: after events, and regularly."""

    def __init__(self, shared: Shared, reload: Reload, works: Sequence[Work]) -> None:
        self._shared = shared
        self._reload = reload
        self._works = works

    @property
    def due_at(self) -> float:
        """When events have settled, or it is time to look anyway."""
        return min(self._shared.changes.due_at, self._shared.look_at)

    def run(self) -> None:
        """Let every task decide by the present files."""
        shared, now = self._shared, time.monotonic()
        shared.changes.take(now)
        shared.look_at = now + LOOKS_EVERY
        if shared.keeper.keep():
            shared.tell()
        self._reload.look()
        shared.lookout.watch()
        for work in self._works:
            work.look()
