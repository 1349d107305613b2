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
    """A text file to write; it takes its place, for all to read, when the `with` ends well. Raises OutputError.

    What is there and no regular file, such as /dev/stdout, is written as it is.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        with _complaining(path):
            file = open(path, "w", encoding="utf-8")  # noqa: SIM115  # closed below
        with file:
            yield file
        return
    place = os.path.realpath(path)
    folder, name = os.path.split(place)
    with _complaining(path):
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            yield file
        with _complaining(path):
            os.chmod(temporary, 0o644)
            os.replace(temporary, place)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def _complaining(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})") from error
