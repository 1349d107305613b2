"""Sweep what processes left in a store folder: temporary files, locks that nobody holds, failures long past."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

from ..inside import locks
from ..inside import pauses as failures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..inside.store import Folder

ABANDONED_AFTER = 3600  # seconds: a temporary file this old is nobody's
FORGOTTEN_AFTER = 86_400  # seconds after its pause: a failure that was long ago says nothing any more
MOST_SWEPT = 100_000  # files of a folder, at a time


def sweep(folder: Folder) -> None:
    """Remove from this folder what nobody needs any more. Raises nothing; what cannot be removed stays."""
    now = time.time()
    for path, modified in _files(os.path.join(folder.path, "tmp")):
        if abs(now - modified) > ABANDONED_AFTER:
            _unlink(path)
    for path, modified in _files(os.path.join(folder.path, "locks")):
        if abs(now - modified) > ABANDONED_AFTER:
            _release(folder, os.path.basename(path))
    for path, _ in _files(os.path.join(folder.path, failures.FOLDER)):
        whose, _, until = failures.read_note(path)
        is_ours = os.path.basename(path) in failures.slots(whose)
        if not is_ours or not now - FORGOTTEN_AFTER < until <= now + failures.LONGEST_PAUSE:
            _unlink(path)


def _files(path: str) -> Iterator[tuple[str, float]]:
    """The regular files of a folder, each with when it was last modified; what is no file was not made by us."""
    try:
        with os.scandir(path) as entries:
            for entry, _ in zip(entries, range(MOST_SWEPT), strict=False):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield entry.path, status.st_mtime
    except OSError:
        return


def _release(folder: Folder, name: str) -> None:
    """Remove a lock's file unless somebody holds it."""
    try:
        lock = locks.acquire(folder, name, 0)
    except locks.LockError:
        return
    if lock is not None:
        lock.release()


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
