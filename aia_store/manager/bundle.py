"""The merged CA bundle: the machine's trust anchors and intermediates, as a file and as a folder.

The file holds the intermediates that handshakes needed here. The trust folder holds the preloaded ones too, and is made
once it is asked for. `published` says whether the last bundle is fresh, and `publication` builds a new one.
"""

from __future__ import annotations

import time

from ..inside import locks
from ..inside.settings import Settings
from ..inside.store import folders_of, open_store
from .published import FILE, FOLDER, BundleError, BundleForm, forms_in, fresh, last_good, standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .verify import Verifier

    Progress = Callable[[int, int], None]

LONGEST_WAIT = 30.0  # seconds, while another process builds it
_unseen: Progress = lambda done, total: None  # noqa: E731  # if nobody watches


def path(
    settings: Settings,
    warn: Callable[[str], None] = lambda line: None,
    progress: Progress = _unseen,
    form: BundleForm = FILE,
) -> str:
    """Return the path of the bundle in this form, after building it if it is missing or stale.

    If it cannot be built, `warn` is called with the reason (one line), and the last good bundle's path is returned.
    Raises BundleError if there is none. Raises RootsError whenever the trust anchors cannot be read.
    """
    bundle = fresh(settings, form)
    if bundle is not None:
        return bundle
    last = last_good(settings, form)
    if last is not None:
        from . import clock, roots

        doubt = clock.doubt(settings, roots.load(roots.source(settings)))
        if doubt is not None and standing(settings, form, same_roots=True):
            warn(f"{doubt}; until then the last bundle stays")
            return last
    try:
        return build(settings, progress=progress, form=form)
    except BundleError as error:
        if last is None:
            raise
        warn(f"{error}; this is the last good bundle")
        return last


def build(
    settings: Settings, verifier: Verifier | None = None, progress: Progress = _unseen, form: BundleForm = FILE
) -> str:
    """Build and publish the bundle as a file and, if there is a trust folder or `form` is FOLDER, as a trust folder.

    Returns the path of this form. `verifier` may have verified the store just before; its verdicts are used. `progress`
    is called with the number of finished intermediates and the total. Raises BundleError and RootsError.
    """
    home = open_store(settings).home
    if home is None:
        tried = ", ".join(folder.fault() or f"{folder.path} cannot be written" for folder in folders_of(settings))
        raise BundleError(f"no folder can hold the bundle: {tried}; set AIA_STORE_DIR to a folder of yours")
    try:
        lock = locks.acquire(home, "bundle", time.monotonic() + LONGEST_WAIT)
    except locks.LockError as error:
        raise BundleError(f"{error}; set AIA_STORE_DIR to a folder of yours") from error
    if lock is None:
        raise BundleError(f"another process has been building the bundle in {home.path} for too long; try again")
    from .publication import Publication

    try:
        publication = Publication(settings, home, verifier, progress)
        publication.file()
        if form is FOLDER or FOLDER in forms_in(home):
            publication.folder()
        return form.path(home)
    except OSError as error:
        raise BundleError(f"{home.path} cannot be written ({error.strerror})") from error
    finally:
        lock.release()
