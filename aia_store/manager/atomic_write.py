"""Replace a file as a whole: write a temporary file beside it, sync that file, and rename it once it is complete.

For files in a store folder, use `Folder.write`: it also checks who can change the folders on the way.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import tempfile

#: The name of the temporary file, which contains the name of the replaced file. A killed writer leaves it behind.
TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.tmp")


class Replacement:
    """A temporary file that `publish` puts at a path. Use it in a `with` block, which removes an unpublished file."""

    def __init__(self, path: str) -> None:
        """Create the temporary file in the folder of the path. Raises OSError if that fails."""
        self._path = path
        folder, name = os.path.split(path)
        descriptor, self._temporary = tempfile.mkstemp(".tmp", f".{name}.", folder or os.curdir)
        self.file = open(descriptor, "wb")  # noqa: SIM115  # closed below

    def publish(self, *, like_the_old: bool = False) -> None:
        """Rename the file to the path. Raises OSError.

        All users may read it. If `like_the_old`, it gets the owner, mode and attributes of the file that it replaces.
        """
        self.file.flush()
        descriptor = self.file.fileno()  # others who may write to the folder could replace the name by a link
        if like_the_old and os.path.exists(self._path):
            _copy_attributes(self._path, descriptor)
        elif hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o644)
        os.fsync(descriptor)
        self.file.close()
        os.replace(self._temporary, self._path)

    def __enter__(self) -> Replacement:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the disk is full: what is buffered cannot be written
            self.file.close()
        with contextlib.suppress(OSError):  # the file is already in place
            os.unlink(self._temporary)


def _copy_attributes(path: str, descriptor: int) -> None:
    """Give an open file the owner, mode and extended attributes of the file at `path`. Raises OSError."""
    old = os.stat(path)
    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    for name in os.listxattr(path) if sys.platform.startswith("linux") else ():
        with contextlib.suppress(OSError):  # the file system has none, or this user may not set it
            os.setxattr(descriptor, name, os.getxattr(path, name))


def write(path: str, contents: bytes, *, like_the_old: bool = False) -> None:
    """Replace the file at the path, or create it (see `Replacement.publish`). Raises OSError."""
    with Replacement(path) as new:
        new.file.write(contents)
        new.publish(like_the_old=like_the_old)
