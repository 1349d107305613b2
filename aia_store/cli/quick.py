"""The one command that must be quick."""

from __future__ import annotations

import sys

from .. import bundle, config


def print_bundle(*, rebuild: bool = False) -> int:
    """Print the path of the bundle, built first if it is missing or stale; returns the exit status."""
    settings = config.load()
    path = bundle.build(settings) if rebuild else bundle.path(settings)
    sys.stdout.write(f"{path}\n")
    return 0
