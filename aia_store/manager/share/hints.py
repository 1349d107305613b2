"""Hints about dead CA hosts: if a hub could not reach a host, other machines need not try.

A hint is the SHA-256 of a URL or host, as in the notes of failures (`inside/pauses.py`). Whoever guesses a name can
confirm it by the digest. So a hub publishes only hints about URLs that public certificates name. A machine that reads a
hint does not use the URL or host for an hour, at most once a day. So a false hint delays a fetch by an hour, if the
certificate is not on the shelf. `aia-store add` ignores hints. A hub renews its hints within a day, and machines ignore
older hints. So when a hub is gone, its hints expire.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from ...inside import pauses
from ...inside.certificate import Certificate, DERError
from ...inside.store import Folder, IntermediateStore
from .manifest import MOST_DEAD, Manifest
from .memory import Remembered

MOST_OF_A_DAY = 1_000
COUNT_FOR = 86_400  # seconds after they were published: a hub that is gone cannot take them back


def dead(store: IntermediateStore, public: Iterable[Certificate]) -> frozenset[str]:
    """The SHA-256s of those caIssuers URLs and hosts in these certificates that this machine pauses after failures."""
    urls: set[str] = set()
    for certificate in public:
        with suppress(DERError):
            urls.update(certificate.ca_issuers)
    named = {pauses.digest_of(key) for url in urls for key in (url, pauses.host_of(url))}
    running = {digest for folder in store.folders for digest in pauses.running(folder)}
    return frozenset(sorted(named & running)[:MOST_DEAD])


def are_old(manifest: Manifest, now: float, seconds: float = COUNT_FOR) -> bool:
    """Whether a manifest has hints, and its time is more than `seconds` before or after `now`."""
    return bool(manifest.dead) and abs(now - manifest.made) > seconds


def follow(manifest: Manifest, home: Folder, memory: Remembered, now: float) -> int:
    """For an hour, fetch nothing from the hosts and URLs that a manifest calls dead. Returns how many were paused."""
    if are_old(manifest, now):
        return 0
    failures = pauses.Failures(home)
    followed = 0
    for digest in sorted(manifest.dead - memory.hinted.keys()):
        if len(memory.hinted) >= MOST_OF_A_DAY:
            break
        memory.hinted[digest] = now
        followed += failures.hinted(digest)
    return followed
