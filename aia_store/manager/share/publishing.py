"""Publishes, as a hub does, what was needed here or handed in by others, if it leads to a trust anchor of the hub.

A hub writes the certificates first and the manifest last. If it is killed in between, the old manifest stays. A new
manifest leaves out certificates that have expired, were revoked or lost their root. It keeps certificates that another
hub has published and this hub has not examined yet.

Whoever may write to the shelf can replace files there. So at each publication, a hub reads some of the files in out/
again, and repairs damaged ones.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Mapping
from typing import NamedTuple

from ...inside.certificate import Certificate, sha256
from ...inside.store import IntermediateStore
from ..verify import Verifier
from . import manifest as manifests
from . import packs
from . import shelf as shelves
from .handing_in import Permission
from .hints import COUNT_FOR, are_old, dead

SECONDS = 300.0  # for the certificates of one publication
MOST_CHECKED = 10  # certificates that are read again at each publication
MOST_PACKS_CHECKED = 1


class Published(NamedTuple):
    """What a hub has published, in numbers."""

    total: int  # certificates that the manifest names
    new: int  # certificates that were put on the shelf
    repaired: int = 0  # files on the shelf that were not what their names say

    def followed_by(self, other: Published) -> Published:
        """The sum of this publication and a later one."""
        return Published(other.total, self.new + other.new, self.repaired + other.repaired)


def to_publish(
    store: IntermediateStore, shared: Collection[str], verifier: Verifier, may_be_shared: Permission
) -> dict[str, Certificate]:
    """The certificates that a hub publishes, by SHA-256: at most 10,000, first those that this machine needed.

    `shared` are the SHA-256s of certificates that other machines shared before or offer now. No other preloaded
    certificates are published.
    """
    preloaded = (certificate for _, certificate in store.entries(preloaded=True))
    sound = {
        certificate.fingerprint: certificate
        for certificate in (*store.certificates(), *(one for one in preloaded if one.fingerprint in shared))
        if verifier.refusal(certificate) is None and may_be_shared(certificate)
    }
    return dict(list(sound.items())[: manifests.MOST_DIGESTS])


def publish(
    shelf: shelves.Shelf,
    certificates: dict[str, Certificate],
    store: IntermediateStore,
    before: manifests.Manifest | None,
    now: float,
    unseen: frozenset[str] = frozenset(),
) -> Published:
    """Put missing and damaged files on the shelf; then the manifest, if it differs from `before` or its hints are old.

    `unseen` are certificates of `before` that this hub neither has nor refused. They stay in the manifest if there is
    room. Raises ShelfError, also if this takes longer than 300 seconds; then the next publication continues.
    """
    deadline = time.monotonic() + SECONDS
    names = shelf.names(shelves.OUT, shelves.MOST_NAMES)
    there = certificates.keys() & set(shelves.digests_in(names, shelves.CERTIFICATE))
    missing = certificates.keys() - there
    damaged = _damaged(shelf, {shelves.file_of(shelves.OUT, digest): digest for digest in there}, MOST_CHECKED)
    for digest in sorted(missing.union(damaged)):
        if time.monotonic() > deadline:
            raise shelves.ShelfError(f"publishing took longer than {SECONDS:.0f} s; the next round goes on")
        shelf.put(shelves.file_of(shelves.OUT, digest), certificates[digest].der)
    packs_there = set(shelves.digests_in(names, shelves.PACK))
    packed_before = before.packs if before is not None else {}
    known = {name: members for name, members in packed_before.items() if name in packs_there}
    bad_packs = _damaged(shelf, {shelves.pack_of(name): name for name in known}, MOST_PACKS_CHECKED)
    known = {name: members for name, members in known.items() if name not in bad_packs}
    unseen = frozenset(sorted(unseen - certificates.keys())[: manifests.MOST_DIGESTS - len(certificates)])
    arranged, contents = packs.arrange({digest: one.der for digest, one in certificates.items()}, known, unseen)
    for name, content in contents.items():
        shelf.put(shelves.pack_of(name), content)
    new = manifests.Manifest(unseen.union(certificates), dead(store, certificates.values()), int(now), arranged)
    if before is None or not new.says_the_same_as(before) or are_old(before, now, COUNT_FOR / 2):
        shelf.put(shelves.MANIFEST, manifests.text(new))
    return Published(len(new.digests), len(missing), len(damaged) + len(bad_packs))


def _damaged(shelf: shelves.Shelf, files: Mapping[str, str], most: int) -> set[str]:
    """Read at most `most` of these files (SHA-256s by name), at random. Returns the SHA-256s of damaged files."""
    found = set()
    for name in random.sample(sorted(files), min(len(files), most)):
        try:
            file = shelf.get(name, packs.LARGEST)
            if file is None or sha256(file.content) != files[name]:
                found.add(files[name])
        except (shelves.AbsentError, shelves.UnfitFileError, shelves.WithheldError):
            found.add(files[name])
        except shelves.DeniedError:
            break  # a hub that may only write cannot check
    return found
