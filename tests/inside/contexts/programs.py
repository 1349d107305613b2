"""Programs in processes of their own, with the hook or without it, and what they say to the same server."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from tests.conftest import ATTACH

PYTHON = os.environ.get("AIA_STORE_TEST_PYTHON", sys.executable)
_PROJECT = Path(__file__).parents[3]
_MAIN = "from tests.inside.contexts.child import main; main()"

P = ParamSpec("P")
T = TypeVar("T")


class Program:
    """A process that runs functions of modules that it can import too. It must print nothing, and not die."""

    def __init__(self, *, hook: bool) -> None:
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            [PYTHON, "-c", (ATTACH if hook else "") + _MAIN],
            env={**os.environ, "PYTHONPATH": str(_PROJECT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
        )

    def run(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call it there, in this process's environment as it is now, and return what it returns."""
        self.start(function, *arguments, **named)
        return self.finish()

    def start(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> None:
        """Call it there; `finish` waits for it."""
        assert not named, "positions only"
        assert self._process.stdin
        pickle.dump((function, arguments, dict(os.environ)), self._process.stdin, protocol=4)
        self._process.stdin.flush()

    def finish(self) -> Any:
        """What the function returns."""
        assert self._process.stdout
        try:
            succeeded, answer = pickle.load(self._process.stdout)
        except EOFError:
            raise AssertionError(f"it died: {self._process.wait(30)}\n{self._said()}") from None
        if not succeeded:
            raise AssertionError(answer)
        return answer

    def close(self) -> None:
        """End it; it must have been alive and silent."""
        assert self._process.stdin
        try:
            self._process.stdin.close()
            assert self._process.wait(30) == 0, self._said()
            assert not self._said(), self._said()
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()  # type: ignore[union-attr]
            self._printed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _said(self) -> str:
        self._printed.seek(0)
        return self._printed.read().decode()
