"""Programs in child processes, with or without the hook, and their results with the same server."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import ATTACH
from tests.support import NO_HOOK

if TYPE_CHECKING:
    from typing import ParamSpec, Self, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")

PYTHON = os.environ.get("AIA_STORE_TEST_PYTHON", sys.executable)
_PROJECT = Path(__file__).parents[3]
_MAIN = "from tests.inside.contexts.child import main; main()"


class Program:
    """A process that runs functions of modules that it can import too. It must print nothing, and not die."""

    def __init__(self, *, hook: bool) -> None:
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            [PYTHON, "-c", (ATTACH if hook else "") + _MAIN],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((NO_HOOK, str(_PROJECT)))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
        )
        assert self._process.stdin and self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._calls = 0

    def run(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call it there, in this process's environment as it is now, and return what it returns."""
        assert not named, "positions only"
        self._calls += 1
        try:
            pickle.dump((self._calls, function, arguments, dict(os.environ)), self._stdin, protocol=4)
            self._stdin.flush()
            number = 0
            while number != self._calls:  # an earlier call may have been given up
                number, succeeded, answer = pickle.load(self._stdout)
        except (EOFError, BrokenPipeError):
            raise AssertionError(f"it died: {self._process.wait(30)}\n{self._said()}") from None
        if not succeeded:
            raise AssertionError(answer)
        result: T = answer
        return result

    def close(self) -> None:
        """End it; it must have been alive and silent."""
        try:
            self._stdin.close()
            assert self._process.wait(30) == 0, self._said()
            assert not self._said(), self._said()
        finally:
            self._process.kill()
            self._process.wait()
            self._stdout.close()
            self._printed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _said(self) -> str:
        self._printed.seek(0)
        return self._printed.read().decode()
