"""The CA file that an environment variable names, for systems without a place of their own (Nix)."""

from __future__ import annotations

import os

from ...inside.ownership import changed_by_others
from ...inside.settings import serves_others
from ..published import NAMING_VARIABLES


def files() -> list[str]:
    """The files that SSL_CERT_FILE and NIX_SSL_CERT_FILE name, each once. They may not exist.

    Where this process serves other users, only files that they cannot change: `sudo -E` keeps the caller's variables.
    """
    named = [os.path.abspath(path) for path in map(os.environ.get, NAMING_VARIABLES) if path]
    return [path for path in dict.fromkeys(named) if not is_unsafe(path)]


def is_unsafe(path: str) -> bool:
    """Whether this process serves other users, and they can change the file."""
    return serves_others() and changed_by_others(path) is not None
