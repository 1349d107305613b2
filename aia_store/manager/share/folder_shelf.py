"""A shelf in a folder of the file system, such as a network mount; it needs nothing but the standard library.

As in `inside/store.py`, opening a file follows no link and waits for no FIFO. The folders in/ and out/ may be links
that root or this user made. Nothing is written through a link of another user.

If a writer is killed, its temporary file stays. When a hub lists the folder a day later, it removes this file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import stat
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from ...inside.store import READ_FLAGS, read_open_file
from .. import atomic_write
from .shelf import IN, AbsentError, DeniedError, Found, ShelfError, UnfitFileError, is_ours

_MOST_LISTED = 1_000_000
_MOST_OF_A_USER = 10_000  # names; there are fewer public CAs, and twenty rounds look at this many
_MODE = 0o755  # of IN and OUT
#: What an error of open(2) means. A link gives ELOOP, a socket ENXIO.
_KINDS = {errno.EACCES: DeniedError, errno.EPERM: DeniedError, errno.ELOOP: UnfitFileError, errno.ENXIO: UnfitFileError}
_ABANDONED_AFTER = 86_400  # seconds; a write takes a few, but the clocks of machines and file servers differ


class FolderShelf:
    """A shelf in an existing folder. A missing folder is not made, because its file system may not be mounted."""

    def __init__(self, path: str) -> None:
        """Raises ShelfError if there is no folder at this path."""
        self._path = path
        if not os.path.isdir(path):
            raise ShelfError(f"{path} is no folder; mount or make it")

    def is_read_only(self, folder: str) -> bool:
        """Whether the shelf is mounted read-only, or this user may not write to this folder."""
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
        except OSError as error:
            kind = _KINDS.get(error.errno or 0, ShelfError)
            raise kind(f"{path} cannot be read ({error.strerror or error})") from error

    def put(self, name: str, content: bytes) -> None:
        path = os.path.join(self._path, name)
        try:
            _make(os.path.dirname(path))
            atomic_write.write(path, content)
        except OSError as error:
            if self._holds(name, content):
                return  # another user put it there, in a folder where nobody else may replace it
            is_anothers = isinstance(error, PermissionError) and os.path.lexists(path)
            kind = DeniedError if is_anothers else ShelfError
            raise kind(f"{path} cannot be written ({error.strerror})") from error

    def _holds(self, name: str, content: bytes) -> bool:
        try:
            found = self.get(name, len(content))
        except ShelfError:
            return False
        return found is not None and found.content == content

    def names(self, folder: str, most: int) -> list[str]:
        """At most `most` file names; in the folder IN, at most 10,000 per user, so that no user crowds out others."""
        path = os.path.join(self._path, folder)
        try:
            with os.scandir(path) as entries:
                found = _Sample(most, _swept(islice(entries, _MOST_LISTED))).kept
            if folder == IN and len(found) > _MOST_OF_A_USER:
                found = _Sample(most, chain.from_iterable(_by_owner(path).values())).kept
            return found
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ShelfError(f"{path} cannot be read ({error.strerror})") from error


def _make(folder: str) -> None:
    """Make a missing folder, which all users can read. Raises OSError, and ShelfError for a link of another user."""
    try:
        os.mkdir(folder)
    except FileExistsError:
        status = os.lstat(folder)
        if os.name == "posix" and stat.S_ISLNK(status.st_mode) and status.st_uid not in (0, os.geteuid()):
            raise ShelfError(f"{folder} is a link of another user; remove it") from None
        return
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, _MODE)
        finally:
            os.close(descriptor)


def _swept(entries: Iterable[os.DirEntry[str]]) -> Iterator[str]:
    """Yield the names of files that are not temporary. Remove temporary files older than a day, if this is allowed."""
    for entry in entries:
        of = atomic_write.TEMPORARY.fullmatch(entry.name)
        if of is None or not is_ours(of[1]):
            yield entry.name
            continue
        with contextlib.suppress(OSError):  # it is another user's, or has gone meanwhile
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_AFTER:
                os.unlink(entry.path)


def _by_owner(folder: str) -> dict[int, list[str]]:
    """The file names in a folder, by the owner's user id: at most 10,000 for each owner. Raises OSError."""
    found: dict[int, _Sample] = {}
    with os.scandir(folder) as entries:
        for entry in islice(entries, _MOST_LISTED):
            with contextlib.suppress(FileNotFoundError):  # it has gone meanwhile
                owner = entry.stat(follow_symlinks=False).st_uid
                found.setdefault(owner, _Sample(_MOST_OF_A_USER)).add(entry.name)
    return {owner: sample.kept for owner, sample in found.items()}


class _Sample:
    """Collects names. If there are more than `most`, it keeps a random choice (algorithm R, J. S. Vitter 1985)."""

    def __init__(self, most: int, names: Iterable[str] = ()) -> None:
        self.kept: list[str] = []
        self._most = most
        self._seen = 0
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        if self._seen < self._most:
            self.kept.append(name)
        elif (place := random.randrange(self._seen + 1)) < self._most:
            self.kept[place] = name
        self._seen += 1
