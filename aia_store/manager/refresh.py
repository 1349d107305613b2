"""Verify again what is on disk, drop what no longer holds, rebuild the bundle: at any moment, and twice at once."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from ..inside import pauses
from ..inside.certificate import Certificate
from ..inside.store import Folder, Preloaded, Store, crowded_note, folders_of, open_store, read_certificate
from . import bundle, clock, roots, upkeep
from .renewal import Held, Renewed, renew
from .revocation.update import update as update_revocation
from .verify import NotYetValidError, Verifier, VerifyError, remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..inside.settings import Settings


class Dropped(NamedTuple):
    """Something that left the store, and why; `certificate` is None where the file held none."""

    path: str
    certificate: Certificate | None
    reason: str


class Report(NamedTuple):
    """What a refresh did: how many needed and how many preloaded intermediates hold, and what happened to others."""

    kept: int
    preloaded: int
    dropped: list[Dropped]
    left: list[Dropped]  # what should go but could not be removed, or is not ours to remove
    bundle: str
    renewed: list[Renewed]
    notes: list[str]  # what could not be had or looked at, one line each
    doubt: str | None  # why the clock is not believed: then nothing was touched, and a bundle that is sound stays


def refresh(settings: Settings, progress: Callable[[int, int], None] = lambda done, total: None) -> Report:
    """Refresh the folders that this user can write. `progress` is told how many of how many files are done.

    Raises RootsError and BundleError; what was dropped before stays dropped.
    """
    anchors = roots.load(roots.source(settings))
    notes = [fault for fault in (folder.fault() for folder in folders_of(settings)) if fault is not None]
    doubt = clock.doubt(settings, anchors)
    if doubt is not None:
        standing = bundle.standing(settings, same_roots=True)
        return Report(0, 0, [], [], standing or bundle.build(settings), [], notes, doubt)
    store = open_store(settings)
    verifier = Verifier(anchors, remembered(store.needed))
    widely = Verifier(anchors, remembered(store.find))
    round_ = _Round(store, verifier, widely)
    round_.verify(progress)
    home = store.home
    if home is not None:
        held = [one.certificate for one in round_.held]
        revocation = update_revocation(settings, home, held, verifier)
        widely.revoked = revocation.reason
        notes += revocation.notes
        round_.drop_revoked()
    round_.drop_unused(settings.unused_days * 86_400)
    renewed = renew(settings, round_.held, verifier)
    for folder in _writable(store):
        upkeep.sweep(folder)
        if folder.is_crowded():
            notes.append(f"{crowded_note(folder)}; refresh again, or run `aia-store clear`")
    clock.believe(settings)
    published = bundle.build(settings, verifier)
    counts = len(round_.held), len(round_.preloaded)
    return Report(*counts, round_.dropped, round_.left, published, renewed, notes, None)


class _Round:
    """One pass over the folders: what holds, what was dropped, and what should go but stays.

    `verifier` goes by what was needed, `widely` by what was preloaded too.
    """

    def __init__(self, store: Store, verifier: Verifier, widely: Verifier) -> None:
        self._store = store
        self._verifier = verifier
        self._widely = widely
        self.held: list[Held] = []  # of what was needed
        self.preloaded: list[Held] = []
        self.dropped: list[Dropped] = []
        self.left: list[Dropped] = []

    def verify(self, progress: Callable[[int, int], None]) -> None:
        """Drop what is no certificate, has expired, or leads to no anchor any more."""
        total = sum(1 for folder in _parts(self._store) for _ in folder.paths())
        files = ((folder, path) for folder in _parts(self._store) for path in folder.paths())
        for done, (folder, path) in enumerate(files):
            progress(done, total)
            self._look_at(folder, path)
        progress(total, total)

    def _look_at(self, folder: Folder, path: str) -> None:
        certificate = read_certificate(path)
        if certificate is None or path != folder.path_of(certificate):
            self.drop(folder, path, certificate, "it is not the certificate that its name says")
            return
        try:
            held = Held(folder, path, certificate, self._links(certificate))
            (self.preloaded if isinstance(folder, Preloaded) else self.held).append(held)
        except NotYetValidError as error:  # a clock that is behind must not empty the store
            self.left.append(Dropped(path, certificate, str(error)))
        except VerifyError as error:
            self.drop(folder, path, certificate, str(error))

    def _links(self, certificate: Certificate) -> list[Certificate]:
        """The path of a certificate. Raises VerifyError."""
        try:
            return self._verifier.path(certificate)
        except VerifyError:
            return self._widely.path(certificate)

    def drop_revoked(self) -> None:
        """Drop what is revoked, and what leads to its anchor only by something that is."""
        self.held, self.preloaded = self._unrevoked(self.held), self._unrevoked(self.preloaded)

    def _unrevoked(self, held: list[Held]) -> list[Held]:
        found = []
        for one in held:
            try:
                found.append(one._replace(links=self._links(one.certificate)))
            except VerifyError as error:
                self.drop(one.folder, one.path, one.certificate, str(error))
        return found

    def drop_unused(self, seconds: float) -> None:
        """Drop what no handshake needed for so long, nor anything below it that was needed."""
        now = time.time()
        used = [one for one in self.held if _last_use(one.path) > now - seconds]
        needed = {link for one in used for link in one.links}
        unused = [one for one in self.held if one.certificate not in needed]
        self.held = [one for one in self.held if one.certificate in needed]
        for one in unused:
            self.drop(one.folder, one.path, one.certificate, f"nobody used it for {seconds / 86_400:.0f} days")

    def drop(self, folder: Folder, path: str, certificate: Certificate | None, reason: str) -> None:
        gone = Dropped(path, certificate, reason)
        (self.dropped if _remove(folder, path) else self.left).append(gone)


def _last_use(path: str) -> float:
    """When a file of the store was last used (seconds since 1970)."""
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return time.time()  # just dropped by another refresh


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


def _writable(store: Store) -> Iterator[Folder]:
    return (folder for folder in store.folders if folder.may_be_written())


def _parts(store: Store) -> Iterator[Folder]:
    """What was needed and what was preloaded, in the folders that this user can write."""
    for folder in _writable(store):
        yield from (folder, folder.preloaded)


class Cleared(NamedTuple):
    """How many certificates were removed, and how many pauses after failed fetches ended."""

    certificates: int
    pauses: int


def clear(settings: Settings) -> Cleared:
    """Remove every certificate from the folders that this user can write, and forget there which fetches failed."""
    store = open_store(settings)
    folders = list(_parts(store))
    gone = 0
    while count := sum(_remove(folder, path) for folder in folders for path in folder.paths()):
        gone += count  # a crowded folder takes more than one pass
    return Cleared(gone, sum(map(pauses.clear, _writable(store))))
