"""Programs that hold something up for the tests, such as a mount namespace, for as long as they run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


def started(command: Sequence[object]) -> subprocess.Popen[str]:
    """Start a program that prints "ready" when all is in place. Raises OSError, with its errors, if it fails before."""
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        _, errors = process.communicate()
        raise OSError(errors.strip())
    return process
