"""Whether other users can change a file.

If others can change a file, root does not trust it or run it. The same holds for the user who owns the site's store.
"""

from __future__ import annotations

import os
import stat

from . import importing, unless_interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

MOST_LINKS = 40  # as Linux follows (path_resolution(7))


def changed_by_others(path: str, trusted_groups: Container[int] = ()) -> str | None:
    """Return the first part of a path that users other than root and this user can change; None if there is none.

    The parts are each folder on the way, each link (links are followed) and the file itself. In a sticky folder such as
    /tmp, only the owner of an entry can rename or remove it, so root's entries are safe there. In a file system that is
    mounted read-only, nobody can change a file, whatever its mode: a ConfigMap in a container has mode 777. Users can
    change any file system that they have mounted (FUSE). They can change a path that does not exist if they can put
    something into its last existing folder, sticky or not. A part that we cannot examine counts as changeable.
    """
    missing, links = os.path.abspath(path).split(os.sep)[:0:-1], 0
    at, trusted_users = os.sep, (0, os.geteuid())
    device: int | None = None
    while True:
        try:
            status = os.lstat(at)
        except FileNotFoundError:
            return filled_by_others(os.path.dirname(at), trusted_groups)
        except unless_interrupted(OSError):
            return at
        if status.st_uid not in trusted_users or (_is_writable(status, trusted_groups) and not _is_read_only(at)):
            return at
        if device not in (None, status.st_dev) and not os.major(status.st_dev) and _mounted_by(at) not in trusted_users:
            return at
        device = status.st_dev
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > MOST_LINKS:
                return None  # too many links, so the path leads nowhere; only root can change that
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


def filled_by_others(folder: str, trusted_groups: Container[int] = ()) -> str | None:
    """Return the folder, sticky or not, if users other than its owner can put something into it; else None.

    A user can put another user's file there, by a hard link. Symbolic links are not followed.
    """
    try:
        status = os.lstat(folder)
    except unless_interrupted(OSError):
        return folder
    return folder if _lets_others_write(status, trusted_groups) and not _is_read_only(folder) else None


def _is_writable(status: os.stat_result, trusted_groups: Container[int]) -> bool:
    """Whether users other than the owner can change a file, or rename and remove other users' files in a folder."""
    if stat.S_ISLNK(status.st_mode) or (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        return False
    return _lets_others_write(status, trusted_groups)


def _lets_others_write(status: os.stat_result, trusted_groups: Container[int]) -> bool:
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in trusted_groups
    return bool(status.st_mode & stat.S_IWOTH or by_group)


def _is_read_only(path: str) -> bool:
    with importing:
        from .mounts import nobody_can_write

    return nobody_can_write(path)


def _mounted_by(path: str) -> int:
    with importing:
        from .mounts import mounted_by

    return mounted_by(path)
