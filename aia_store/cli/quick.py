"""The one command that must be quick."""

from __future__ import annotations

import sys

from ..inside import settings as config
from ..manager import bundle
from .errors import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..inside.settings import Settings


def print_bundle(*, rebuild: bool = False) -> int:
    """Print the path of the bundle, built first if it is missing or stale; returns the exit status."""
    settings = config.load()
    path = _built(settings) if rebuild else usable_bundle(settings)
    sys.stdout.write(f"{path}\n")
    return 0


def usable_bundle(settings: Settings) -> str:
    """The path of the bundle, built first if it must be; of the last good one, with a warning, if it cannot be."""
    path = bundle.fresh(settings)
    if path is not None:
        return path
    if not sys.stderr.isatty():
        return bundle.path(settings, say)
    from .output import progress

    with progress("Building the bundle") as bar:
        return bundle.path(settings, say, bar)


def _built(settings: Settings) -> str:
    from .output import progress

    with progress("Building the bundle") as bar:
        return bundle.build(settings, progress=bar)
