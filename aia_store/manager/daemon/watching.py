"""Watches folders for changes, by inotify or its equivalent. On network file systems, or if there is none, it polls.

Only whole folders are watched, never files: a watch on a file ends when another file is renamed over it. Folders are
watched by their real paths: a link shows no changes. Reading causes no event; otherwise, the daemon would wake itself.
"""

from __future__ import annotations

import errno
import inspect
import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from ...inside.mounts import mounted
from ..words import reason_of
from .parent_folders import EVERYTHING, Plan, WatchedFolder

POLLED_EVERY = 2.0  # seconds
TRIED_AGAIN_EVERY = 600.0  # seconds: the process that used up the system's watches may have ended
_STOPS_WITHIN = 0.2  # seconds; watchdog's threads end with the process anyway
_IDLE = 3600.0  # seconds that watchdog's threads may sleep; they are woken by events
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ENOMEM, errno.ENOSYS)

_Kinds = list[type[events.FileSystemEvent]]
_MADE: _Kinds = [events.FileCreatedEvent, events.FileMovedEvent, events.DirCreatedEvent]
_MOVES: _Kinds = [*_MADE, events.FileDeletedEvent, events.DirDeletedEvent, events.DirMovedEvent]
# Times and modes. Before watchdog 7, setting a file's time, as for `changed` in a store, counts as a modification.
_ATTRIBUTES: _Kinds = [events.FileAttribEvent] if hasattr(events, "FileAttribEvent") else []
_WRITES: _Kinds = [*_MOVES, *_ATTRIBUTES, events.FileModifiedEvent, events.FileClosedEvent]
_ARRIVALS: _Kinds = [*_MADE, events.FileClosedEvent]

# Before watchdog 6 (Debian 12 has 2.2), observers cannot filter events; the handler ignores the others.
_CAN_FILTER = "event_filter" in inspect.signature(BaseObserver.schedule).parameters

# Types of file systems that other machines may change unnoticed by this kernel, or the beginnings of their names.
_REMOTE = re.compile("nfs|cifs|smb|9p|afs|ceph|coda|fuse|gfs|glusterfs|lustre|vboxsf|virtiofs")

logging.getLogger("watchdog").addHandler(logging.NullHandler())  # not to standard error, which is our log


class Watcher:
    """Watches the folders of a plan (see `parent_folders`), and one folder where new files arrive.

    Threads of the package watchdog call `on_change` and `on_arrival`. `say` gets a message with the reason when polling
    begins, and another when the system offers change events again.
    """

    def __init__(
        self, on_change: Callable[[], None], on_arrival: Callable[[], None], say: Callable[[str], None]
    ) -> None:
        self._on_change, self._on_arrival, self._say = on_change, on_arrival, say
        self._has_complained = False
        self._start()

    def _start(self) -> None:
        self._watches: dict[str, _Watch] = {}
        self._native: Any = None
        self._is_exhausted = False  # then existing native watches stay, and everything else is polled
        self._try_again_at = 0.0  # on the monotonic clock
        self._polling: Any = None
        try:
            self._native = Observer(timeout=_IDLE)
            self._native.start()
        except (OSError, RuntimeError) as error:
            self._give_up_native(error)

    @property
    def method(self) -> str:
        """How folders are watched: by events, polling, or both. If neither works, the daemon looks every minute."""
        used = [("events", self._native), ("polling", self._polling)]
        return " and ".join(name for name, observer in used if observer is not None) or "a look every minute"

    def watch(self, plan: Plan, arrivals: str | None = None) -> bool:
        """Watch these folders from now on, and no others. Returns whether any of them was not watched before.

        Earlier changes in such a folder were not noticed, so the caller must look again.
        """
        if self._is_exhausted and time.monotonic() >= self._try_again_at:
            self.stop()
            self._start()
        wanted: dict[str, WatchedFolder | None] = {**plan}
        if arrivals is not None:
            wanted[os.path.realpath(arrivals)] = None
        for folder, watch in list(self._watches.items()):
            if folder not in wanted or not watch.is_still_right(wanted[folder]):
                watch.end()
                del self._watches[folder]
        fresh = [folder for folder in wanted if folder not in self._watches]
        for folder, place in wanted.items():
            if folder in self._watches:
                self._watches[folder].place = place
            else:
                self._begin(folder, place)
        if self._has_complained and not self._is_exhausted:
            self._has_complained = False
            self._say("the system offers change events again")
        return any(folder in self._watches for folder in fresh)

    def stop(self) -> None:
        for observer in (self._native, self._polling):
            if observer is not None:
                observer.stop()
                observer.join(_STOPS_WITHIN)

    def _begin(self, folder: str, place: WatchedFolder | None) -> None:
        watch = _Watch(folder, place, self._on_arrival if place is None else self._on_change)
        try:
            watch.status = os.stat(folder)
            if self._native is not None and not self._is_exhausted and not is_remote(watch.status.st_dev):
                watch.begin(self._native)
                self._watches[folder] = watch
                return
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                return  # it has vanished, or cannot be read: the regular look at the files must suffice
            self._give_up_native(error)
        except RuntimeError:
            return  # no thread can be started now: the next look tries again
        if place is None:
            return  # anybody can fill it, so listing it again and again costs too much
        with suppress(OSError, RuntimeError):
            watch.begin(self._poller())
            watch.status = os.stat(folder)
            self._watches[folder] = watch

    def _poller(self) -> Any:
        if self._polling is None:
            polling = PollingObserver(timeout=POLLED_EVERY)
            polling.start()
            self._polling = polling
        return self._polling

    def _give_up_native(self, error: OSError | RuntimeError) -> None:
        if not self._has_complained:
            self._has_complained = True
            reason = reason_of(error)
            self._say(f"the system offers no more change events ({reason}): polling every {POLLED_EVERY:.0f} s instead")
        self._is_exhausted = True
        self._try_again_at = time.monotonic() + TRIED_AGAIN_EVERY
        if not self._watches:
            if self._native is not None and self._native.is_alive():
                self._native.stop()
            self._native = None


