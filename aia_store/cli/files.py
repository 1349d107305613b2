"""The files that the command line writes for people and other programs."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import IO, TYPE_CHECKING

from ..manager.replacement import Replacement

if TYPE_CHECKING:
    from collections.abc import Iterator


STANDARD_OUTPUT = "-"  # instead of a path


class OutputError(Exception):
    """A file cannot be written. The message is one line that says why."""


@contextlib.contextmanager
def appearing(path: str) -> Iterator[IO[str]]:
    """Yield a text file to write; it appears, readable for all, when the `with` ends without error. Raises OutputError.

    If the path exists but is no regular file, such as /dev/stdout, it is written directly; `-` is standard output.
    """
    if path == STANDARD_OUTPUT:
        yield sys.stdout
        return
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
