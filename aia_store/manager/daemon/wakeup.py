"""Wakes the daemon's loop from any thread or signal handler."""

from __future__ import annotations

import select
import signal
import socket
from contextlib import suppress


class Bell:
    """One thread waits until another rings. If another rang before, the wait ends at once."""

    def __init__(self) -> None:
        self._heard, self._rung = socket.socketpair()
        self._heard.setblocking(False)
        self._rung.setblocking(False)

    def ring(self) -> None:
        """End the wait. Never blocks, never raises."""
        with suppress(OSError):  # the pipe is full: it was rung often enough
            self._rung.send(b"\0")

    def ring_on_signals(self) -> None:
        """Make Python ring when a signal with a handler arrives, even just before the wait."""
        signal.set_wakeup_fd(self._rung.fileno(), warn_on_full_buffer=False)

    def wait(self, seconds: float) -> None:
        """Wait for a ring, but no longer than this many seconds."""
        select.select([self._heard], [], [], max(0.0, seconds))
        with suppress(BlockingIOError):
            while self._heard.recv(4096):
                pass
