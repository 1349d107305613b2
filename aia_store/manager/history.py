"""What became of each certificate of a store, and how the last refresh went.

The file `history` has one line of JSON per event, the newest last, and at most `MOST_EVENTS` lines. Only `aia-store
show` and `status` read it. If it cannot be written, nothing is remembered.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable
from typing import NamedTuple

from ..inside.certificate import Certificate
from ..inside.store import HISTORY, LAST_REFRESH, Folder, read_regular_file

MOST_EVENTS = 10_000
LONGEST_TEXT = 500
_LARGEST_FILE = 16 << 20


class Dropped(NamedTuple):
    """A file that was removed from the store or should be, and why; `certificate` is None if the file holds none."""

    path: str
    certificate: Certificate | None
    reason: str


class Renewed(NamedTuple):
    """A successor that was fetched and kept, and the intermediate that it replaces, which soon expires."""

    certificate: Certificate
    old: Certificate
    url: str


class Event(NamedTuple):
    """What happened to a certificate, named by its fingerprint, and when (seconds since 1970)."""

    at: float
    fingerprint: str
    what: str  # "dropped", "renewed" or "learned"
    why: str


class LastRefresh(NamedTuple):
    """When the last refresh ended (seconds since 1970), and how."""

    at: float
    failed: bool
    message: str


def note_dropped(home: Folder | None, dropped: Iterable[Dropped]) -> None:
    """Write down which certificates left the store, and why."""
    now = time.time()
    events = [Event(now, one.certificate.fingerprint, "dropped", one.reason) for one in dropped if one.certificate]
    _append(home, events)


def note_renewed(home: Folder | None, renewed: Iterable[Renewed]) -> None:
    """Write down which intermediate replaced which: one event for the old one, and one for the new one."""
    now = time.time()
    events = []
    for one in renewed:
        old, new = one.old.fingerprint, one.certificate.fingerprint
        events.append(Event(now, old, "renewed", f"by {new} from {one.url}"))
        events.append(Event(now, new, "learned", f"in place of {old} from {one.url}"))
    _append(home, events)


def of(folders: Iterable[Folder], start: str) -> list[Event]:
    """The events of the certificates whose fingerprint starts with `start`, the oldest first."""
    found = {event for folder in folders for event in _read(folder) if event.fingerprint.startswith(start)}
    return sorted(found)


def note_refresh(home: Folder | None, message: str, *, failed: bool) -> None:
    """Write down how a refresh went, as `last_refresh` returns it."""
    last = LastRefresh(time.time(), failed, message[:LONGEST_TEXT])
    _write(home, LAST_REFRESH, json.dumps(last._asdict()))


def last_refresh(folders: Iterable[Folder]) -> LastRefresh | None:
    """When and how the last refresh of these folders ended; None if none is recorded."""
    found = []
    for folder in folders:
        try:
            noted = json.loads(read_regular_file(os.path.join(folder.path, LAST_REFRESH), 65_536))
            found.append(LastRefresh(float(noted["at"]), noted["failed"] is True, str(noted["message"])))
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            continue
    return max(found, default=None)


def _append(home: Folder | None, events: list[Event]) -> None:
    if home is not None and events:
        kept = [*_read(home), *(event._replace(why=event.why[:LONGEST_TEXT]) for event in events)][-MOST_EVENTS:]
        _write(home, HISTORY, "".join(f"{json.dumps(event)}\n" for event in kept))


def _write(home: Folder | None, name: str, text: str) -> None:
    if home is not None:
        with contextlib.suppress(OSError):  # the disk is full, or the folder belongs to another user
            home.write(text.encode(), name)


def _read(folder: Folder) -> list[Event]:
    """The valid events in the folder's file `history`, which may contain anything."""
    try:
        text = read_regular_file(os.path.join(folder.path, HISTORY), _LARGEST_FILE).decode("utf-8", "replace")
    except OSError:
        return []
    return [event for event in map(_event, text.splitlines()) if event is not None]


def _event(line: str) -> Event | None:
    try:
        at, fingerprint, what, why = json.loads(line)
        return Event(float(at), str(fingerprint), str(what), str(why))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
