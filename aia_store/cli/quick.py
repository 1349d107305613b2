"""The one command that must be quick."""

from __future__ import annotations

import sys

from ..inside import settings as config
from ..manager import bundle
from .errors import NO, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..inside.settings import Settings
    from ..manager.bundle import Form


def print_bundle(form: Form, *, rebuild: bool = False) -> int:
    """Print the path of the bundle in this form, built first if it is missing or stale; returns the exit status."""
    settings = config.load()
    path, status = (_built(settings, form), 0) if rebuild else usable_bundle(settings, form)
    sys.stdout.write(f"{path}\n")
    return status


def usable_bundle(settings: Settings, form: Form = bundle.FILE) -> tuple[str, int]:
    """The path of the bundle in this form, built first if it must be, and the exit status.

    If it cannot be built, it is the last good one, with a line on standard error; and where that is for the machine's
    trust anchors, the status is 1.
    """
    path = bundle.fresh(settings, form)
    if path is not None:
        return path, 0
    from ..manager.roots import RootsError

    try:
        return _brought_up_to_date(settings, form), 0
    except RootsError as error:
        last = bundle.last_good(settings, form)
        if last is None:
            raise
        say(f"{error}; this is the last good bundle")
        return last, NO


def _brought_up_to_date(settings: Settings, form: Form) -> str:
    if not sys.stderr.isatty():
        return bundle.path(settings, say, form=form)
    from .output import progress

    with progress("Building the bundle") as bar:
        return bundle.path(settings, say, bar, form)


def _built(settings: Settings, form: Form) -> str:
    if not sys.stderr.isatty():
        return bundle.build(settings, form=form)
    from .output import progress

    with progress("Building the bundle") as bar:
        return bundle.build(settings, progress=bar, form=form)
