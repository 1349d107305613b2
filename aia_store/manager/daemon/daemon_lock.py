"""Ensures one daemon per store, by a lock that is taken again if the store folder is removed and made anew."""

from __future__ import annotations

from ...inside.locks import Lock
from ...inside.settings import Settings
from ...inside.store import Folder, StoreError
from ..store_folder import BusyError, take_lock, writable_home
from . import state

WAITS = 1.0  # seconds for a lock, because `status` may be testing it


class DaemonError(Exception):
    """The daemon cannot run. The message is one line that says why and what to do."""


class Keeper:
    """Holds the lock of the writable store folder, `home`."""

    def __init__(self, settings: Settings) -> None:
        """Raises StoreError if the store cannot be written, DaemonError if another daemon already holds its lock."""
        self._settings = settings
        self.home = writable_home(settings)
        self._lock: Lock | None = _take(self.home)

    def keep(self) -> bool:
        """Take the lock again if its file is gone; returns whether it did. Raises DaemonError if others have it."""
        if self.holds():
            return False
        self.release()
        try:
            self.home = writable_home(self._settings)
            self._lock = _take(self.home)
        except StoreError:
            return False  # the store cannot be written, so no other daemon can take it
        return True

    def holds(self) -> bool:
        """Whether this daemon holds the lock at this moment."""
        return self._lock is not None and self._lock.is_in_place()

    def move(self, settings: Settings) -> None:
        """Lock the store of these settings instead. If this fails, nothing changes. Raises StoreError, DaemonError."""
        home = writable_home(settings)
        if home.path != self.home.path:
            lock = _take(home)
            self.release()
            self.home, self._lock = home, lock
        self._settings = settings

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _take(home: Folder) -> Lock:
    try:
        return take_lock(home, state.LOCK, WAITS)
    except BusyError as error:
        other = state.read(home)
        process = f"process {other.pid}" if other is not None else "another process"
        message = f"{process} already manages the store in {home.path}; `aia-store status` says more"
        raise DaemonError(message) from error
