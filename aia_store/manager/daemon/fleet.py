"""The daemon's tasks that share intermediates with other machines. Without the setting `share`, they are never due.

They depend on other machines. So if the shelf's server is down, the log has one line, however many attempts fail, and
`status` shows no failure of the daemon.
"""

from __future__ import annotations

import time

from ..snapshot import fingerprints
from .job import end
from .schedule import HOUR, Pause, jittered
from .shared import Shared
from .tasks import Work
from .work import Outcome

ROUND_EVERY, HUB_ROUND_EVERY = HOUR, 600.0  # seconds on average
FIRST_ROUND_AFTER = 30.0  # seconds on average
NEXT_ROUND_AFTER = 30.0  # seconds on average, if the last one could not take everything
FIRST_RETRY, LONGEST_RETRY = 60.0, 4 * HOUR  # seconds on average
HANDED_IN_AFTER = 60.0  # seconds on average after something was learned; where there is a stream, at once
HANDINS_APART = 5.0  # seconds
FIRST_RECONNECT, LONGEST_RECONNECT = 1.0, 600.0  # seconds on average


class Rhythm:
    """Chooses at random how many seconds to wait before the first and each next round (exchange with the shelf)."""

    def __init__(self, *, is_hub: bool = False) -> None:
        self._every = HUB_ROUND_EVERY if is_hub else ROUND_EVERY
        self._pause = Pause(0, FIRST_RETRY, LONGEST_RETRY)

    def first(self) -> float:
        """Seconds until the first round."""
        return jittered(FIRST_ROUND_AFTER)

    def next(self, *, failed: bool, has_more: bool) -> float:
        """Seconds until the next round. They depend on how the last round ended."""
        if failed:
            self._pause.failed(0.0)
            return jittered(self._pause.until)
        self._pause.succeeded(0.0)
        return jittered(NEXT_ROUND_AFTER if has_more else self._every)


class Sharing(Work):
    """A task that depends on other machines. If a message repeats, it is logged only once."""

    _said = ""

    def report(self, outcome: Outcome) -> None:
        if outcome.message != self._said:
            self._said = outcome.message
            self._shared.journal.say(self.action, outcome.message, failed=outcome.failed)


class Share(Sharing):
    """Takes what others have learned, hands in what was learned here, and publishes if this machine is a hub."""

    action, seconds = "share", 900.0

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self.restart()

    def starts_at(self) -> float:
        return self._at if self._shared.settings.share else float("inf")

    def restart(self) -> None:
        self._rhythm = Rhythm(is_hub=self._shared.settings.share_publish)
        self._at = time.monotonic() + self._rhythm.first()

    def follow(self, outcome: Outcome) -> None:
        self._at = time.monotonic() + self._rhythm.next(failed=outcome.failed, has_more=outcome.has_more)


class HandIn(Sharing):
    """Hands in certificates that were learned here: at once if there is a stream, else about a minute later."""

    action, seconds = "hand-in", 120.0

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._seen = self._needed()
        self._due_at = float("inf")
        self._pause = Pause(HANDINS_APART, FIRST_RETRY, LONGEST_RETRY)

    def starts_at(self) -> float:
        return max(self._due_at, self._pause.until) if self._shared.settings.share else float("inf")

    def look(self) -> None:
        needed = self._needed()
        if not needed <= self._seen:
            delay = 0.0 if self._shared.settings.share_notify else jittered(HANDED_IN_AFTER)
            self._due_at = min(self._due_at, time.monotonic() + delay)
        self._seen = needed

    def start(self) -> None:
        self._due_at = float("inf")
        super().start()

    def follow(self, outcome: Outcome) -> None:
        (self._pause.failed if outcome.failed else self._pause.succeeded)(time.monotonic())
        if outcome.failed:
            self._due_at = 0.0

    def _needed(self) -> set[str]:
        return fingerprints([self._shared.keeper.home]) if self._shared.settings.share else set()


class Listen(Sharing):
    """Listens to the stream in a child process, which lives as long as the daemon and is restarted when it fails."""

    action, seconds, ends_with_us = "listen", float("inf"), True

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._pause = Pause(0, FIRST_RECONNECT, LONGEST_RECONNECT)
        self._at = self._began = 0.0

    def starts_at(self) -> float:
        settings = self._shared.settings
        return self._at if settings.share and settings.share_notify else float("inf")

    def start(self) -> None:
        self._began = time.monotonic()
        super().start()

    def restart(self) -> None:
        """End the child process, so that the next one starts with the new settings."""
        self._pause.succeeded(0.0)
        self._at = 0.0
        if self.job is not None:
            end([self.job])

    def follow(self, outcome: Outcome) -> None:
        now = time.monotonic()
        if now - self._began > LONGEST_RECONNECT:
            self._pause.succeeded(0.0)
        self._pause.failed(0.0)
        self._at = now + jittered(self._pause.until)
