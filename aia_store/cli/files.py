"""The files that the command line writes for people and other programs."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import IO, Protocol

from ..inside.ownership import MOST_LINKS
from ..inside.store import may_be_changed_by_group
from ..manager.atomic_write import Replacement
from .errors import OutputError

STANDARD_OUTPUT = "-"  # instead of a path


class Writable(Protocol):
    """Something that text can be written to."""

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
    Links and special files are only used where no other user can have put them.
    """
    if path == STANDARD_OUTPUT:
        yield sys.stdout
        return
    destination = _destination(path)
    if os.path.exists(destination) and (os.path.islink(destination) or not os.path.isfile(destination)):
        if _is_open_to_others(destination):
            raise OutputError(f"{path} is no regular file, and another user can have made it; name another file")
        with _complaining(path):
            file = open(destination, "w", encoding="utf-8")  # noqa: SIM115  # closed below
        try:
            yield _File(file, path)
        finally:
            with _complaining(path):
                file.close()
        return
    with _complaining(path):
        new = Replacement(destination)
    with new:
        text = io.TextIOWrapper(new.file, encoding="utf-8")
        yield _File(text, path)
        with _complaining(path):
            text.flush()
            new.publish()


def _destination(path: str) -> str:
    """Follow the links at the end of a path. Raises OutputError if another user can have made one of them.

    The kernel's protection (fs.protected_symlinks) only covers opening, but this file is replaced by renaming. A link
    in /proc/self/fd is not followed if its target has no name.
    """
    at = path
    for _ in range(MOST_LINKS):
        if not os.path.islink(at):
            return at
        if _is_open_to_others(at):
            raise OutputError(f"{at} is a link that another user can change; name the file that it leads to")
        with _complaining(path):
            target = os.path.join(os.path.dirname(at), os.readlink(at))
        if os.path.exists(at) and not os.path.lexists(target):
            return at
        at = target
    raise OutputError(f"{path} is a link that leads nowhere; name a file")


def _is_open_to_others(path: str) -> bool:
    """Whether another user, who is not root, can put things into the folder of this path. Raises OutputError."""
    if os.name != "posix":
        return False
    with _complaining(path):
        status = os.stat(os.path.dirname(path) or os.curdir)
    is_own = status.st_uid in (0, os.geteuid())
    return not is_own or bool(status.st_mode & stat.S_IWOTH) or may_be_changed_by_group(status)


@contextlib.contextmanager
def _complaining(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})") from error
