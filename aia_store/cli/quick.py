"""The command `bundle`, which must be fast because shells run it at their start."""

from __future__ import annotations

import os
import sys

from ..inside import settings as config
from ..manager import bundle, published
from .errors import NO, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..inside.settings import Settings
    from ..manager.bundle import Progress
    from ..manager.published import BundleForm


def print_bundle(form: BundleForm, *, rebuild: bool = False) -> int:
    """Print the path of the bundle in this form, after building it if needed; returns the exit status."""
    settings = config.load()
    if rebuild:
        path, status = _built(lambda bar: bundle.build(settings, progress=bar, form=form)), 0
    else:
        path, status = usable_bundle(settings, form)
    print_exactly(f"{path}\n")
    return status


def print_exactly(text: str) -> None:
    """Print text with paths for a shell. The bytes of paths are kept, whatever the encoding of the output is."""
    if os.name == "posix":
        sys.stdout.buffer.write(os.fsencode(text))
    else:
        sys.stdout.write(text)


def usable_bundle(settings: Settings, form: BundleForm = published.FILE) -> tuple[str, int]:
    """Return the path of the bundle in this form, after building it if needed, and the exit status.

    If it cannot be built, the path is that of the last good bundle, and a line on standard error says why. The status
    is 1 if the reason is a problem with the machine's trust anchors.
    """
    path = published.fresh(settings, form)
    if path is not None:
        return path, 0
    from ..manager.roots import RootsError

    try:
        return _built(lambda bar: bundle.path(settings, say, bar, form)), 0
    except RootsError as error:
        last = published.last_good(settings, form)
        if last is None:
            raise
        say(f"{error}; this is the last good bundle")
        return last, NO


def _built(build: Callable[[Progress], str]) -> str:
    """Build the bundle; returns its path. If standard error is a terminal, import rich and show a progress bar."""
    if not sys.stderr.isatty():
        return build(lambda done, total: None)
    from .output import progress

    with progress("Building the bundle") as bar:
        return build(bar)
