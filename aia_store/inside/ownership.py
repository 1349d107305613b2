"""Whether other users can change a file: root trusts no file, and runs no program, that others can change."""

from __future__ import annotations

import os
import stat

from . import unless_interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

MOST_LINKS = 40  # as Linux follows (path_resolution(7))


def changed_by_others(path: str, trusted_groups: Container[int] = ()) -> str | None:
    """Return the first part of a path that users other than root can change; None if only root can change it.

    The parts are each folder on the way, each link (links are followed) and the file itself. In a sticky folder such as
    /tmp, only their owners can rename or remove entries, so root's entries are safe there. Where a file system is
    mounted read-only, nobody can, whatever the mode: that of a ConfigMap in a container is 777. If the path does not
    exist, its last existing folder decides who could make it. Raises nothing: a path that cannot be followed is not
    root's.
    """
    missing, links = os.path.abspath(path).split(os.sep)[:0:-1], 0
    at = os.sep
    while True:
        try:
            status = os.lstat(at)
        except FileNotFoundError:
            return None
        except unless_interrupted(OSError):
            return at
        if status.st_uid != 0 or (_is_writable(status, trusted_groups) and not _is_mounted_read_only(at)):
            return at
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > MOST_LINKS:
                return at
            target = os.readlink(at)
            missing += target.split(os.sep)[::-1]
            at = os.sep if os.path.isabs(target) else os.path.dirname(at)
            continue
        while missing and missing[-1] in ("", os.curdir):
            missing.pop()
        if not missing:
            return None
        part = missing.pop()
        at = os.path.dirname(at) if part == os.pardir else os.path.join(at, part)


def _is_writable(status: os.stat_result, trusted_groups: Container[int]) -> bool:
    """Whether users other than the owner can write to it."""
    if stat.S_ISLNK(status.st_mode) or (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        return False
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in trusted_groups
    return bool(status.st_mode & stat.S_IWOTH or by_group)


def _is_mounted_read_only(path: str) -> bool:
    """Whether this is where a file system is mounted, read-only.

    It is not enough that the file system is read-only: for a service with ProtectSystem=strict everything is, and users
    write there all the same.
    """
    try:
        return os.path.ismount(path) and bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except unless_interrupted(OSError):
        return False
