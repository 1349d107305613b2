"""A file that appears as a whole: written beside, and renamed once it is complete."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class OutputError(Exception):
    """A file cannot be written; the message is one line that says why."""


@contextlib.contextmanager
def appearing(path: str) -> Iterator[IO[str]]:
    """A text file to write; it takes its place, for all to read, when the `with` ends well. Raises OutputError."""
    try:
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115  # it is renamed or removed below
            "w", encoding="utf-8", dir=os.path.dirname(path) or ".", prefix=f".{os.path.basename(path)}.", delete=False
        )
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})") from error
    try:
        with file:
            yield file
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(file.name)
        raise OutputError(f"{path} cannot be written ({error.strerror})") from error
    except BaseException:
        os.unlink(file.name)
        raise
