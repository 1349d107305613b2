"""Work in a child process, which can be stopped at any moment."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from ...inside.settings import Settings
from .work import Outcome

ENDS_WITHIN = 0.4  # seconds after it was asked to end; then it is killed
_MOST_OUTPUT = 1 << 19  # bytes: more than the longest outcome; JSON needs up to 12 for a character
# Nothing is imported from the working folder. Python 3.11 has -P for that.
_PROGRAM = """
import sys
sys.path[:] = filter(None, sys.path)
from aia_store.manager.daemon.work import main
main()
"""


class Job:
    """One child process, started at once. When it ends, another thread calls `tell`."""

    def __init__(
        self,
        action: str,
        settings: Settings,
        deadline: float,
        tell: Callable[[], None],
        *,
        ends_with_us: bool = False,
    ) -> None:
        """The caller enforces `deadline` (on the monotonic clock). Raises OSError if no process can be started.

        With `ends_with_us`, the child's standard input closes when this process ends, so the child can end, too.
        """
        self._ends_with_us = ends_with_us
        self.deadline = deadline
        self.is_over = False
        self._output = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, action],
            env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        following = (json.dumps(vars(settings)).encode(), tell)
        try:
            threading.Thread(target=self._follow, args=following, daemon=True).start()
        except RuntimeError as error:  # no more threads: a limit was reached after the process was started
            self.process.kill()
            self.process.communicate()
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error

    def outcome(self) -> Outcome:
        """The outcome, after the child process has ended."""
        lines = self._output.decode("utf-8", "replace").strip().splitlines() or [""]
        try:
            found = json.loads(lines[-1])
            details = list(map(str, found["details"]))
            return Outcome(bool(found["failed"]), str(found["message"]), details, bool(found["has_more"]))
        except (ValueError, KeyError, TypeError):
            ended = f"its process ended with status {self.process.returncode}"
            return Outcome(True, f"{ended}: {lines[-1]}" if lines[-1] else ended, [])

    def _follow(self, settings: bytes, tell: Callable[[], None]) -> None:
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.write(settings + b"\n")
            process.stdin.flush()
        if not self._ends_with_us:
            self._close_input()
        with process.stdout:
            while piece := os.read(process.stdout.fileno(), _MOST_OUTPUT):
                self._output = (self._output + piece)[-_MOST_OUTPUT:]
        process.wait()
        self._close_input()
        self.is_over = True
        tell()

    def _close_input(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, and there was something left to write
            self.process.stdin.close()


def end(jobs: list[Job]) -> None:
    """Stop these jobs. What they have published stays; half-done work is removed."""
    for job in jobs:
        job.process.terminate()
    deadline = time.monotonic() + ENDS_WITHIN
    for job in jobs:
        try:
            job.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            job.process.kill()
