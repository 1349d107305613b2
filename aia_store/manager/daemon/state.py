"""The daemon's state, in a file in the store folder for `aia-store status`. Also says whether the daemon runs."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from ...inside.locks import is_held
from ...inside.store import DAEMON_STATE, LOCKS, Folder, read_regular_file
from ..words import one_line

LOCK = "daemon"
_LARGEST = 65_536
_LONGEST_TEXT = 1_000


class Last(NamedTuple):
    """The daemon's last action: its name, when it ended (seconds since 1970), its outcome, and whether it failed."""

    action: str
    at: float
    outcome: str
    failed: bool


class DaemonState(NamedTuple):
    """What the daemon reports about itself. Times are in seconds since 1970."""

    pid: int
    process: str  # distinguishes this process from a later one with the same number; empty if unknown
    since: float
    watching: str  # how files are watched
    refreshed: float | None = None  # the last successful refresh
    last: Last | None = None
    next_refresh: float | None = None


def write(folder: Folder, state: DaemonState) -> None:
    """Write the state to disk. Raises OSError."""
    last = state.last._asdict() if state.last is not None else None
    folder.write(json.dumps(state._asdict() | {"last": last}).encode(), DAEMON_STATE, mode=0o644)


def read(folder: Folder) -> DaemonState | None:
    """Read the state that a daemon wrote to this store folder; None if there is no valid file."""
    try:
        found = json.loads(read_regular_file(os.path.join(folder.path, DAEMON_STATE), _LARGEST))
        last = found["last"]
        return DaemonState(
            int(found["pid"]),
            str(found["process"]),
            float(found["since"]),
            _text(found["watching"]),
            _time(found["refreshed"]),
            Last(_text(last["action"]), float(last["at"]), _text(last["outcome"]), last["failed"] is True)
            if last is not None
            else None,
            _time(found["next_refresh"]),
        )
    except (OSError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def running(folder: Folder) -> DaemonState | None:
    """The state of the daemon that runs for this folder; None if none runs."""
    state = read(folder)
    if state is None:
        return None
    held = is_held(os.path.join(folder.path, LOCKS, LOCK))
    if held is None:  # this user may not look at the lock
        held = _lives(state)
    return state if held else None


def process_mark(pid: int | str = "self") -> str:
    """When a process started, in ticks since boot; empty if unknown. A later process with the same pid has another."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # Field 22 of proc(5). Field 2, the name, is in parentheses and may contain anything.
            return file.read().rpartition(b")")[2].split()[19].decode("ascii")
    except (OSError, ValueError, IndexError):
        return ""


def _lives(state: DaemonState) -> bool:
    try:
        os.kill(state.pid, 0)
    except PermissionError:
        pass  # it belongs to another user
    except (OSError, OverflowError):
        return False
    mark = process_mark(state.pid)
    return not mark or not state.process or mark == state.process


def _text(value: object) -> str:
    return one_line(str(value))[:_LONGEST_TEXT]


def _time(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]  # a TypeError is caught above
