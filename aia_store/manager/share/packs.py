"""Packs: files on the shelf with several certificates each, so that a machine needs few requests.

A pack is the DER of its certificates, one after another. Its name is the SHA-256 of its content. At each publication, a
hub makes a pack of the new certificates, and of those in the newest packs as long as these are not much larger. So
there are few packs, and one or two hold all that is new to a machine. Each certificate is also in a file of its own.
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
    """Yield the SHA-256 and the DER of each certificate in a pack, or if it is damaged, of those before the damage."""
    with contextlib.suppress(DERError):
        for _, begin, _, stop in islice(elements(content, 0, len(content)), MOST_OF_ONE):
            der = content[begin:stop]
            yield sha256(der), der


def arrange(
    certificates: Mapping[str, bytes], before: Mapping[str, frozenset[str]], unseen: frozenset[str] = frozenset()
) -> tuple[dict[str, frozenset[str]], dict[str, bytes]]:
    """Pack certificates (DER, by SHA-256). The larger packs of `before` stay as they are.

    `before` and the first result map the name of each pack, the newest last, to the certificates in it. The second
    result has the contents of new packs. `unseen` are published certificates that this hub lacks; their packs stay.
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
    """Yield each pack: the SHA-256s of its certificates, and its content. No pack is made for a single certificate."""
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
