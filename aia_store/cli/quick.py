"""The command bundle, which must be fast."""

from __future__ import annotations

import sys

from ..inside import settings as config
from ..manager import bundle
from .errors import NO, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..inside.settings import Settings


def print_bundle(*, rebuild: bool = False) -> int:
    """Print the path of the bundle, after building it if it is missing or stale; returns the exit status."""
    settings = config.load()
    path, status = (_built(settings), 0) if rebuild else usable_bundle(settings)
    sys.stdout.write(f"{path}\n")
    return status


def usable_bundle(settings: Settings) -> tuple[str, int]:
    """Return the path of the bundle, after building it if needed, and the exit status.

    If it cannot be built, this is the last good one, with a line on standard error. The status is 1 if the reason is a
    problem with the machine's trust anchors.
    """
    path = bundle.fresh(settings)
    if path is not None:
        return path, 0
    from ..manager.roots import RootsError

    try:
        return _brought_up_to_date(settings), 0
    except RootsError as error:
        last = bundle.last_good(settings)
        if last is None:
            raise
        say(f"{error}; this is the last good bundle")
        return last, NO


def _brought_up_to_date(settings: Settings) -> str:
    if not sys.stderr.isatty():
        return bundle.path(settings, say)
    from .output import progress

    with progress("Building the bundle") as bar:
        return bundle.path(settings, say, bar)


def _built(settings: Settings) -> str:
    from .output import progress

    with progress("Building the bundle") as bar:
        return bundle.build(settings, progress=bar)
