"""The manifest of a shelf: which certificates a hub has published, and which CA hosts the hub could not reach.

It is text, and each line has one meaning:

    aia-store manifest 1
    made 1795683600         when, in seconds since 1970
    9a51… 0                 the SHA-256 of a certificate in out/, and the number of its pack, if it has one
    pack 5c1e…              the SHA-256 of a pack (see `packs`); the first pack has the number 0
    dead 03ff…              the SHA-256 of a URL or host that failed (see `inside/pauses.py`)
    sha256 77c0…            the checksum: the SHA-256 of all lines before

Lines for certificates and failures are sorted. The checksum shows whether a manifest was cut short or mixed up. It
proves nothing else, because whoever can write to the shelf can write any manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ...inside.certificate import sha256
from ...inside.store import is_digest
from .packs import MOST_PACKS

MOST_DIGESTS = 10_000
MOST_DEAD = 1_000
LARGEST = 1 << 20  # bytes; one with the most entries is smaller

_HEAD, _MADE, _PACK, _DEAD, _CHECKSUM = "aia-store manifest 1", "made ", "pack ", "dead ", "sha256 "


class ManifestError(Exception):
    """The content is no valid manifest. The message says why."""


class Manifest(NamedTuple):
    """What is published. Certificates, packs, URLs and hosts are given by their SHA-256."""

    digests: frozenset[str] = frozenset()  # the certificates
    dead: frozenset[str] = frozenset()  # URLs and hosts that failed
    made: int = 0  # seconds since 1970
    packs: Mapping[str, frozenset[str]] = MappingProxyType({})  # the certificates in each

    def says_the_same_as(self, other: Manifest) -> bool:
        """Whether the manifests are equal, except for the time when they were made."""
        return self._replace(made=0) == other._replace(made=0)


def text(manifest: Manifest) -> bytes:
    """The manifest as a file."""
    number_of = {digest: number for number, members in enumerate(manifest.packs.values()) for digest in members}
    lines = [_HEAD, f"{_MADE}{manifest.made}"]
    lines += (f"{digest} {number_of[digest]}" if digest in number_of else digest for digest in sorted(manifest.digests))
    lines += (f"{_PACK}{name}" for name in manifest.packs)
    lines += (f"{_DEAD}{digest}" for digest in sorted(manifest.dead))
    content = "".join(f"{line}\n" for line in lines).encode("ascii")
    return content + f"{_CHECKSUM}{sha256(content)}\n".encode("ascii")


def parse(content: bytes) -> Manifest:
    """Parse the content of a manifest. Raises ManifestError if it is not valid."""
    body, _, checksum = content.rpartition(_CHECKSUM.encode("ascii"))
    if checksum != f"{sha256(body)}\n".encode("ascii"):
        raise ManifestError("it is no manifest, or not whole")
    lines = body.decode("ascii", "replace").splitlines()
    made = lines[1].removeprefix(_MADE) if len(lines) > 1 else ""
    if lines[:1] != [_HEAD] or not (made.isascii() and made.isdigit() and len(made) < 12):
        raise ManifestError("it is a manifest of another kind")
    dead = [line.removeprefix(_DEAD) for line in lines[2:] if line.startswith(_DEAD)]
    names = [line.removeprefix(_PACK) for line in lines[2:] if line.startswith(_PACK)]
    entries = [line.partition(" ") for line in lines[2 : len(lines) - len(dead) - len(names)]]
    if len(entries) > MOST_DIGESTS or len(dead) > MOST_DEAD or len(names) > MOST_PACKS:
        raise ManifestError(
            f"it names more than {MOST_DIGESTS:,} certificates, {MOST_DEAD:,} dead hosts or {MOST_PACKS} packs"
        )
    if not all(map(is_digest, [*dead, *names, *(digest for digest, _, _ in entries)])):
        raise ManifestError("it has a line that is no SHA-256")
    return Manifest(frozenset(digest for digest, _, _ in entries), frozenset(dead), int(made), _members(names, entries))


def _members(names: list[str], entries: list[tuple[str, str, str]]) -> Mapping[str, frozenset[str]]:
    """Map each pack to the certificates in it. Raises ManifestError if the pack of an entry is not in `names`."""
    members: dict[str, set[str]] = {str(number): set() for number in range(len(names))}
    try:
        for digest, _, number in entries:
            if number:
                members[number].add(digest)
    except KeyError as error:
        raise ManifestError("it names a pack that is not there") from error
    return {name: frozenset(found) for name, found in zip(names, members.values(), strict=True)}
