"""Remove what processes left behind in a store folder: temporary files, unheld locks, notes on old failures.

Only files with the names that we give are removed, and only from folders that `Folder.within` accepts.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator

from ..inside import locks, pauses
from ..inside.store import FAILURES, KEPT_CRLS, KEPT_LISTS, LOCKS, TEMPORARY, Folder

ABANDONED_AFTER = 3600  # seconds; an older temporary file is abandoned
FORGOTTEN_AFTER = 86_400  # seconds after its pause; an older failure no longer matters
MOST_SWEPT = 100_000  # files of a folder, per run

_DIGEST = "[0-9a-f]{64}"
_OWN_NAMES = {
    TEMPORARY: r"\d+-\d+-\d+",
    LOCKS: f"{_DIGEST}|bundle|daemon|share|share-memory",
    FAILURES: f"[0-9a-f]{{{pauses.SLOT_DIGITS}}}",
    KEPT_CRLS: _DIGEST,
    KEPT_LISTS: _DIGEST,
}


def sweep(folder: Folder) -> None:
    """Remove from this folder what nobody needs any longer. What cannot be removed stays; nothing is raised."""
    now = time.time()
    for path, modified in own_files(folder, TEMPORARY):
        if abs(now - modified) > ABANDONED_AFTER:
            unlink(path)
    for path, modified in own_files(folder, LOCKS):
        if abs(now - modified) > ABANDONED_AFTER:
            _release(folder, os.path.basename(path))
    for path, _ in own_files(folder, FAILURES):
        whose, _, until = pauses.read_note(path)
        is_ours = os.path.basename(path) in pauses.slots(whose)
        if not is_ours or not now - FORGOTTEN_AFTER < until <= now + pauses.LONGEST_PAUSE:
            unlink(path)


def own_files(folder: Folder, part: str) -> Iterator[tuple[str, float]]:
    """The paths of the files in this part of a store folder that have names of ours, and when each was modified."""
    with contextlib.suppress(OSError), os.scandir(folder.within(part)) as entries:
        for entry, _ in zip(entries, range(MOST_SWEPT), strict=False):
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode) and re.fullmatch(_OWN_NAMES[part], entry.name):
                yield entry.path, status.st_mtime


def modified(path: str, otherwise: float) -> float:
    """When a file was modified, or a certificate last used (seconds since 1970); `otherwise` if the file is gone."""
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return otherwise


def unlink(path: str) -> None:
    """Remove a file that `own_files` named, if possible."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def _release(folder: Folder, name: str) -> None:
    """Remove a lock's file unless somebody holds it."""
    with contextlib.suppress(locks.LockError):
        lock = locks.acquire(folder, name, 0)
        if lock is not None:
            lock.release()
