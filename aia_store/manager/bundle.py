"""The merged CA bundle: the machine's trust anchors, and intermediates that were needed here.

The rules in `exportable` decide which intermediates it contains. Before the bundle is published, OpenSSL loads and
counts it. A reader sees either the old or the new file, complete.
"""

from __future__ import annotations

import json
import os
import time

from ..inside import locks
from ..inside.certificate import to_pem
from ..inside.store import BUNDLE, BUNDLE_STATE, folders_of, open_store
from .published import (
    NAMING_VARIABLES,
    REBUILT_EVERY,
    changes,
    counts,
    file_identity,
    fresh,
    is_fresh,
    last_good,
    standing,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..inside.certificate import Certificate
    from ..inside.settings import Settings
    from ..inside.store import Folder
    from .roots import Source
    from .verify import Verifier

    Progress = Callable[[int, int], None]

__all__ = [  # including names from `published`
    "REBUILT_EVERY",
    "BundleError",
    "build",
    "counts",
    "fresh",
    "is_fresh",
    "last_good",
    "path",
    "standing",
]

LONGEST_WAIT = 30.0  # seconds, while another process builds it
_unseen: Progress = lambda done, total: None  # noqa: E731  # if nobody watches


class BundleError(Exception):
    """No bundle can be built or published. The message is one line that says why and what to do."""


def path(settings: Settings, warn: Callable[[str], None] = lambda line: None, progress: Progress = _unseen) -> str:
    """Return the path of the bundle, after building it if it is missing or stale.

    If it cannot be built but there is an earlier one, this is returned, and `warn` is called with the reason in one
    line. Raises BundleError. Raises RootsError, even if there is an earlier one (see `last_good`).
    """
    bundle = fresh(settings)
    if bundle is not None:
        return bundle
    last = last_good(settings)
    if last is not None:
        from . import clock, roots

        doubt = clock.doubt(settings, roots.load(roots.source(settings)))
        if doubt is not None and standing(settings, same_roots=True):
            warn(f"{doubt}; until then the last bundle stays")
            return last
    try:
        return build(settings, progress=progress)
    except BundleError as error:
        if last is None:
            raise
        warn(f"{error}; this is the last good bundle")
        return last


def build(settings: Settings, verifier: Verifier | None = None, progress: Progress = _unseen) -> str:
    """Build and publish the bundle; returns its path. Raises BundleError, RootsError.

    If a `verifier` has just verified what is in the store, this is not done again. `progress` is called with the number
    of finished intermediates and of all.
    """
    home = _home(settings)
    try:
        lock = locks.acquire(home, "bundle", time.monotonic() + LONGEST_WAIT)
    except locks.LockError as error:
        raise BundleError(f"{error}; set AIA_STORE_DIR to a folder of yours") from error
    if lock is None:
        raise BundleError(f"another process has been building the bundle in {home.path} for too long; try again")
    try:
        return _publish(settings, home, verifier, progress)
    except OSError as error:
        raise BundleError(f"{home.path} cannot be written ({error.strerror})") from error
    finally:
        lock.release()


def _publish(settings: Settings, home: Folder, verifier: Verifier | None, progress: Progress) -> str:
    from . import roots
    from .exportable import Export

    changed = changes(settings)
    source = roots.source(settings)
    identities = [[path, file_identity(path)] for path in roots.watched(source)]
    anchors = roots.load(source)
    store = open_store(settings)
    if verifier is not None and verifier.roots != anchors:
        verifier = None  # the machine's trust anchors have changed since
    needed = store.certificates()
    intermediates = Export(anchors, store, verifier).among(needed, progress) if needed else []
    text = _text(anchors, intermediates)
    if not _loads(text, len(anchors) + len(intermediates)):
        raise BundleError(f"OpenSSL does not load every trust anchor in {source.path}; remove those that it refuses")
    published = home.write(text, BUNDLE, mode=0o644, durable=True)
    status = os.stat(published)
    state = {
        "built": time.time(),
        "until": min((certificate.validity[1] for certificate in intermediates), default=2**40),
        "bundle": [status.st_size, status.st_mtime_ns],
        "roots_set": settings.roots,
        "source": None if source.is_fallback else source.path,
        "roots": identities,
        "named": _named(source, published),
        "changes": changed,
        "counts": [len(anchors), len(intermediates)],
    }
    home.write(json.dumps(state).encode(), BUNDLE_STATE, mode=0o644)
    return published


def _named(source: Source, published: str) -> list[str] | None:
    """The values of the variables that name a CA file for which the bundle is not stale; None if any value is."""
    if not source.preferred:
        return None
    return ["", published, *(os.environ.get(name, "") for name in NAMING_VARIABLES)]


def _text(anchors: list[Certificate], intermediates: list[Certificate]) -> bytes:
    from .roots import BUNDLE_MARK

    heading = BUNDLE_MARK + f"{len(anchors)} trust anchors, {len(intermediates)} intermediates\n".encode()
    return heading + "".join(to_pem(certificate.der) for certificate in [*anchors, *intermediates]).encode("ascii")


def _loads(text: bytes, count: int) -> bool:
    """Whether OpenSSL loads this number of certificates from the text."""
    import _ssl

    context: Any = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=text.decode("ascii"))
    except _ssl.SSLError:
        return False
    return bool(context.cert_store_stats()["x509"] == count)


def _home(settings: Settings) -> Folder:
    """The store folder in which bundles are published. Raises BundleError if none can be written."""
    home = open_store(settings).home
    if home is None:
        tried = ", ".join(folder.fault() or f"{folder.path} cannot be written" for folder in folders_of(settings))
        raise BundleError(f"the bundle has no place: {tried}; set AIA_STORE_DIR to a folder of yours")
    return home
