"""What the last trust folder was made of, so that only changes are examined for the next one.

Whether an intermediate may be exported depends on the *terms* (the trust anchors, and what is distrusted or revoked),
on the time, and on the certificates in the store that have its name or a name above it. So a verdict stands until the
terms change, a certificate becomes valid or expires, or a certificate with such a name is added or removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from typing import NamedTuple

from ..inside.certificate import Certificate, sha256, subject_hash
from ..inside.store import EXPORTED, REVOKED, Folder, is_digest, read_regular_file
from . import roots
from .accepted_paths import terms as terms_of_verification
from .published import REBUILT_EVERY

_LARGEST_FILE = 32 << 20
_NEVER = 2.0**40  # seconds since 1970


class Verdict(NamedTuple):
    """Whether an intermediate is exported; `name` and `issuer` are the SHA-256 of its canonical subject and issuer."""

    name: str
    issuer: str
    subject_hash: str  # the name of its file in the folder begins with this
    is_exported: bool


Verdicts = dict[str, Verdict]  # by fingerprint


def verdict(certificate: Certificate, *, is_exported: bool) -> Verdict:
    """The verdict on a certificate that was just examined, with the names that it depends on."""
    return Verdict(
        sha256(certificate.subject_key),
        sha256(certificate.issuer_key),
        subject_hash(certificate.subject_key),
        is_exported,
    )


class Memory:
    """The verdicts of the last export from a store folder; none if the terms have changed since."""

    def __init__(self, home: Folder, folders: Iterable[Folder], anchors: list[Certificate]) -> None:
        self._home = home
        self._now = time.time()
        self._terms = _terms(folders, anchors)
        self._until, self._verdicts = self._read()

    def standing(self, names: dict[str, str]) -> Verdicts:
        """The verdicts that still stand. `names`: the SHA-256 of each subject name in the store, by fingerprint."""
        changed = {names[fingerprint] for fingerprint in names.keys() - self._verdicts.keys()}
        changed |= {self._verdicts[fingerprint].name for fingerprint in self._verdicts.keys() - names.keys()}
        touched = self._below(changed)
        return {
            fingerprint: one
            for fingerprint, one in self._verdicts.items()
            if fingerprint in names and one.name not in touched
        }

    def save(self, verdicts: Verdicts, judged: Iterable[Certificate]) -> float:
        """Write all verdicts for the next export. Returns until when they are valid, in seconds since 1970.

        `judged` are the certificates on whose dates new verdicts depend. If writing fails, the next export starts anew.
        """
        until = min([self._until, *map(self._next_moment, judged)])
        content = {"terms": self._terms, "since": self._now, "until": until, "verdicts": verdicts}
        with contextlib.suppress(OSError):
            self._home.write(json.dumps(content).encode(), EXPORTED)
        return until

    def _below(self, names: set[str]) -> set[str]:
        """These names, and all names of certificates below them."""
        issued: dict[str, set[str]] = {}
        for one in self._verdicts.values():
            issued.setdefault(one.issuer, set()).add(one.name)
        found, queue = set(names), list(names)
        while queue:
            new = issued.get(queue.pop(), set()) - found
            found |= new
            queue += new
        return found

    def _next_moment(self, certificate: Certificate) -> float:
        """When a date of this certificate can next change a verdict. To be exported, it must outlast two rebuilds."""
        not_before, not_after = certificate.validity
        moments = (not_before, not_after - 2 * REBUILT_EVERY, not_after)
        return min((moment for moment in moments if moment > self._now), default=_NEVER)

    def _read(self) -> tuple[float, Verdicts]:
        """Until when the verdicts in the file are valid, and these verdicts; none if they are no longer valid."""
        try:
            found = json.loads(read_regular_file(os.path.join(self._home.path, EXPORTED), _LARGEST_FILE))
            if found["terms"] != self._terms or not found["since"] <= self._now < found["until"]:
                return _NEVER, {}
            verdicts = {fingerprint: Verdict(*one) for fingerprint, one in found["verdicts"].items()}
            if not (all(map(is_digest, verdicts)) and all(map(_is_sound, verdicts.values()))):
                return _NEVER, {}
            return float(found["until"]), verdicts
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return _NEVER, {}  # not there, or not of our making


def _is_sound(one: Verdict) -> bool:
    """Whether each field of a verdict from the file has the right form. The file may contain anything."""
    is_hash = len(one.subject_hash) == 8 and not one.subject_hash.strip("0123456789abcdef")
    return is_hash and is_digest(one.name) and is_digest(one.issuer) and isinstance(one.is_exported, bool)


def _terms(folders: Iterable[Folder], anchors: list[Certificate]) -> str:
    """A digest of the terms: the trust anchors, and what is distrusted or revoked."""
    digest = hashlib.sha256(repr(roots.state_of_distrust()).encode())
    digest.update(terms_of_verification(anchors))
    for folder in folders:
        with contextlib.suppress(OSError):
            digest.update(read_regular_file(os.path.join(folder.path, REVOKED), _LARGEST_FILE))
    return digest.hexdigest()
