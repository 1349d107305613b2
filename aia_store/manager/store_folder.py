"""The store folder that this user can write, and its locks."""

from __future__ import annotations

import time

from ..inside import locks
from ..inside.settings import Settings
from ..inside.store import Folder, StoreError, sound_store


class BusyError(Exception):
    """Another process has held the lock for too long."""


def writable_home(settings: Settings) -> Folder:
    """The store folder that this user can write, according to the settings. Raises StoreError if there is none."""
    home = sound_store(settings, to_write=True).home
    assert home is not None  # otherwise sound_store raises
    return home


def take_lock(home: Folder, name: str, seconds: float) -> locks.Lock:
    """Take a lock. Raises BusyError if others hold it for this many seconds, StoreError if it cannot be used."""
    try:
        lock = locks.acquire(home, name, time.monotonic() + seconds)
    except locks.LockError as error:
        raise StoreError(f"{error}; set AIA_STORE_DIR to a folder of yours") from error
    if lock is None:
        raise BusyError(f"another process holds the lock {name} of {home.path}")
    return lock
