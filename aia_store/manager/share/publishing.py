"""A hub: publishes what was needed here and what others handed in, as far as it leads to the hub's trust anchors.

The certificates come first and the manifest last, so a hub that is killed between them leaves the former manifest. What
has expired, was revoked or lost its root is left out of the next manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import manifest as manifests
from . import packs
from . import shelf as shelves
from .hints import dead
from .manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...inside.certificate import Certificate
    from ...inside.store import IntermediateStore
    from ..verify import Verifier
    from .memory import Remembered


class Published(NamedTuple):
    """How many certificates the manifest names, and how many of them are new on the shelf."""

    total: int
    new: int


def to_publish(
    store: IntermediateStore, memory: Remembered, verifier: Verifier, may_be_shared: Callable[[Certificate], bool]
) -> dict[str, Certificate]:
    """The certificates that a hub stands for, by SHA-256; of too many, those that were needed here come first."""
    preloaded = (certificate for _, certificate in store.entries(preloaded=True))
    shared = (certificate for certificate in preloaded if certificate.fingerprint in memory.taken)
    sound = {
        certificate.fingerprint: certificate
        for certificate in (*store.certificates(), *shared)
        if verifier.refusal(certificate) is None and may_be_shared(certificate)
    }
    return dict(list(sound.items())[: manifests.MOST_DIGESTS])


def publish(
    shelf: shelves.Shelf,
    certificates: dict[str, Certificate],
    store: IntermediateStore,
    before: Manifest | None,
    now: float,
) -> Published:
    """Put on the shelf what is missing, then the manifest, unless it says the same as `before`. Raises ShelfError."""
    names = shelves.listed(shelf, shelves.OUT)
    missing = certificates.keys() - shelves.certificates_in(names)
    for digest in sorted(missing):
        shelf.put(shelves.file_of(shelves.OUT, digest), certificates[digest].der)
    there = shelves.packs_in(names)
    known = {name: members for name, members in before.packs.items() if name in there} if before is not None else {}
    arranged, contents = packs.arrange({digest: one.der for digest, one in certificates.items()}, known)
    for name, content in contents.items():
        shelf.put(shelves.pack_of(name), content)
    new = Manifest(frozenset(certificates), dead(store, certificates.values()), int(now), arranged)
    if before is None or not new.says_the_same_as(before):
        shelf.put(shelves.MANIFEST, manifests.text(new))
    return Published(len(certificates), len(missing))
