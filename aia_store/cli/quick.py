"""The one command that must be quick."""

from __future__ import annotations

import sys

from .. import bundle, config
from .errors import NO, report, say


def print_bundle(*, rebuild: bool = False) -> int:
    """Print the path of the bundle, built first if it is missing or stale; returns the exit status."""
    try:
        settings = config.load()
        path = bundle.build(settings) if rebuild else bundle.path(settings)
    except Exception as error:
        return report(error)
    except KeyboardInterrupt:
        say("stopped")
        return NO
    sys.stdout.write(f"{path}\n")
    return 0
