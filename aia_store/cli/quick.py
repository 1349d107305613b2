"""The command bundle, which must be fast."""

from __future__ import annotations

import os
import sys

from ..inside import settings as config
from ..manager import bundle
from .errors import NO, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..inside.settings import Settings
    from ..manager.bundle import BundleForm


def print_bundle(form: BundleForm, *, rebuild: bool = False) -> int:
    """Print the path of the bundle in this form, after building it if needed; returns the exit status."""
    settings = config.load()
    path, status = (_built(settings, form), 0) if rebuild else usable_bundle(settings, form)
    print_exactly(f"{path}\n")
    return status


def print_exactly(text: str) -> None:
    """Print text with paths in it, for a shell: in their own bytes, whatever the encoding of the output is."""
    if os.name == "posix":
        sys.stdout.buffer.write(os.fsencode(text))
    else:
        sys.stdout.write(text)


def usable_bundle(settings: Settings, form: BundleForm = bundle.FILE) -> tuple[str, int]:
    """Return the path of the bundle in this form, after building it if needed, and the exit status.

    If it cannot be built, this is the last good one, with a line on standard error. The status is 1 if the reason is a
    problem with the machine's trust anchors.
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


def _brought_up_to_date(settings: Settings, form: BundleForm) -> str:
    if not sys.stderr.isatty():
        return bundle.path(settings, say, form=form)
    from .output import progress

    with progress("Building the bundle") as bar:
        return bundle.path(settings, say, bar, form)


def _built(settings: Settings, form: BundleForm) -> str:
    if not sys.stderr.isatty():
        return bundle.build(settings, form=form)
    from .output import progress

    with progress("Building the bundle") as bar:
        return bundle.build(settings, progress=bar, form=form)