class _Watch(events.FileSystemEventHandler):
    """A watched folder. It reports the events that matter in it; if `place` is None, only new files matter."""

    status: os.stat_result  # of the folder, when it began to be watched
    _observer: Any
    _scheduled: Any  # what the observer calls this watch

    def __init__(self, folder: str, place: WatchedFolder | None, tell: Callable[[], None]) -> None:
        self.place = place
        self._folder, self._tell = folder, tell
        self._kinds = _kinds(place)
        self._is_gone = False

    def begin(self, observer: Any) -> None:
        """Let this observer report events. Raises OSError, and RuntimeError if the observer cannot start a thread."""
        only: dict[str, Any] = {"event_filter": self._kinds} if _CAN_FILTER else {}
        self._observer, self._scheduled = observer, observer.schedule(self, self._folder, **only)

    def end(self) -> None:
        with suppress(KeyError, OSError):
            self._observer.unschedule(self._scheduled)

    def is_still_right(self, place: WatchedFolder | None) -> bool:
        """Whether the path still leads to the watched folder, and `place` needs the events that the watch reports."""
        try:
            is_same = os.path.samestat(os.stat(self._folder), self.status)
        except OSError:
            return False
        return is_same and self._kinds is _kinds(place) and not self._is_gone

    def dispatch(self, event: events.FileSystemEvent) -> None:
        if not isinstance(event, tuple(self._kinds)):
            return
        destination = getattr(event, "dest_path", "")  # before watchdog 6, only moves have one
        paths = [os.fsdecode(path) for path in (event.src_path, destination) if path]
        if self._folder in paths:
            self._is_gone = True  # if it is made again at once, it may have the old inode number
        elif self.place is not None and self.place.names.isdisjoint([EVERYTHING, *map(os.path.basename, paths)]):
            return
        self._tell()


def _kinds(place: WatchedFolder | None) -> _Kinds:
    """The types of events that matter in a folder; `place` is None for the folder where new files arrive."""
    return _ARRIVALS if place is None else _WRITES if place.is_written_to else _MOVES


def is_remote(device: int, mounts: str | None = None) -> bool:
    """Whether the file system with this device number may change without events. `mounts` is the text of mountinfo."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    mount = next((mount for mount in mounted(os.fsencode(mounts) if mounts else None) if mount.device == wanted), None)
    return mount is not None and _REMOTE.match(mount.type) is not None
