"""The merged CA bundle: the machine's trust anchors and the intermediates that were needed here.

To most programs an intermediate in a CA file is a trust anchor, and an expired one breaks servers that are right; so
what goes in is chosen by rules (`exportable`), and what is published was loaded and counted by OpenSSL before. A
reader sees the old file or the new one, whole.
"""

from __future__ import annotations

import json
import os
import time

from ..inside import locks
from ..inside.certificate import DERError, to_pem
from ..inside.store import BUNDLE, BUNDLE_STATE, folders_of, open_store, read_regular_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ..inside.certificate import Certificate
    from ..inside.settings import Settings
    from ..inside.store import Folder, Store
    from .verify import Verifier

    Progress = Callable[[int, int], None]

REBUILT_EVERY = 86_400  # seconds: a bundle older than this is stale
LONGEST_WAIT = 30.0  # seconds for another process that is building it
_unseen: Progress = lambda done, total: None  # noqa: E731  # where nobody watches


class BundleError(Exception):
    """No bundle can be built or published; the message is one line that says why and what to do."""


def path(settings: Settings, warn: Callable[[str], None] = lambda line: None, progress: Progress = _unseen) -> str:
    """The path of the bundle, built first if it is missing or stale. Raises BundleError, RootsError.

    Where it cannot be built anew but the last one stands, that one serves, and `warn` is told why in one line.
    """
    bundle = fresh(settings)
    if bundle is not None:
        return bundle
    last = standing(settings)
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


def fresh(settings: Settings) -> str | None:
    """The path of a bundle that need not be built anew; None where there is none.

    Nothing but this is imported for it: a shell's start-up file can afford it.
    """
    for folder in _places(settings):
        if is_fresh(settings, folder):
            return os.path.join(folder.path, BUNDLE)
    return None


def standing(settings: Settings, *, same_roots: bool = False) -> str | None:
    """The path of the last bundle that was published, be it stale; None where there is none, or not as it was.

    `same_roots`: only if the machine has the trust anchors that it was made of.
    """
    for folder in _places(settings):
        state = _read_state(folder)
        bundle = os.path.join(folder.path, BUNDLE)
        try:
            status = os.stat(bundle)
            whole = [status.st_size, status.st_mtime_ns] == state["bundle"]
            if whole and (not same_roots or _has_these_roots(settings, state)):
                return bundle
        except (OSError, KeyError, IndexError, TypeError, ValueError):
            continue
    return None


def _places(settings: Settings) -> list[Folder]:
    """The folders that a bundle may lie in: the one that is written, or where none can be, those that are read."""
    store = open_store(settings)
    home = store.home
    return store.folders if home is None else [home]


def _has_these_roots(settings: Settings, state: dict[str, Any]) -> bool:
    return bool(
        settings.roots == state["roots_set"]
        and state["roots"][0][1] is not None
        and all(file_identity(path) == identity for path, identity in state["roots"])
    )


def is_fresh(settings: Settings, home: Folder) -> bool:
    """Whether the bundle is there and made of what the trust anchors and the store are now."""
    state = _read_state(home)
    try:
        bundle = os.stat(os.path.join(home.path, BUNDLE))
        return bool(
            0 <= time.time() - state["built"] < REBUILT_EVERY
            and time.time() < state["until"]
            and [bundle.st_size, bundle.st_mtime_ns] == state["bundle"]
            and _has_these_roots(settings, state)
            and _changes(settings) == state["changes"]
        )
    except (OSError, KeyError, IndexError, TypeError, ValueError):
        return False  # nothing there, or a note that is not ours


