"""The CA file that the environment names: the machine's, where the system has no place of its own (Nix)."""

from __future__ import annotations

import os

from ...inside.ownership import changed_by_others
from ..published import NAMING_VARIABLES


def files() -> list[str]:
    """What SSL_CERT_FILE and NIX_SSL_CERT_FILE name, there or not, each once.

    For root, only what no other user can change: `sudo -E` keeps the variables of whoever calls it.
    """
    named = [os.path.abspath(path) for path in map(os.environ.get, NAMING_VARIABLES) if path]
    return [path for path in dict.fromkeys(named) if not (_is_root() and changed_by_others(path))]


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
