"""Verify again what is on disk, drop what no longer holds, rebuild the bundle: at any moment, and twice at once."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from . import bundle
from .der import Certificate
from .pki import roots
from .pki.verify import Verifier, VerifyError
from .store import Folder, Store, open_store, read_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .config import Settings

ABANDONED_AFTER = 3600  # seconds: a temporary file this old is nobody's


class Dropped(NamedTuple):
    """Something that left the store, and why; `certificate` is None where the file held none."""

    path: str
    certificate: Certificate | None
    reason: str


class Report(NamedTuple):
    """What a refresh did."""

    kept: int
    dropped: list[Dropped]
    left: list[Dropped]  # what should go but could not be removed, or is not ours to remove
    bundle: str


def refresh(settings: Settings, progress: Callable[[int, int], None] = lambda done, total: None) -> Report:
    """Refresh the folders that this user can write. `progress` is told how many of how many files are done.

    Raises RootsError and BundleError; what was dropped before stays dropped.
    """
    anchors = roots.load(roots.source(settings))
    store = open_store(settings)
    verifier = Verifier(anchors, lambda subject: store.find(subject.issuer_key))
    kept = 0
    dropped: list[Dropped] = []
    left: list[Dropped] = []
    files = [(folder, path) for folder in _writable(store) for path in folder.paths()]
    for done, (folder, path) in enumerate(files):
        progress(done, len(files))
        certificate = read_certificate(path)
        reason = _reason_to_drop(verifier, folder, path, certificate)
        if reason is None:
            kept += 1
            continue
        gone = Dropped(path, certificate, reason)
        (dropped if _remove(folder, path) else left).append(gone)
    progress(len(files), len(files))
    for folder in _writable(store):
        _sweep(folder)
    return Report(kept, dropped, left, bundle.build(settings))


def _reason_to_drop(verifier: Verifier, folder: Folder, path: str, certificate: Certificate | None) -> str | None:
    if certificate is None or path != folder.path_of(certificate):
        return "it is not the certificate that its name says"
    try:
        verifier.path(certificate)
    except VerifyError as error:
        return str(error)
    return None


def _remove(folder: Folder, path: str) -> bool:
    """Remove a regular file or a link; a folder, a FIFO or a device was not made by us and stays."""
    try:
        if stat.S_IFMT(os.lstat(path).st_mode) not in (stat.S_IFREG, stat.S_IFLNK):
            return False
        folder.remove(path)
    except FileNotFoundError:
        return True  # another refresh was faster
    except OSError:
        return False
    return True


def _sweep(folder: Folder) -> None:
    """Remove temporary files that a killed process left."""
    for path in folder.temporary_files():
        try:
            if time.time() - os.lstat(path).st_mtime > ABANDONED_AFTER:
                os.unlink(path)
        except OSError:
            continue


def _writable(store: Store) -> Iterator[Folder]:
    return (folder for folder in store.folders if folder.may_be_written())


def clear(settings: Settings) -> int:
    """Remove every certificate from the folders that this user can write; returns how many went."""
    return sum(_remove(folder, path) for folder in _writable(open_store(settings)) for path in list(folder.paths()))
