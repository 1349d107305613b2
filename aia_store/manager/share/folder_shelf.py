"""A shelf in a folder of the file system, such as a network mount; it needs nothing but the standard library.

Files are opened as `inside/store.py` opens its own: no link is followed, and no FIFO waited for.
"""

from __future__ import annotations

import errno
import os
import random
import stat
from itertools import islice
from typing import TYPE_CHECKING

from ...inside.store import READ_FLAGS, read_open_file
from .. import replacement
from .shelf import AbsentError, DeniedError, Found, ShelfError, UnfitFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_LISTED = 1_000_000


class FolderShelf:
    """A folder. It must exist: where a mount is missing, nothing is written beneath it."""

    def __init__(self, path: str) -> None:
        """Raises ShelfError."""
        self._path = path
        if not os.path.isdir(path):
            raise ShelfError(f"{path} is no folder; mount or make it")

    def is_read_only(self, folder: str) -> bool:
        """Whether it is mounted so, or this user may not write there."""
        path = os.path.join(self._path, folder)
        return not os.access(path if os.path.isdir(path) else self._path, os.W_OK | os.X_OK)

    def get(self, name: str, most: int, mark: str = "") -> Found | None:
        path = os.path.join(self._path, name)
        try:
            descriptor = os.open(path, READ_FLAGS)
            try:
                status = os.fstat(descriptor)
                found = f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"
                if not stat.S_ISREG(status.st_mode) or status.st_size > most:
                    raise UnfitFileError(f"{path} is larger than {most} bytes, or no regular file")
                return None if found == mark else Found(read_open_file(descriptor, path, most), found)
            finally:
                os.close(descriptor)
        except FileNotFoundError as error:
            raise AbsentError(f"{path} is not there") from error
        except PermissionError as error:
            raise DeniedError(f"{path} cannot be read ({error.strerror})") from error
        except OSError as error:
            kind = UnfitFileError if error.errno == errno.ELOOP else ShelfError
            raise kind(f"{path} cannot be read ({error.strerror or error})") from error

    def put(self, name: str, content: bytes) -> None:
        path = os.path.join(self._path, name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            replacement.write(path, content)
        except OSError as error:
            if self._holds(name, content):
                return  # another user put it there, in a folder where nobody else may replace it
            raise ShelfError(f"{path} cannot be written ({error.strerror})") from error

    def _holds(self, name: str, content: bytes) -> bool:
        try:
            found = self.get(name, len(content))
        except ShelfError:
            return False
        return found is not None and found.content == content

    def names(self, folder: str, most: int) -> list[str]:
        path = os.path.join(self._path, folder)
        try:
            with os.scandir(path) as entries:
                return _sample((entry.name for entry in islice(entries, _MOST_LISTED)), most)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ShelfError(f"{path} cannot be read ({error.strerror})") from error


def _sample(names: Iterable[str], most: int) -> list[str]:
    """All of these, or so many at random (algorithm R, J. S. Vitter 1985), without holding more."""
    kept: list[str] = []
    for number, name in enumerate(names):
        if number < most:
            kept.append(name)
        elif (place := random.randrange(number + 1)) < most:
            kept[place] = name
    return kept
