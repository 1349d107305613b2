"""What a machine remembers between two rounds (exchanges with the shelf): the file `share.json` in its store folder.

`aia-store status` and the metrics also read this file. The file `share.manifest` beside it is a copy of the manifest
that was read last. A round uses the copy if the manifest on the shelf is unchanged. Both files change only while the
memory is `opened`. Readers need no lock, because each file is replaced as a whole.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from ...inside.certificate import Certificate, sha256
from ...inside.store import SHARE, SHARE_MANIFEST, Folder, is_digest, read_regular_file
from ..store_folder import BusyError, take_lock
from . import manifest as manifests
from .shelf import ShareError

ROUND_LOCK, _LOCK = "share", "share-memory"
WAITS = 30.0  # seconds, for another process
MOST_REFUSED = 10_000
REFUSED_FOR = 30 * 86_400  # seconds
REFUSED_BRIEFLY_FOR = 6 * 3_600.0  # seconds; for faults that may pass: a file is missing, or not what its name says
HANDED_IN_AGAIN_AFTER = 7 * 86_400  # seconds; if no hub has published it by then
HINTED_AGAIN_AFTER = 86_400  # seconds; hints of others pause a URL for at most an hour a day
_LARGEST_FILE = 16 << 20
_LONGEST_TEXT = 500
_TEXTS = ("unlinked",)  # fields whose entries are texts; those of the others are numbers


@dataclass
class Remembered:
    """What a machine remembers of sharing. Times are in seconds since 1970; certificates are named by their SHA-256."""

    shelf: str = ""  # its URL; what follows is about this one
    terms: str = ""  # under which trust anchors certificates were refused
    mark: str = ""  # of the manifest that was read last
    taken: set[str] = field(default_factory=set)  # what is preloaded here because it was shared
    refused: dict[str, float] = field(default_factory=dict)  # until when
    unlinked: dict[str, str] = field(default_factory=dict)  # of the refused: the SHA-256 of the issuer's canonical name
    handed_in: dict[str, float] = field(default_factory=dict)  # when
    hinted: dict[str, float] = field(default_factory=dict)  # when, by the digest of a URL or host
    at: float = 0.0  # when the last round ended
    message: str = ""  # how it ended
    failed: bool = False
    reached: float = 0.0  # when the shelf was last read
    reasons: dict[str, int] = field(default_factory=dict)  # how many were refused, by reason
    counts: dict[str, int] = field(default_factory=dict)  # "taken", "taken by the stream", "handed in", "published"
    position: str = ""  # in the stream
    stream: str = ""  # its state, in words

    def refuses(self, digest: str, now: float) -> bool:
        """Whether the certificate or pack with this SHA-256 is still refused at the time `now`."""
        return now < self.refused.get(digest, 0.0) <= now + REFUSED_FOR

    def refuse(self, refused: dict[str, str], now: float, seconds: float = REFUSED_FOR) -> None:
        """For `seconds`, refuse certificates or packs (reasons by SHA-256). Only the latest 10,000 are remembered."""
        self.refused.update(dict.fromkeys(refused, now + seconds))
        self.refused = dict(list(self.refused.items())[-MOST_REFUSED:])
        self.reasons = dict(Counter(self.reasons) + Counter(refused.values()))

    def refuse_unlinked(self, refused: Iterable[Certificate]) -> None:
        """Remember the issuers of refused certificates. If `keep` gets an issuer, they may be tried again."""
        unlinked = self.unlinked | {one.fingerprint: sha256(one.issuer_key) for one in refused}
        self.unlinked = {digest: issuer for digest, issuer in unlinked.items() if digest in self.refused}

    def keep(self, kept: Collection[Certificate]) -> None:
        """Remember what was taken. Refused certificates that one of these may have issued may be tried again."""
        self.taken |= {one.fingerprint for one in kept}
        subjects = {sha256(one.subject_key) for one in kept}
        for digest in [digest for digest, issuer in self.unlinked.items() if issuer in subjects]:
            self.refused.pop(digest, None)
            del self.unlinked[digest]

    def count(self, what: str, number: int) -> None:
        self.counts[what] = self.counts.get(what, 0) + number

    def ends(self, message: str, *, failed: bool) -> None:
        """Note the end of a round (an exchange with the shelf): when, a message, and whether it failed."""
        self.at, self.message, self.failed = time.time(), message[:_LONGEST_TEXT], failed

    def begin(self, shelf: str, terms: str, now: float) -> None:
        """Before a round, forget old entries, what another shelf said, and refusals under other `terms` (anchors)."""
        if shelf != self.shelf:
            self.mark, self.handed_in = "", {}
        if terms != self.terms:
            self.refused, self.unlinked, self.reasons = {}, {}, {}
        self.shelf, self.terms = shelf, terms
        self.refused = {digest: until for digest, until in self.refused.items() if self.refuses(digest, now)}
        self.handed_in = _recent(self.handed_in, now - HANDED_IN_AGAIN_AFTER, now)
        self.hinted = _recent(self.hinted, now - HINTED_AGAIN_AFTER, now)


def read(home: Folder) -> Remembered:
    """Read the memory from a store folder. If the file is missing or not valid, the memory is empty."""
    try:
        noted = json.loads(read_regular_file(os.path.join(home.path, SHARE), _LARGEST_FILE))
        fields = vars(Remembered()).items()
        return Remembered(
            **{name: _like(default, noted[name], str if name in _TEXTS else _finite) for name, default in fields}
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return Remembered()


@contextlib.contextmanager
def opened(home: Folder) -> Iterator[Remembered]:
    """Lock the memory, yield it, and write it at the end of the `with` block, even after an error.

    Send no request within the block, because others wait. Raises ShareError if another process holds the lock for long,
    StoreError if the folder cannot be used, and OSError if the memory cannot be written.
    """
    with held(home, _LOCK):
        memory = read(home)
        try:
            yield memory
        finally:
            write(home, memory)


@contextlib.contextmanager
def held(home: Folder, name: str) -> Iterator[None]:
    """Hold the lock `name` of a store folder. Raises StoreError, and ShareError if it is not free within 30 seconds."""
    try:
        lock = take_lock(home, name, WAITS)
    except BusyError as error:
        raise ShareError(f"another process shares the store {home.path} just now; try again later") from error
    try:
        yield
    finally:
        lock.release()


def write(home: Folder, memory: Remembered) -> None:
    """Write the memory to disk; only for use within `opened`. Raises OSError."""
    home.write(json.dumps({**asdict(memory), "taken": sorted(memory.taken)}).encode(), SHARE)


def read_manifest(home: Folder) -> manifests.Manifest:
    """The copy of the manifest that was read last from the shelf; an empty manifest if there is no valid copy."""
    try:
        return manifests.parse(read_regular_file(os.path.join(home.path, SHARE_MANIFEST), manifests.LARGEST))
    except (OSError, manifests.ManifestError):
        return manifests.Manifest()


def write_manifest(home: Folder, manifest: manifests.Manifest) -> None:
    """Keep a copy of the manifest that was read from the shelf. Raises OSError."""
    home.write(manifests.text(manifest), SHARE_MANIFEST)


def _like(default: object, value: Any, of_entries: Callable[[Any], object]) -> Any:
    """Convert `value` to the type of `default`, and a dict's values by `of_entries`. Raises ValueError or TypeError."""
    if isinstance(default, set):
        return {str(digest) for digest in value if is_digest(str(digest))}
    if isinstance(default, dict):
        return {str(key): of_entries(entry) for key, entry in value.items()}
    if isinstance(default, float):
        return _finite(value)
    return type(default)(value)  # type: ignore[call-arg]


def _finite(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError("not a finite number")
    return number


def _recent(noted: dict[str, float], since: float, now: float) -> dict[str, float]:
    return {key: at for key, at in noted.items() if since < at <= now}
