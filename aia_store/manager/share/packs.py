"""Packs: certificates that were published together, in one file, so that a machine needs few requests.

A pack is their DER, one after another; its name is the SHA-256 of all of it. At each publication, a hub packs what is
new, together with the newest packs, as long as these are not much larger. So there are few packs, and what a machine
has not seen yet is in one or two of them. Each certificate is on the shelf by itself, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from itertools import islice

from ...inside.certificate import DERError, elements, sha256

LARGEST = 1 << 20  # bytes
MOST_PACKS = 24  # if all have the largest size, they hold 18,000 certificates
MOST_OF_ONE = LARGEST >> 7  # every certificate is larger than 128 bytes, so a pack with more is hostile
_MUCH_LARGER = 2.0  # times as many


def split(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The certificates in a pack, each with its SHA-256; if the pack is damaged, those before the damage."""
    with contextlib.suppress(DERError):
        for _, begin, _, stop in islice(elements(content, 0, len(content)), MOST_OF_ONE):
            der = content[begin:stop]
            yield sha256(der), der


def arrange(
    certificates: Mapping[str, bytes], before: Mapping[str, frozenset[str]], unseen: frozenset[str] = frozenset()
) -> tuple[dict[str, frozenset[str]], dict[str, bytes]]:
    """Pack certificates (DER, by SHA-256), leaving the larger packs of `before` as they are.

    Returns the packs for the shelf, and the contents of the new ones. Packs are given by their names, the newest last,
    with the certificates in each. `unseen` certificates are still published, but not here, so their packs stay.
    """
    there = certificates.keys() | unseen
    packs = {name: left for name, members in before.items() if len(left := members & there) > 1}
    packed = frozenset().union(*packs.values())
    group = certificates.keys() - packed
    while group and packs and len(newest := packs[next(reversed(packs))]) <= _MUCH_LARGER * len(group):
        if newest & unseen:
            break
        group |= packs.popitem()[1]
    new = dict(_packed({digest: certificates[digest] for digest in group}))
    if len(packs) + len(new) > MOST_PACKS:
        packs, new = {}, dict(_packed(certificates))
    contents = {sha256(content): content for content in new.values()}
    return {**packs, **dict(zip(contents, new, strict=True))}, contents


def _packed(certificates: Mapping[str, bytes]) -> Iterator[tuple[frozenset[str], bytes]]:
    """Packs for certificates: the members and the content of each. A certificate that would be alone gets none."""
    groups: list[list[str]] = [[]]
    size = 0
    for digest, der in sorted(certificates.items()):
        if size + len(der) > LARGEST:
            groups.append([])
            size = 0
        groups[-1].append(digest)
        size += len(der)
    for group in groups:
        if len(group) > 1:
            yield frozenset(group), b"".join(certificates[digest] for digest in group)
