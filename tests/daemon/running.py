"""A real daemon as a child process: its log, its signals and its costs."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.manager.machine import COMMAND, Machine

if TYPE_CHECKING:
    from typing import Self

SECONDS = 15.0


class Daemon:
    """`aia-store daemon` on a machine; the command `before` may start it (`unshare`, `env`), by exec."""

    def __init__(self, machine: Machine, *before: object, **variables: str | None) -> None:
        command = [*before, *COMMAND, "daemon", "--log-format", "json"]
        self.process = machine.start(command, **variables)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def events(self) -> list[dict[str, str]]:
        """What it has logged so far; each line must be JSON."""
        return [json.loads(line) for line in list(self.lines)]

    def named(self, event: str) -> list[dict[str, str]]:
        """The events of one kind."""
        return [found for found in self.events if found["event"] == event]

    def wait_for(self, event: str, text: str = "", *, count: int = 1, seconds: float = SECONDS) -> dict[str, str]:
        """Wait for the n-th event of this kind with this text in its message, and return it."""

        def found() -> list[dict[str, str]]:
            return [one for one in self.named(event) if text in one["message"]]

        wait_until(lambda: len(found()) >= count or self.process.poll() is not None, seconds, lambda: self.lines)
        assert len(found()) >= count, self.lines
        return found()[count - 1]

    @property
    def said(self) -> str:
        """What it has printed, once it has ended."""
        self._reader.join(SECONDS)
        return "".join(self.lines)

    def works(self) -> bool:
        """Whether one of its children is working."""
        return bool(self._children())

    def workers(self, action: str) -> list[int]:
        """Its children that do this."""
        return [pid for pid in self._children() if read(f"/proc/{pid}/cmdline").endswith(f"\0{action}\0")]

    def _children(self) -> list[int]:
        files = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(pid) for file in files for pid in read(file).split()]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send it a signal; its exit status, and how many seconds it took to end."""
        began = time.monotonic()
        self.send(number)
        status = self.process.wait(SECONDS)
        return status, time.monotonic() - began

    def cpu_ticks(self) -> int:
        """The CPU time that it has used, without its ended children, in clock ticks."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def wakes(self) -> int:
        """How often its threads have woken from a wait."""
        statuses = [file.read_text() for file in Path(f"/proc/{self.pid}/task").glob("*/status")]
        return sum(int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in statuses)

    def memory(self) -> int:
        """Its resident memory, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(SECONDS)
            except BaseException:
                self.process.kill()
                raise
        self._reader.join(SECONDS)
        self.process.communicate()


def read(path: str | Path) -> str:
    """A file below /proc; nothing if the process or thread is gone."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def wait_until(is_so: Callable[[], bool], seconds: float = SECONDS, tell: Callable[[], Any] = lambda: "") -> None:
    """Wait for something that is certain to happen."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, tell()
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
