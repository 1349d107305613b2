"""Where the user's and the site's folders are: the names platformdirs gives, without importing it into programs.

A test holds the two together. Each function returns a path, or None where this user has no home.
"""

from __future__ import annotations

import os
import sys

NAME = "aia-store"


def user_cache() -> str | None:
    """The user's store."""
    if sys.platform == "win32":
        return _windows("LOCALAPPDATA", "Cache")
    if sys.platform == "darwin":
        return _home("Library", "Caches", NAME)
    return _xdg("XDG_CACHE_HOME", ".cache")


def site_cache() -> str | None:
    """The store of the whole machine."""
    if sys.platform == "win32":
        return _windows("PROGRAMDATA", "Cache")
    if sys.platform == "darwin":
        return os.path.join("/Library/Caches", NAME)
    return os.path.join("/var/cache", NAME)


def user_config() -> str | None:
    """Where the user's config.toml lies."""
    if sys.platform == "win32":
        return _windows("LOCALAPPDATA")
    if sys.platform == "darwin":
        return _home("Library", "Application Support", NAME)
    return _xdg("XDG_CONFIG_HOME", ".config")


def site_config() -> str | None:
    """Where the machine's config.toml lies."""
    if sys.platform == "win32":
        return _windows("PROGRAMDATA")
    if sys.platform == "darwin":
        return os.path.join("/Library/Application Support", NAME)
    first = os.environ.get("XDG_CONFIG_DIRS", "").split(os.pathsep)[0].strip()
    return os.path.join(first or "/etc/xdg", NAME)


def _home(*parts: str) -> str | None:
    home = os.path.expanduser("~")
    return os.path.join(home, *parts) if os.path.isabs(home) else None


def _xdg(variable: str, default: str) -> str | None:
    base = os.environ.get(variable, "").strip()
    return os.path.join(base, NAME) if base else _home(default, NAME)


def _windows(variable: str, *parts: str) -> str | None:
    base = os.environ.get(variable, "")
    return os.path.join(base, NAME, *parts) if base else None
