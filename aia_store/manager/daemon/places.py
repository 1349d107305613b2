"""Which folders have to be watched for a path to be watched, and whether what is there has changed."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_HOPS = 40  # symbolic links in one path, as Linux has it
MOST_ENTRIES = 4_096  # of a folder that are looked at
EVERYTHING = "*"  # every name in this folder matters


class WatchedFolder:
    """What matters in a folder: the names that come and go there, and whether writing to one of them does too."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.is_written_to = False


Plan = dict[str, WatchedFolder]


def plan(paths: Iterable[str]) -> Plan:
    """The real folders that these paths go through, and what matters in each.

    A path that is a folder matters with everything in it. Symbolic links are followed by hand, as each of them may
    be turned; where something is missing, the last folder that is there will show its coming.
    """
    found: Plan = {}
    for path in paths:
        for folder, name in _hops(path):
            place = found.setdefault(folder, WatchedFolder())
            place.names.add(name)
            place.is_written_to |= not os.path.isdir(os.path.join(folder, name))
        if os.path.isdir(path):
            place = found.setdefault(os.path.realpath(path), WatchedFolder())
            place.names.add(EVERYTHING)
            place.is_written_to = True
    return found


def _hops(path: str) -> Iterator[tuple[str, str]]:
    """Each (real folder, name in it) on the way to an absolute path, the target of every link included."""
    where = PurePath(os.path.abspath(path))
    folder, ahead = where.anchor, list(where.parts[1:])
    links = 0
    while ahead:
        name = ahead.pop(0)
        if name == os.pardir:
            folder = os.path.dirname(folder)
            continue
        yield folder, name
        following = os.path.join(folder, name)
        try:
            target = PurePath(os.readlink(following))
        except OSError:  # no link, or nothing there
            if not os.path.isdir(following):
                return
            folder = following
            continue
        links += 1
        if links > MOST_HOPS:
            return
        if target.is_absolute():
            folder = target.anchor
        ahead[:0] = [part for part in target.parts if part != target.anchor]


def identity(path: str) -> tuple[object, ...]:
    """What changes when a file, or a folder with what is in it, changes; empty where nothing is."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    own = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if not os.path.isdir(path):
        return own
    try:
        names = sorted(os.listdir(path))[:MOST_ENTRIES]
    except OSError:
        return own
    return (*own, *((name, _of_entry(os.path.join(path, name))) for name in names))


def _of_entry(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def folder_identity(path: str) -> tuple[int, ...]:
    """What changes when a name comes to a folder or leaves it, however many there are; empty where it is missing."""
    return _of_entry(path)
