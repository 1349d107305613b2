"""Which folders to watch in order to notice changes of a path, and whether the path has changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import PurePath

MOST_HOPS = 40  # symbolic links in one path, like Linux
MOST_ENTRIES = 4_096  # that are read in a folder
EVERYTHING = "*"  # every name in this folder matters


class WatchedFolder:
    """What matters in a folder: the names that may appear or vanish, and whether writes to these files matter, too."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.is_written_to = False


Plan = dict[str, WatchedFolder]


def plan(paths: Iterable[str]) -> Plan:
    """The folders on these paths, by their real paths, and what matters in each.

    If a path is a folder, everything in it matters. Symbolic links are followed one by one, because each of them may be
    changed. If a part of a path is missing, the last existing folder is included, where the part may appear.
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
    """Yield a pair (real folder, name in it) for each step along a path, and along the targets of links on the way."""
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
        except OSError:  # it is no link, or does not exist
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
    """A value that changes whenever a file, a folder or an entry of the folder changes; empty if nothing is there."""
    own = own_identity(path)
    try:
        names = sorted(os.listdir(path))[:MOST_ENTRIES]
    except OSError:  # it is no folder, or cannot be listed
        return own
    return (*own, *((name, own_identity(os.path.join(path, name))) for name in names))


def own_identity(path: str) -> tuple[int, ...]:
    """A value that changes whenever a file changes, or a folder gains or loses a name; empty if nothing is there."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
