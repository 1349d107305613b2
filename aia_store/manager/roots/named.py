"""The CA file that an environment variable names, for systems without a place of their own (Nix)."""

from __future__ import annotations

import os
import stat

from ..published import NAMING_VARIABLES


def files() -> list[str]:
    """The files that SSL_CERT_FILE and NIX_SSL_CERT_FILE name, each once. They may not exist.

    For root, only files that no other user can change, because `sudo -E` keeps the caller's variables.
    """
    named = [os.path.abspath(path) for path in map(os.environ.get, NAMING_VARIABLES) if path]
    return [path for path in dict.fromkeys(named) if not (_is_root() and others_can_change(path))]


def others_can_change(path: str) -> bool:
    """Whether a user other than root can change or replace a file; False if it does not exist."""
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
    # In a folder with the sticky bit, only root can replace root's files (/tmp, /nix/store).
    is_sticky_folder = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    return bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)) and not is_sticky_folder


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
