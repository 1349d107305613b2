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
    mac = sys.platform == "darwin"
    return _first_of("XDG_CACHE_HOME") or _home(*(("Library", "Caches") if mac else (".cache",)))


def site_cache() -> str | None:
    """The store of the whole machine."""
    if sys.platform == "win32":
        return _windows("PROGRAMDATA", "Cache")
    return os.path.join("/Library/Caches" if sys.platform == "darwin" else "/var/cache", NAME)


def user_config() -> str | None:
    """Where the user's config.toml lies."""
    if sys.platform == "win32":
        return _windows("LOCALAPPDATA")
    mac = sys.platform == "darwin"
    return _first_of("XDG_CONFIG_HOME") or _home(*(("Library", "Application Support") if mac else (".config",)))


def site_config() -> str | None:
    """Where the machine's config.toml lies."""
    if sys.platform == "win32":
        return _windows("PROGRAMDATA")
    default = "/Library/Application Support" if sys.platform == "darwin" else "/etc/xdg"
    return _first_of("XDG_CONFIG_DIRS") or os.path.join(default, NAME)


def _first_of(variable: str) -> str | None:
    """Our folder in the first absolute path of an XDG variable; the others the specification says to ignore."""
    separator = os.pathsep if variable.endswith("_DIRS") else None
    paths = os.environ.get(variable, "").split(separator) if separator else [os.environ.get(variable, "")]
    return next((os.path.join(path, NAME) for path in paths if os.path.isabs(path)), None)


def _home(*parts: str) -> str | None:
    if os.environ.get("HOME", "/") == "":
        return None
    home = os.path.expanduser("~")
    return os.path.join(home, *parts, NAME) if os.path.isabs(home) else None


def _windows(variable: str, *parts: str) -> str | None:
    base = os.environ.get(variable, "")
    return os.path.join(base, NAME, *parts) if base else None
