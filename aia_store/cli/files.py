"""The files that the command line writes for people and other programs."""

from __future__ import annotations

import contextlib
import io
import os
from typing import IO, TYPE_CHECKING

from ..manager.replacement import Replacement

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
    with _complaining(path):
        new = Replacement(os.path.realpath(path))
    with new:
        text = io.TextIOWrapper(new.file, encoding="utf-8")
        yield text
        with _complaining(path):
            text.flush()
            new.publish()


@contextlib.contextmanager
def _complaining(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})") from error
