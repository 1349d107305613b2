"""A reader who follows the documents, block by block, on a machine."""

from __future__ import annotations

import json
import subprocess
import sys
from abc import ABC, abstractmethod

import pytest

from tests.docs.blocks import PROJECT, SHELLS, Block
from tests.docs.exceptions import ENDS_WITH
from tests.docs.program import DONE

_TAKE_SETTINGS = "mkdir -p ~/.config/aia-store && cat > ~/.config/aia-store/config.toml && exec aia-store list"


class Machine(ABC):
    """The machine on which the commands run, in the project's folder."""

    #: What runs the Python blocks; the package is installed for it.
    python: str = sys.executable
    #: How long a command may take.
    seconds: float = 60

    @abstractmethod
    def start(self, *command: object) -> subprocess.Popen[str]:
        """Start a command, with a pipe for its input and one for its output, errors included."""

    def run(self, *command: object, reads: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end, with this as its input; errors are in its output."""
        with self.start(*command) as process:
            try:
                output, _ = process.communicate(reads, timeout=self.seconds)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, output)


class Reader:
    """Follows blocks in order. The test fails at the first block that does not end as it should."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._python: subprocess.Popen[str] | None = None

    def follow(self, block: Block, status: int | None = None) -> None:
        """Run one block, which ends with this status, or else as `exceptions` says."""
        if block.language == "python":
            self._execute(block)
            return
        done = self._machine.run(*_command(block), reads=block.text if block.language == "toml" else "")
        expected = ENDS_WITH.get(block.name, 0) if status is None else status
        assert done.returncode == expected, f"{block.where}\n{block.text}\n{done.stdout}"
        assert "Traceback" not in done.stdout, done.stdout

    def end(self) -> None:
        """End the program of the Python blocks."""
        if self._python is not None:
            output, _ = self._python.communicate(timeout=self._machine.seconds)
            assert self._python.returncode == 0, output

    def _execute(self, block: Block) -> None:
        self._python = self._python or self._machine.start(self._machine.python, "-m", "tests.docs.program")
        assert self._python.stdin is not None
        assert self._python.stdout is not None
        where = str(block.page.relative_to(PROJECT))
        print(json.dumps([where, block.line, block.text]), file=self._python.stdin, flush=True)
        said = []
        for line in self._python.stdout:
            if line.strip() == DONE:
                return
            said.append(line)
        pytest.fail(f"{block.where}\n{''.join(said)}")


def _command(block: Block) -> list[str]:
    if block.language == "toml":
        return ["sh", "-c", _TAKE_SETTINGS]
    return [SHELLS[block.language], *(["-e"] if block.language != "fish" else []), "-c", block.commands]
