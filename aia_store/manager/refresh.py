"""Verify everything on disk again, drop what is no longer valid, and rebuild the bundle. Refreshes may run in parallel.

`plan` decides what to do, and changes nothing. `run` takes hand-ins, reads new CRLs, makes a plan, and carries it out.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..inside import pauses
from ..inside.certificate import Certificate
from ..inside.settings import Settings
from ..inside.store import (
    Folder,
    IntermediateStore,
    Preloaded,
    StoreError,
    crowded_note,
    folders_of,
    open_store,
    read_certificate,
)
from . import bundle, clock, handins, history, published, renewal, roots, upkeep
from .accepted_paths import Verified
from .history import Dropped, Renewed
from .renewal import Held
from .revocation import update
from .revocation.record import Reason, reader
from .verify import NotYetValidError, Verifier, VerifyError, remembered

if TYPE_CHECKING:
    from .bundle import Progress
    from .share.rounds import Round

MOST_COLLECTIONS = 10  # runs over the hand-in folder; each run has limits of its own
SECONDS_TO_COLLECT = 60.0  # after which no further run begins


class Plan(NamedTuple):
    """What a refresh will do with each intermediate, and notes on what could not be examined."""

    held: list[Held]  # needed intermediates that stay
    preloaded: list[Held]
    drop: list[tuple[Folder, Dropped]]
    left: list[Dropped]  # what should be dropped but is not ours to remove
    due: list[renewal.Due]  # what expires soon, and where its successor may be found
    notes: list[str]  # what could not be read or examined, one line each


class RefreshReport(NamedTuple):
    """What a refresh did: how many needed and preloaded intermediates stay, and what happened to the others."""

    kept: int
    preloaded: int
    dropped: list[Dropped]
    left: list[Dropped]  # what should be dropped but could not be removed, or is not ours to remove
    bundle: str
    renewed: list[Renewed]
    notes: list[str]  # what could not be read or examined, one line each
    doubt: str | None  # why the clock is not believed: then nothing was changed, and a sound bundle stays
    handed_in: handins.Collected
    shared: Round | None = None  # what was shared with other machines


def run(settings: Settings, progress: Progress = lambda done, total: None) -> RefreshReport:
    """Refresh the folders that this user can write. `progress` gets the number of finished files and the total.

    Raises RootsError, and BundleError if the bundle cannot be built; what was dropped before stays dropped. In any
    case, the store records how the refresh went.
    """
    try:
        report = _refreshed(settings, progress)
    except Exception as error:
        history.note_refresh(open_store(settings).home, str(error), failed=True)
        raise
    message = report.doubt or f"{report.kept} kept, {len(report.dropped)} dropped, {len(report.renewed)} renewed"
    history.note_refresh(open_store(settings).home, message, failed=report.doubt is not None)
    return report


def _refreshed(settings: Settings, progress: Progress) -> RefreshReport:
    anchors = roots.load(roots.source(settings))
    doubt = clock.doubt(settings, anchors)
    if doubt is not None:
        standing = published.standing(settings, same_roots=True) or bundle.build(settings)
        return RefreshReport(0, 0, [], [], standing, [], _faults(settings), doubt, handins.Collected(0, 0))
    handed_in, notes = _collected(settings)
    planner = _Planner(settings, anchors)
    store, verifier = planner.store, planner.verifier
    planned = planner.plan(progress, ask_revocation=True)
    verifier.verified.save()
    dropped: list[Dropped] = []
    left = planned.left
    for folder, item in planned.drop:
        (dropped if _remove(folder, item.path) else left).append(item)
    renewed = renewal.renew(settings, planned.due, {one.certificate for one in planned.held}, verifier)
    history.note_dropped(store.home, dropped)
    history.note_renewed(store.home, renewed)
    for folder in _writable(store):
        upkeep.sweep(folder)
    clock.believe(settings)
    path = bundle.build(settings, verifier)
    shared, shared_notes = _shared(settings)  # last, because a slow shelf may take minutes
    if settings.share and store.home is not None and not published.are_fresh(settings, store.home):
        path = bundle.build(settings, verifier)  # the trust folder also holds what others shared
    counts = len(planned.held), len(planned.preloaded)
    notes += [*planned.notes, *shared_notes]
    return RefreshReport(*counts, dropped, left, path, renewed, notes, None, handed_in, shared)


def plan(settings: Settings, progress: Progress = lambda done, total: None) -> Plan:
    """What a refresh would do now. Fetches and changes nothing. Raises RootsError.

    Revocation is judged by what is on disk. If the clock is not believed, the plan is empty, and a note says why.
    """
    anchors = roots.load(roots.source(settings))
    doubt = clock.doubt(settings, anchors)
    if doubt is not None:
        return Plan([], [], [], [], [], [*_faults(settings), doubt])
    return _Planner(settings, anchors).plan(progress, ask_revocation=False)


def _faults(settings: Settings) -> list[str]:
    return [fault for folder in folders_of(settings) if (fault := folder.fault()) is not None]


def _collected(settings: Settings) -> tuple[handins.Collected, list[str]]:
    """Take the hand-ins; returns what was done, and a note if they cannot be taken."""
    kept, refused, notes = 0, 0, []
    deadline = time.monotonic() + SECONDS_TO_COLLECT
    try:
        for _ in range(MOST_COLLECTIONS):
            found = handins.collect(settings)
            kept, refused = kept + found.kept, refused + found.refused
            if not found.more or time.monotonic() > deadline:
                break
    except handins.CollectError as error:
        notes = [str(error)]
    return handins.Collected(kept, refused), notes


def _shared(settings: Settings) -> tuple[Round | None, list[str]]:
    """Share with other machines if the settings say where; returns what was done, and notes on what failed."""
    if not settings.share:
        return None, []
    from .share import rounds  # nobody else needs it

    try:
        shared = rounds.run(settings)
    except (rounds.ShareError, StoreError) as error:
        return None, [str(error)]
    return shared, shared.notes


class _Planner:
    """Makes a plan: which intermediates stay, which are dropped, and which should be dropped but cannot be.

    `verifier` makes paths of needed intermediates only; `_widely` also uses preloaded ones.
    """

    def __init__(self, settings: Settings, anchors: list[Certificate]) -> None:
        self._settings = settings
        self.store = open_store(settings)
        verified = Verified(self.store.home, anchors)
        self.verifier = Verifier(anchors, remembered(self.store.needed), verified=verified)
        self._widely = Verifier(anchors, remembered(self.store.find), verified=verified)
        self._held: list[Held] = []
        self._preloaded: list[Held] = []
        self._drop: list[tuple[Folder, Dropped]] = []
        self._left: list[Dropped] = []

    def plan(self, progress: Progress, *, ask_revocation: bool) -> Plan:
        """Make the plan. With `ask_revocation`, read the CRLs and revocation lists first, and note what they say."""
        notes = _faults(self._settings)
        self._verify(progress)
        home = self.store.home
        if ask_revocation and home is not None:
            certificates = [one.certificate for one in self._held]
            revocation = update.run(self._settings, home, certificates, self.verifier)
            notes += revocation.notes
            self._drop_revoked(revocation.reason)
        else:
            self._drop_revoked(reader(self.store.folders))
        self._drop_unused(self._settings.unused_days * 86_400)
        notes += [
            f"{crowded_note(folder)}; refresh again, or run `aia-store clear`"
            for folder in _writable(self.store)
            if folder.is_crowded()
        ]
        due = [] if self._settings.offline else renewal.due(self._held)
        return Plan(self._held, self._preloaded, self._drop, self._left, due, notes)

    def _verify(self, progress: Progress) -> None:
        """Plan to drop each file that holds no certificate, an expired one, or one that leads to no anchor."""
        total = sum(1 for folder in _parts(self.store) for _ in folder.paths())
        files = ((folder, path) for folder in _parts(self.store) for path in folder.paths())
        for done, (folder, path) in enumerate(files):
            progress(done, total)
            self._look_at(folder, path)
        progress(total, total)

    def _look_at(self, folder: Folder, path: str) -> None:
        certificate = read_certificate(path)
        if certificate is None or path != folder.path_of(certificate):
            self._plan_to_drop(folder, path, certificate, "it is not the certificate that its name says")
            return
        try:
            held = Held(folder, path, certificate, self._links(certificate))
            (self._preloaded if isinstance(folder, Preloaded) else self._held).append(held)
        except NotYetValidError as error:  # a slow clock must not empty the store
            self._left.append(Dropped(path, certificate, str(error)))
        except VerifyError as error:
            self._plan_to_drop(folder, path, certificate, str(error))

    def _links(self, certificate: Certificate) -> list[Certificate]:
        """The path of a certificate, if possible over needed intermediates only. Raises VerifyError."""
        try:
            return self.verifier.path(certificate)
        except VerifyError:
            return self._widely.path(certificate)

    def _drop_revoked(self, reason: Reason) -> None:
        """Plan to drop what is revoked, and what leads to an anchor only over a revoked certificate."""
        self.verifier.revoked = self._widely.revoked = reason
        self._held, self._preloaded = self._unrevoked(self._held), self._unrevoked(self._preloaded)

    def _unrevoked(self, held: list[Held]) -> list[Held]:
        found = []
        for one in held:
            try:
                found.append(one._replace(links=self._links(one.certificate)))
            except VerifyError as error:
                self._plan_to_drop(one.folder, one.path, one.certificate, str(error))
        return found

    def _drop_unused(self, seconds: float) -> None:
        """Plan to drop what no handshake has used for this long, except what a used intermediate needs in its path."""
        now = time.time()
        # If the file is gone, another refresh has just dropped it.
        used = [one for one in self._held if upkeep.modified(one.path, now) > now - seconds]
        needed = {link for one in used for link in one.links}
        unused = [one for one in self._held if one.certificate not in needed]
        self._held = [one for one in self._held if one.certificate in needed]
        for one in unused:
            self._plan_to_drop(one.folder, one.path, one.certificate, f"it was unused for {seconds / 86_400:.0f} days")

    def _plan_to_drop(self, folder: Folder, path: str, certificate: Certificate | None, reason: str) -> None:
        self._drop.append((folder, Dropped(path, certificate, reason)))


def _remove(folder: Folder, path: str) -> bool:
    """Remove a regular file or a link; returns whether it is gone. Anything else stays, because we did not make it."""
    try:
        if stat.S_IFMT(os.lstat(path).st_mode) not in (stat.S_IFREG, stat.S_IFLNK):
            return False
        folder.remove(path)
    except FileNotFoundError:
        return True  # another refresh was faster
    except OSError:
        return False
    return True


def _writable(store: IntermediateStore) -> Iterator[Folder]:
    return (folder for folder in store.folders if folder.may_be_written())


def _parts(store: IntermediateStore) -> Iterator[Folder]:
    """The folders of needed and of preloaded intermediates that this user can write."""
    for folder in _writable(store):
        yield from (folder, folder.preloaded)


class Cleared(NamedTuple):
    """How many certificates were removed, and how many pauses after failed fetches were ended."""

    certificates: int
    pauses: int


def clear(settings: Settings) -> Cleared:
    """Remove every certificate, and forget every failed fetch, in the folders that this user can write."""
    store = open_store(settings)
    folders = list(_parts(store))
    gone = 0
    while count := sum(_remove(folder, path) for folder in folders for path in folder.paths()):
        gone += count  # a crowded folder needs more than one pass
    return Cleared(gone, sum(map(pauses.clear, _writable(store))))
