"""Packs: what is new is packed together, old packs stay, and there are never many."""

from __future__ import annotations

import hashlib
import random

from aia_store.inside.certificate import encode
from aia_store.manager.share import manifest as manifests
from aia_store.manager.share import packs


def made(number: int, size: int = 100) -> dict[str, bytes]:
    """So many things that have the form of certificates, by their SHA-256."""
    ders = [encode(0x30, random.randbytes(size)) for _ in range(number)]
    return {hashlib.sha256(der).hexdigest(): der for der in ders}


def test_what_is_new_is_packed_and_what_was_packed_stays() -> None:
    old, new = made(50), made(7)
    first, contents = packs.arrange(old, {})
    assert list(first.values()) == [frozenset(old)]
    assert dict(packs.split(*contents.values())) == old
    second, contents = packs.arrange({**old, **new}, first)
    assert list(second.values()) == [frozenset(old), frozenset(new)]
    assert dict(packs.split(*contents.values())) == new
    assert packs.arrange({**old, **new}, second) == (second, {})


def test_what_is_new_is_packed_together_with_what_was_new_before() -> None:
    old, before, new = made(50), made(3), made(2)
    known, _ = packs.arrange(old, {})
    known, _ = packs.arrange({**old, **before}, known)
    known, _ = packs.arrange({**old, **before, **new}, known)
    assert list(known.values()) == [frozenset(old), frozenset({**before, **new})]


def test_one_alone_is_in_no_pack() -> None:
    assert packs.arrange(made(1), {}) == ({}, {})


def test_what_is_gone_no_longer_counts() -> None:
    old = made(5)
    first, _ = packs.arrange(old, {})
    left = dict(list(old.items())[:3])
    assert list(packs.arrange(left, first)[0].values()) == [frozenset(left)]


def test_there_are_never_many_packs() -> None:
    known: dict[str, frozenset[str]] = {}
    everything: dict[str, bytes] = {}
    for _ in range(3 * packs.MOST_PACKS):
        everything |= made(2)
        known, _ = packs.arrange(everything, known)
        assert len(known) <= packs.MOST_PACKS
        assert frozenset().union(*known.values()) == everything.keys()


def test_no_pack_is_large() -> None:
    everything = made(40, 65_000)
    _, contents = packs.arrange(everything, {})
    assert max(map(len, contents.values())) <= packs.LARGEST
    assert {digest for content in contents.values() for digest, _ in packs.split(content)} == set(everything)


def test_of_a_damaged_pack_what_comes_before_the_damage_is_read() -> None:
    (content,) = packs.arrange(made(5), {})[1].values()
    assert len(list(packs.split(content[:-1]))) == 4
    assert list(packs.split(b"")) == list(packs.split(b"rubbish")) == []


def test_of_a_pack_of_crumbs_only_so_many_are_looked_at() -> None:
    crumbs = b"".join(encode(0x30, number.to_bytes(3, "big")) for number in range(packs.LARGEST // 5))
    assert len(list(packs.split(crumbs))) == packs.MOST_OF_ONE


def test_a_manifest_says_what_is_in_which_pack() -> None:
    old, new, alone = made(50), made(7), made(1)
    first, _ = packs.arrange(old, {})
    arranged, _ = packs.arrange({**old, **new}, first)
    manifest = manifests.Manifest(frozenset({**old, **new, **alone}), frozenset(made(2)), 1_795_683_600, arranged)
    assert manifests.parse(manifests.text(manifest)) == manifest