def build(settings: Settings, verifier: Verifier | None = None, progress: Progress = _unseen) -> str:
    """Build and publish the bundle; returns its path. Raises BundleError, RootsError.

    `verifier` is one that has just verified what is in the store, so that it need not be done again; `progress` is
    told how many of how many intermediates are done.
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

    changes = _changes(settings)
    source = roots.source(settings)
    identities = [[path, file_identity(path)] for path in roots.watched(source)]
    anchors = roots.load(source)
    store = open_store(settings)
    if verifier is not None and verifier.roots != anchors:
        verifier = None  # the machine's trust has changed since
    intermediates = exportable(anchors, store, verifier=verifier, progress=progress)
    text = _text(anchors, intermediates)
    if not _loads(text, len(anchors) + len(intermediates)):
        anchors = [anchor for anchor in anchors if _loads(anchor.pem.encode("ascii"), 1)]
        text = _text(anchors, intermediates)
        if not _loads(text, len(anchors) + len(intermediates)):
            raise BundleError("OpenSSL does not load the new bundle whole; the old one stays")
    published = home.write(text, BUNDLE, mode=0o644, durable=True)
    status = os.stat(published)
    state = {
        "built": time.time(),
        "until": min((certificate.validity[1] for certificate in intermediates), default=2**40),
        "bundle": [status.st_size, status.st_mtime_ns],
        "roots_set": settings.roots,
        "roots": identities,
        "changes": changes,
        "counts": [len(anchors), len(intermediates)],
    }
    home.write(json.dumps(state).encode(), BUNDLE_STATE, mode=0o644)
    return published


def exportable(
    anchors: list[Certificate],
    store: Store,
    among: Iterable[Certificate] | None = None,
    *,
    verifier: Verifier | None = None,
    progress: Progress = _unseen,
) -> list[Certificate]:
    """The intermediates of the store that may stand in a CA file beside these anchors, sorted by fingerprint.

    Each leads to one of the anchors, verified without partial chains, over links that are exported too; is a CA for
    TLS servers with a sound key and signature; is valid until after the next rebuild; is not known to be revoked;
    carries every constraint of the certificates above it; and none of those is distrusted, be it only from some date
    on, which no CA file can say. `among`: only these are asked about; by default, all that were needed. What was only
    preloaded is no link. `verifier` has these anchors.
    """
    from . import roots
    from .fitness import unfitness
    from .revocation.record import reader
    from .verify import Verifier, VerifyError

    waiting = list(store.certificates() if among is None else among)
    if not waiting:
        return []
    if verifier is None:
        verifier = Verifier(anchors, lambda subject: store.needed(subject.issuer_key), reader(store.folders))
    distrust = roots.distrust()
    trusted = set(anchors)
    asked, total = set(waiting), len(waiting)
    paths: dict[Certificate, list[Certificate]] = {}
    seen = set(waiting)
    while waiting:
        progress(total - len(waiting), total)
        certificate = waiting.pop()
        if certificate in trusted or unfitness(certificate) or not _outlasts_the_bundle(certificate):
            continue
        try:
            paths[certificate] = verifier.path(certificate)
        except VerifyError:
            continue
        if among is not None:
            above = [link for link in paths[certificate][1:-1] if link not in seen]
            waiting += above
            seen.update(above)
    found: set[Certificate] = set()
    for certificate, links in sorted(paths.items(), key=lambda item: len(item[1])):
        if any(map(distrust.limits, links[1:])):
            continue
        if all(link in found for link in links[1:-1]) and _outlasts_the_bundle(links[-1]) and _may_stand_alone(links):
            found.add(certificate)
    return sorted(found & asked, key=lambda certificate: certificate.fingerprint)


def _may_stand_alone(path: list[Certificate]) -> bool:
    from ..inside.constraints import carries_all

    try:
        return carries_all(path[0], path[1:])
    except DERError:
        return False


def _outlasts_the_bundle(certificate: Certificate) -> bool:
    """Whether it is valid now, and still will be when the bundle is rebuilt."""
    not_before, not_after = certificate.validity
    return not_before <= time.time() < not_after - 2 * REBUILT_EVERY


def _text(anchors: list[Certificate], intermediates: list[Certificate]) -> bytes:
    from .roots import BUNDLE_MARK

    heading = BUNDLE_MARK + f"{len(anchors)} trust anchors, {len(intermediates)} intermediates\n".encode()
    return heading + "".join(to_pem(certificate.der) for certificate in [*anchors, *intermediates]).encode("ascii")


def _loads(text: bytes, count: int) -> bool:
    """Whether OpenSSL loads so many certificates from this text."""
    import _ssl

    context: Any = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=text.decode("ascii"))
    except _ssl.SSLError:
        return False
    return bool(context.cert_store_stats()["x509"] == count)


def counts(settings: Settings) -> tuple[int, int] | None:
    """How many trust anchors and intermediates the published bundle holds; None where there is none."""
    for folder in _places(settings):
        try:
            anchors, intermediates = _read_state(folder)["counts"]
            return int(anchors), int(intermediates)
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _home(settings: Settings) -> Folder:
    """The store folder that bundles are published in. Raises BundleError where none can be written."""
    home = open_store(settings).home
    if home is None:
        tried = ", ".join(folder.fault() or f"{folder.path} cannot be written" for folder in folders_of(settings))
        raise BundleError(f"the bundle has no place: {tried}; set AIA_STORE_DIR to a folder of yours")
    return home


def _read_state(home: Folder) -> dict[str, Any]:
    try:
        state = json.loads(read_regular_file(os.path.join(home.path, BUNDLE_STATE), 65_536))
        return state if isinstance(state, dict) else {}
    except (OSError, ValueError, RecursionError):
        return {}


def file_identity(path: str) -> list[object] | None:
    """What changes when a file does, as JSON holds it; None where there is no file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]


def _changes(settings: Settings) -> list[list[object]]:
    """When each folder of the store last gained or lost a certificate."""
    return [[folder.path, folder.changed()] for folder in folders_of(settings)]
