"""One round: read the manifest, take what is new, hand in what was learned here, and publish if this is a hub.

If the shelf cannot be used, the round ends with a ShareError, and certificates that were kept before stay. Only one
round runs at a time. It never locks the `memory` during a request, so work for the stream need not wait.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from ...inside.certificate import Certificate
from ...inside.settings import Settings
from ...inside.store import Folder, StoreError, sound_store
from .. import clock, roots
from ..accepted_paths import Verified, terms
from ..admission import CrowdedError
from ..revocation.record import reader
from ..snapshot import fingerprints
from ..store_folder import writable_home
from ..verify import Verifier, remembered
from ..words import reason_of
from . import getting, handing_in, hints, publishing, taking
from . import manifest as manifests
from . import memory as memories
from . import shelf as shelves
from .opening import open_shelf, open_stream
from .shelf import ShareError, ShelfError

__all__ = ["Round", "ShareError", "hand_in", "pull", "receive", "run"]


class Round(NamedTuple):
    """What a round did."""

    offered: int  # certificates on the shelf
    taken: int
    refused: dict[str, int]  # how many of those on the shelf, by reason
    handed_in: int
    published: publishing.Published | None
    more: bool  # whether the next round will find more
    notes: list[str]  # lines about what went wrong without ending the round

    @property
    def message(self) -> str:
        """What the round did, in one line."""
        parts = [f"{self.taken} taken", f"{sum(self.refused.values())} refused", f"{self.handed_in} handed in"]
        if self.published is not None:
            parts.append(f"{self.published.total} published ({self.published.new} of them new)")
        return "; ".join([", ".join(parts), *self.notes])

    def as_dict(self) -> dict[str, object]:
        """The round as a dict for JSON."""
        return {**self._asdict(), "published": self.published._asdict() if self.published is not None else None}

    def followed_by(self, other: Round) -> Round:
        """This round and a later one, as one result."""
        return other._replace(
            taken=self.taken + other.taken,
            refused=dict(Counter(self.refused) + Counter(other.refused)),
            handed_in=self.handed_in + other.handed_in,
            published=self.published.followed_by(other.published) if self.published and other.published else None,
            notes=list(dict.fromkeys([*self.notes, *other.notes])),
        )


def run(settings: Settings, *, publishes: bool | None = None) -> Round:
    """Make a round. If `publishes` is None, the settings decide. Raises ShareError, StoreError and RootsError."""
    is_hub = settings.share_publish if publishes is None else publishes
    limits = getting.THOROUGH if is_hub else getting.ROUTINE
    return _round(settings, publishes=is_hub, hands_in=True, limits=limits)


def pull(settings: Settings) -> Round:
    """Make a round that only takes certificates, as many as allowed. Raises ShareError, StoreError and RootsError."""
    return _round(settings, publishes=False, hands_in=False, limits=getting.THOROUGH)


def _round(settings: Settings, *, publishes: bool, hands_in: bool, limits: getting.Limits) -> Round:
    home = writable_home(settings)
    with memories.held(home, memories.ROUND_LOCK), _session(settings, home) as session:
        return session.round(publishes=publishes, hands_in=hands_in, limits=limits)


def hand_in(settings: Settings) -> Round:
    """Hand in what was learned here, without reading the shelf. Raises ShareError, StoreError and RootsError."""
    with _session(settings, writable_home(settings)) as session:
        return session.hand_in_only()


def receive(settings: Settings, offered: Mapping[str, bytes], position: str) -> None:
    """Take what the stream brought (DER, by SHA-256) up to `position`. Raises ShareError, StoreError and RootsError."""
    with _session(settings, writable_home(settings)) as session:
        session.receive(offered, position)


@contextlib.contextmanager
def _session(settings: Settings, home: Folder) -> Iterator[_Session]:
    """Yield the state for one round. If the round fails, the memory notes why."""
    try:
        try:
            yield _Session(settings, home)
        except (CrowdedError, OSError) as error:
            raise ShareError(f"{home.path} cannot be written ({reason_of(error)})") from error
    except Exception as error:
        with contextlib.suppress(ShareError, StoreError, OSError), memories.opened(home) as memory:
            memory.ends(str(error), failed=True)
        raise


class _Session:
    """The state of one round."""

    def __init__(self, settings: Settings, home: Folder) -> None:
        """Raises RootsError, StoreError, and ShareError if the clock of this machine seems wrong."""
        self._settings = settings
        self._home = home
        self._now = time.time()
        self._anchors = roots.load(roots.source(settings))
        doubt = clock.doubt(settings, self._anchors)
        if doubt is not None:
            raise ShareError(f"{doubt}; until then nothing is shared")
        self._store = sound_store(settings, to_write=True)
        self._notes: list[str] = []
        self._shown = shelves.without_secrets(settings.share)
        with memories.opened(home) as memory:
            memory.begin(self._shown, terms(self._anchors).hex(), self._now)
            memory.taken &= fingerprints(self._store.preloaded)

    def round(self, *, publishes: bool, hands_in: bool, limits: getting.Limits) -> Round:
        shelf = open_shelf(self._settings)
        if publishes and shelf.is_read_only(shelves.OUT):
            raise ShelfError(f"{self._shown} can only be read; a hub needs to write")
        manifest, is_sound = self._manifest(shelf)
        names = shelf.names(shelves.IN, shelves.MOST_NAMES) if publishes else []
        offered = manifest.digests.union(shelves.digests_in(names, shelves.CERTIFICATE))
        choice = self._choice(offered, memories.read(self._home))
        taken = self._take(shelf, choice.get, manifest, limits)
        with memories.opened(self._home) as memory:
            hints.follow(manifest, self._home, memory, self._now)
        handed_in = self._hand_in(shelf, manifest) if hands_in else 0
        published = self._publish(shelf, manifest, offered, is_sound=is_sound) if publishes else None
        counted = dict(Counter(taken.refused.values()))
        # Refusals do not lead to another round soon; otherwise a manifest of rubbish would keep all machines busy.
        progress = len(taken.kept) + (len(taken.refused) if limits is getting.THOROUGH else 0)
        more = progress > 0 and (choice.later > 0 or len(taken.kept) + len(taken.refused) < len(choice.get))
        done = Round(len(offered), len(taken.kept), counted, handed_in, published, more, self._notes)
        with memories.opened(self._home) as memory:
            memory.ends(done.message, failed=False)
        return done

    def hand_in_only(self) -> Round:
        handed_in = self._hand_in(open_shelf(self._settings), memories.read_manifest(self._home))
        return Round(0, 0, {}, handed_in, None, False, self._notes)

    def receive(self, offered: Mapping[str, bytes], position: str) -> None:
        with memories.opened(self._home) as memory:
            taken = self._keep(offered, memory)
            memory.count("taken by the stream", len(taken.kept))
            memory.position = position

    def _choice(self, offered: Collection[str], memory: memories.Remembered) -> taking.Choice:
        return taking.choose(sorted(offered), self._here(), memory, self._now)

    def _here(self) -> set[str]:
        return fingerprints([*self._store.folders, *self._store.preloaded])

    def _keep(self, offered: Mapping[str, bytes], memory: memories.Remembered) -> taking.Taken:
        """Keep those offered certificates that are new here and lead to a trust anchor of this machine."""
        wanted = {digest: offered[digest] for digest in self._choice(offered, memory).get}
        return taking.take(wanted, self._store, self._anchors, memory, self._now)

    def _manifest(self, shelf: shelves.Shelf) -> tuple[manifests.Manifest, bool]:
        """The shelf's manifest, and True. If it is not valid, the manifest that was read before, and False."""
        before = memories.read_manifest(self._home)
        mark = memories.read(self._home).mark if before.made else ""
        manifest, is_sound = before, False
        try:
            found = shelf.get(shelves.MANIFEST, manifests.LARGEST, mark)
            if found is not None:
                manifest, mark = manifests.parse(found.content), found.mark
            is_sound = True
        except shelves.AbsentError:
            manifest = manifests.Manifest()
        except shelves.UnfitFileError as error:
            self._notes.append(str(error))
        except manifests.ManifestError as error:
            self._notes.append(f"{self._shown}/{shelves.MANIFEST} is not used: {error}")
        if is_sound and manifest.made < min(before.made, self._now):
            self._notes.append(f"{self._shown}/{shelves.MANIFEST} is older than the one before")
        with memories.opened(self._home) as memory:
            memory.reached = self._now
            if is_sound:
                memory.mark = mark
                memories.write_manifest(self._home, manifest)
        return manifest, is_sound

    def _take(
        self, shelf: shelves.Shelf, digests: list[str], manifest: manifests.Manifest, limits: getting.Limits
    ) -> taking.Taken:
        """Get certificates from the shelf, verify and keep them. If reading fails, those that were read before stay."""
        refuses = memories.read(self._home).refuses
        got = getting.get(shelf, digests, manifest, limits, lambda name: refuses(name, self._now))
        with memories.opened(self._home) as memory:
            if not got.is_down:
                memory.refuse({**got.refused, **got.bad_packs}, self._now, memories.REFUSED_BRIEFLY_FOR)
            taken = self._keep(got.contents, memory) if got.contents else taking.Taken([], {})
            memory.count("taken", len(taken.kept))
        failures = list(got.failures.values())
        if got.is_down:
            raise failures[-1]
        self._notes += map(str, failures[-1:])
        unread = dict.fromkeys(got.failures.keys() & set(digests), getting.UNREADABLE)
        return taking.Taken(taken.kept, {**unread, **got.refused, **taken.refused})

    def _hand_in(self, shelf: shelves.Shelf, manifest: manifests.Manifest) -> int:
        """Hand in certificates that others may lack; returns how many. If this fails, a note says so."""
        if shelf.is_read_only(shelves.IN) and not self._settings.share_notify:
            return 0
        may_be_shared = handing_in.may_be_shared(self._settings, self._store)
        known = memories.read(self._home)
        offers = handing_in.offers(self._store.certificates(), manifest.digests, known, may_be_shared)
        if not offers:
            return 0
        done = offers if self._send(offers) else []
        if not shelf.is_read_only(shelves.IN):
            done, failures = handing_in.hand_in(shelf, offers)
            self._notes += map(str, failures[-1:])
        with memories.opened(self._home) as memory:
            memory.handed_in.update((one.fingerprint, self._now) for one in done)
            memory.count("handed in", len(done))
        return len(done)

    def _send(self, certificates: Iterable[Certificate]) -> bool:
        """Send certificates by the stream, if one is set; returns whether they were sent. A note tells of a failure."""
        if not self._settings.share_notify:
            return False
        try:
            with open_stream(self._settings) as stream:
                stream.send(certificate.der for certificate in certificates)
            return True
        except ShareError as error:
            self._notes.append(str(error))
            return False

    def _publish(
        self, shelf: shelves.Shelf, manifest: manifests.Manifest, offered: frozenset[str], *, is_sound: bool
    ) -> publishing.Published:
        verified = Verified(self._home, self._anchors)
        revoked = reader(self._store.folders)
        verifier = Verifier(self._anchors, remembered(self._store.find), revoked, verified=verified)
        may_be_shared = handing_in.may_be_shared(self._settings, self._store)
        memory = memories.read(self._home)
        certificates = publishing.to_publish(self._store, memory.taken | offered, verifier, may_be_shared)
        verified.save()
        unseen = frozenset(taking.unseen(manifest.digests, self._here(), memory, self._now))
        before = manifest if is_sound else None
        published = publishing.publish(shelf, certificates, self._store, before, self._now, unseen)
        with memories.opened(self._home) as memory:
            memory.count("published", published.new)
        return published
