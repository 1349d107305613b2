"""What goes wrong, as one clear line on standard error and an exit status."""

from __future__ import annotations

import sys

from .. import config

NO, WRONG_USE = 1, 2


def report(error: Exception) -> int:
    """Print an error of ours; returns the exit status: 2 for wrong use, 1 else. Any other exception is raised."""
    if type(error).__module__.split(".")[0] != "aia_store":
        raise error
    message = " ".join(str(error).split())
    sys.stderr.write(f"aia-store: {message}\n")
    return WRONG_USE if isinstance(error, config.ConfigError) or getattr(error, "is_wrong_use", False) else NO
