"""A file that appears as a whole: written beside, synced, and renamed once it is complete.

For files anywhere. Those of a store folder are written by `Folder.write`, which trusts nothing on the way there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile

_MODE = 0o644


class Replacement:
    """What is to replace the file at a path, or to be a new one there. `with` it, what is not published is removed."""

    def __init__(self, path: str) -> None:
        """Raises OSError where no file can be made beside it."""
        self._path = path
        folder, name = os.path.split(path)
        descriptor, self._temporary = tempfile.mkstemp(".tmp", f".{name}.", folder or os.curdir)
        self.file = open(descriptor, "wb")  # noqa: SIM115  # closed below

    def publish(self, *, like_the_old: bool = False) -> None:
        """Put it in place, for all to read, or with the owner, mode and attributes of the old one. Raises OSError."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        os.chmod(self._temporary, _MODE)
        if like_the_old and os.path.exists(self._path):
            old = os.stat(self._path)
            shutil.copystat(self._path, self._temporary)
            if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(self._temporary, old.st_uid, old.st_gid)
            os.utime(self._temporary)
        os.replace(self._temporary, self._path)

    def __enter__(self) -> Replacement:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        with contextlib.suppress(OSError):  # it is in place
            os.unlink(self._temporary)


def write(path: str, contents: bytes, *, like_the_old: bool = False) -> None:
    """Replace or make a file at once, as `Replacement.publish` does. Raises OSError."""
    with Replacement(path) as new:
        new.file.write(contents)
        new.publish(like_the_old=like_the_old)
