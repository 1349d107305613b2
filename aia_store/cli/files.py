"""The files that the command line writes for people and other programs."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import IO, TYPE_CHECKING, Protocol

from ..manager.replacement import Replacement
from .errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator


STANDARD_OUTPUT = "-"  # instead of a path


class Writable(Protocol):
    """What text can be written to."""

    def write(self, text: str, /) -> object: ...


class _File:
    """A text file whose errors name it."""

    def __init__(self, file: IO[str], path: str) -> None:
        self._file = file
        self._path = path

    def write(self, text: str, /) -> None:
        """Write text. Raises OutputError."""
        with _complaining(self._path):
            self._file.write(text)


@contextlib.contextmanager
def appearing(path: str) -> Iterator[Writable]:
    """Yield a text file to write; it appears, readable for all, when the `with` ends without error. Raises OutputError.

    If the path exists but is no regular file, such as /dev/stdout, it is written directly; `-` is standard output.
    """
    if path == STANDARD_OUTPUT:
        yield sys.stdout
        return
    if os.path.exists(path) and not os.path.isfile(path):
        with _complaining(path):
            file = open(path, "w", encoding="utf-8")  # noqa: SIM115  # closed below
        try:
            yield _File(file, path)
        finally:
            with _complaining(path):
                file.close()
        return
    with _complaining(path):
        new = Replacement(os.path.realpath(path))
    with new:
        text = io.TextIOWrapper(new.file, encoding="utf-8")
        yield _File(text, path)
        with _complaining(path):
            text.flush()
            new.publish()


@contextlib.contextmanager
def _complaining(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})") from error
