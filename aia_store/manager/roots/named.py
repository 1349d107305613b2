"""The CA file that the environment names: the machine's, where the system has no place of its own (Nix)."""

from __future__ import annotations

import os
import stat

from ..published import NAMING_VARIABLES


def files() -> list[str]:
    """What SSL_CERT_FILE and NIX_SSL_CERT_FILE name, there or not, each once.

    For root, only what no other user can change: `sudo -E` keeps the variables of whoever calls it.
    """
    named = [os.path.abspath(path) for path in map(os.environ.get, NAMING_VARIABLES) if path]
    return [path for path in dict.fromkeys(named) if not (_is_root() and others_can_change(path))]


def others_can_change(path: str) -> bool:
    """Whether a user who is not root can change a file, or put another in its place; False where it is missing."""
    ways = {os.path.abspath(path), os.path.realpath(path)}
    folders = {way[:at] or os.sep for way in ways for at, letter in enumerate(way) if letter == os.sep}
    return any(map(_is_open, ways | folders))


def _is_open(path: str) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    if status.st_uid != 0:
        return True
    # In a folder with the sticky bit, what is root's stays root's (/tmp, /nix/store).
    is_sticky_folder = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    return bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)) and not is_sticky_folder


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
