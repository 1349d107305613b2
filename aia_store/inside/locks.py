"""One at a time, machine-wide: a lock that the system releases when its holder dies."""

from __future__ import annotations

import os
import sys
import time

from .store import LOCKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .store import Folder

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
_FIRST_WAIT, _LONGEST_WAIT = 0.002, 0.05  # seconds


class LockError(Exception):
    """No lock can be had here at all: the folder cannot be written."""


class Lock:
    """A lock held by this process until `release`; its file is gone afterwards."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def release(self) -> None:
        try:
            os.unlink(self._path)
        except OSError:
            pass
        os.close(self._descriptor)


def acquire(folder: Folder, name: str, deadline: float, sleep: Callable[[float], None] = time.sleep) -> Lock | None:
    """Wait until `deadline` (on the monotonic clock) for the lock of this name. None: not had. Raises LockError."""
    wait = _FIRST_WAIT
    while True:
        try:
            path = os.path.join(folder.make(LOCKS), name)
            descriptor = os.open(path, _FLAGS, 0o600)
        except OSError as error:
            raise LockError(f"{folder.path} cannot be written ({error.strerror})") from error
        if _lock(descriptor):
            if _is_at(path, descriptor):
                return Lock(path, descriptor)
            os.close(descriptor)  # its last holder removed it while we waited
            continue
        os.close(descriptor)
        if time.monotonic() + wait > deadline:
            return None
        sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":  # not tested: no Windows machine was at hand
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False
