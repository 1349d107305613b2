"""Notifies the supervisor, such as systemd, by datagrams to the socket that NOTIFY_SOCKET names (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

from ..words import one_line


class Supervisor:
    """Sends messages to the supervisor, if it listens. As a task, it is due when the next sign of life must be sent."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address  # an abstract socket
        self._pings_every = _half_of_the_watchdog()
        self.due_at = 0.0 if self._pings_every < float("inf") else float("inf")  # on the monotonic clock
        self._is_ready = False

    def ready(self) -> None:
        """Say that the daemon is ready. Only the first call sends this."""
        if not self._is_ready:
            self._is_ready = True
            self._send("READY=1")

    def status(self, text: str) -> None:
        self._send(f"STATUS={one_line(text)}")  # a second line would be another message

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """Say that the reload which `reloading` announced is done."""
        if self._is_ready:
            self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def run(self) -> None:
        """Give the watchdog a sign of life."""
        self.due_at = time.monotonic() + self._pings_every
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)  # a supervisor that does not read must not block us
            channel.sendto(message.encode(), self._address)


def _half_of_the_watchdog() -> float:
    """Seconds between two signs of life; infinity if the supervisor does not expect any from this process."""
    microseconds, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or int(microseconds) == 0 or process not in ("", str(os.getpid())):
        return float("inf")
    return int(microseconds) / 2_000_000
