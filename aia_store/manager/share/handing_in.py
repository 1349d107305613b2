"""Hands in intermediates: puts those that this machine needed into in/ of the shelf, if they lead to a public root.

An intermediate that leads to none of certifi's roots may reveal the name of a company's CA. It is handed in only if the
setting `share_private` is on.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Collection, Iterable
from itertools import islice

from ...inside.certificate import Certificate
from ...inside.settings import Settings
from ...inside.store import IntermediateStore
from .. import roots
from ..fitness import unfitness
from ..revocation.record import reader
from ..verify import Verifier, remembered
from .memory import Remembered
from .shelf import IN, DeniedError, Shelf, ShelfError, file_of

MOST_OF_A_ROUND = 100
SECONDS = 60.0  # for one round; the next one continues
MOST_DENIED = 8  # files of one round; if so many may not be written, no more are tried

Permission = Callable[[Certificate], bool]  # whether a certificate may be shown to others


def offers(
    needed: Iterable[Certificate], published: Collection[str], memory: Remembered, may_be_shared: Permission
) -> list[Certificate]:
    """At most 100 of the needed certificates that were not published, taken from others or handed in before.

    The order is random: if some files cannot be written, `hand_in` gives up, and the next round tries others first.
    """
    unknown = [
        certificate
        for certificate in needed
        if not any(certificate.fingerprint in known for known in (published, memory.taken, memory.handed_in))
    ]
    random.shuffle(unknown)
    return list(islice(filter(may_be_shared, unknown), MOST_OF_A_ROUND))


def may_be_shared(settings: Settings, store: IntermediateStore) -> Permission:
    """Return a function that says whether other machines may see a certificate that leads to an anchor here.

    The returned function raises RootsError if the trust anchors cannot be read.
    """

    @functools.cache  # made when the first certificate is asked about, which is rare
    def verifier() -> Verifier:
        return Verifier(roots.public(), remembered(store.find), reader(store.folders))

    def may(certificate: Certificate) -> bool:
        is_fit = unfitness(certificate) is None
        return is_fit and (settings.share_private or verifier().refusal(certificate) is None)

    return may


def hand_in(shelf: Shelf, certificates: Iterable[Certificate]) -> tuple[list[Certificate], list[ShelfError]]:
    """Write certificates into the folder IN, for at most 60 seconds. Returns the written ones, and the errors."""
    deadline = time.monotonic() + SECONDS
    done: list[Certificate] = []
    failures: list[ShelfError] = []
    for certificate in certificates:
        if time.monotonic() > deadline or len(failures) == MOST_DENIED:
            break
        try:
            shelf.put(file_of(IN, certificate.fingerprint), certificate.der)
            done.append(certificate)
        except ShelfError as error:
            failures.append(error)
            if not isinstance(error, DeniedError):
                break
    return done, failures
