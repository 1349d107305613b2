"""What a machine takes from others: `choose` says which certificates to get, `take` verifies and keeps them.

Nothing is believed. A round (an exchange with the shelf) gets at most 500 certificates of at most 65,536 bytes each. At
most 10,000 are kept in all. If more are offered, a round gets 500 of them at random. Refused certificates are
remembered, so an honest certificate among ten thousand others comes within twenty rounds.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from ...inside.certificate import Certificate, readable, sha256
from ...inside.store import IntermediateStore
from ..admission import Admission, is_parsed
from ..revocation.record import reader
from ..verify import NOT_YET_VALID
from .memory import REFUSED_BRIEFLY_FOR, Remembered

MOST_OF_A_ROUND = 500
MOST_TAKEN = 10_000  # that are kept at the same time
LARGEST = 65_536  # bytes of a certificate
_MISNAMED = "it is not what its name says"
_MAY_PASS = (_MISNAMED, NOT_YET_VALID)


class Choice(NamedTuple):
    """The SHA-256s of the certificates to get now, and how many remain for later rounds."""

    get: list[str]
    later: int


def unseen(offered: Iterable[str], here: Collection[str], memory: Remembered, now: float) -> list[str]:
    """The offered certificates (SHA-256s) that this machine neither has (`here`) nor refuses at the time `now`."""
    return [digest for digest in offered if digest not in here and not memory.refuses(digest, now)]


def choose(offered: Iterable[str], here: Collection[str], memory: Remembered, now: float) -> Choice:
    """Choose, at random, at most 500 of the offered certificates (SHA-256s) that are `unseen`."""
    new = unseen(offered, here, memory, now)
    get = random.sample(new, min(len(new), MOST_OF_A_ROUND, max(0, MOST_TAKEN - len(memory.taken))))
    return Choice(get, len(new) - len(get) if get else 0)


class Taken(NamedTuple):
    """The certificates that were kept, and the reasons why others were refused, by SHA-256."""

    kept: list[Certificate]
    refused: dict[str, str]


def take(
    offered: Mapping[str, bytes],
    store: IntermediateStore,
    anchors: Sequence[Certificate],
    memory: Remembered,
    now: float,
) -> Taken:
    """Keep the offered certificates (unverified DER, by SHA-256) that lead to one of the trust anchors.

    `memory` notes what was kept and refused. Raises CrowdedError if the store is full, OSError if writing fails.
    """
    sound, refused = _sifted(offered)
    kept, unlinked = [], []
    admission = Admission(store, anchors, reader(store.folders), sound.values())
    try:
        for digest, certificate in sound.items():
            refusal = admission.refusal(certificate)
            if refusal is None:
                kept.append(certificate)
            else:
                refused[digest] = refusal
                unlinked.append(certificate)
    finally:
        memory.keep(kept)
        passing = {digest: reason for digest, reason in refused.items() if reason in _MAY_PASS}
        memory.refuse(passing, now, REFUSED_BRIEFLY_FOR)
        memory.refuse({digest: refused[digest] for digest in refused.keys() - passing}, now)
        memory.refuse_unlinked(unlinked)
    admission.save()
    return Taken(kept, refused)


def _sifted(offered: Mapping[str, bytes]) -> tuple[dict[str, Certificate], dict[str, str]]:
    """The offered certificates that can be parsed and match their SHA-256; and the reasons to refuse the others."""
    sound: dict[str, Certificate] = {}
    refused: dict[str, str] = {}
    for digest, der in offered.items():
        certificate = next(readable([der]), None)
        if sha256(der) != digest:
            refused[digest] = _MISNAMED
        elif certificate is None or not is_parsed(certificate):
            refused[digest] = "it cannot be parsed"
        else:
            sound[digest] = certificate
    return sound, refused
