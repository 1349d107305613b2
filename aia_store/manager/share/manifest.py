"""The manifest of a shelf: which certificates a hub has published, and which CA hosts are dead as far as it knows.

It is text, and each line has one meaning:

    aia-store manifest 1
    made 1795683600
    9a51…                   the SHA-256 of a certificate in out/, sorted
    dead 03ff…              the SHA-256 of a URL or host that failed (see `inside/pauses.py`), sorted
    sha256 77c0…            of all lines before

By the checksum, a manifest that was cut short or mixed up is recognized. It proves nothing: whoever can write the shelf
can write any manifest.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from ...inside.store import is_digest

MOST_DIGESTS = 10_000
MOST_DEAD = 1_000
LARGEST = 1 << 20  # bytes; one with the most entries is smaller

_HEAD, _MADE, _DEAD, _CHECKSUM = "aia-store manifest 1", "made ", "dead ", "sha256 "


class ManifestError(Exception):
    """This is no manifest. The message is the reason."""


class Manifest(NamedTuple):
    """What is published, when it was (seconds since 1970), and which URLs and hosts are dead; all as SHA-256."""

    digests: frozenset[str] = frozenset()
    dead: frozenset[str] = frozenset()
    made: int = 0

    def says_the_same_as(self, other: Manifest) -> bool:
        """Whether only the time differs."""
        return (self.digests, self.dead) == (other.digests, other.dead)


def text(manifest: Manifest) -> bytes:
    """The manifest as a file."""
    lines = [_HEAD, f"{_MADE}{manifest.made}", *sorted(manifest.digests)]
    lines += (f"{_DEAD}{digest}" for digest in sorted(manifest.dead))
    content = "".join(f"{line}\n" for line in lines).encode("ascii")
    return content + f"{_CHECKSUM}{_checksum(content)}\n".encode("ascii")


def parse(content: bytes) -> Manifest:
    """Read a manifest. Raises ManifestError for all that `text` would not write."""
    body, _, checksum = content.rpartition(_CHECKSUM.encode("ascii"))
    if checksum != f"{_checksum(body)}\n".encode("ascii"):
        raise ManifestError("it is no manifest, or not whole")
    lines = body.decode("ascii", "replace").splitlines()
    made = lines[1].removeprefix(_MADE) if len(lines) > 1 else ""
    if lines[:1] != [_HEAD] or not (made.isascii() and made.isdigit() and len(made) < 12):
        raise ManifestError("it is a manifest of another kind")
    entries = lines[2:]
    dead = [line.removeprefix(_DEAD) for line in entries if line.startswith(_DEAD)]
    digests = entries[: len(entries) - len(dead)]
    if len(digests) > MOST_DIGESTS or len(dead) > MOST_DEAD:
        raise ManifestError(f"it names more than {MOST_DIGESTS:,} certificates or {MOST_DEAD:,} dead hosts")
    if not all(map(is_digest, (*digests, *dead))):
        raise ManifestError("it has a line that is no SHA-256")
    return Manifest(frozenset(digests), frozenset(dead), int(made))


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
