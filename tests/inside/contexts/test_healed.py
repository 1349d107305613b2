"""Certificates that mislead OpenSSL in a program's store do not matter: expired roots and namesakes, as in 2020.

OpenSSL takes the first issuer that fits by name and does not go back. A modern verifier looks for a path that is good
by itself: the leaf, intermediates, and one anchor of the program's. So the judge here is plain OpenSSL with that
anchor alone, before a server that sends that path.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import FLAGS
from tests.support.ca_files import large_ca_file
from tests.support.pki import Authority, Leaf, Options, pem, pkcs7
from tests.support.servers import AIAHost, TLSServer

from . import client
from .client import ACCEPTED, Setup, Visit
from .conftest import verdicts
from .programs import Program

PAST = timedelta(days=-1)
LONG: Options = {"not_after": timedelta(days=900)}

ALL_FLAGS = {**FLAGS, "no flags": 0}

flags_of = pytest.mark.parametrize("flags", ALL_FLAGS.values(), ids=ALL_FLAGS.keys())


@dataclass(frozen=True)
class Scene:
    """A leaf, a good path, and certificates that mislead OpenSSL."""

    leaf: Leaf
    path: Sequence[Authority]  #: good: intermediates, the leaf's issuer first
    anchor: Authority  #: the good one
    in_the_way: Sequence[Authority]  #: in the program's store, beside it
    sent: Sequence[Authority]  #: all that the server can send, in the usual order


def addtrust(aia: AIAHost) -> Scene:
    """AddTrust 2020, DST Root CA X3 2021: the new root was certified by an old one, too, which has ended."""
    old, new = Authority.root("Old Root", not_after=PAST), Authority.root("New Root", **LONG)
    bridge = old.cross_sign(new)
    url = aia.publish("/bridge.cer", bridge.der)
    ca = new.intermediate("CA", aia=[url])
    leaf = ca.leaf(aia=[aia.publish("/ca.cer", ca.der)])
    return Scene(leaf, [ca], new, [old], [ca, bridge])


def bridge_in_the_store(aia: AIAHost) -> Scene:
    """The same, and the program's bundle has kept the certificate between the two."""
    scene = addtrust(aia)
    return Scene(scene.leaf, scene.path, scene.anchor, [*scene.in_the_way, scene.sent[1]], scene.sent)


def ended_bridge_in_the_store(aia: AIAHost) -> Scene:
    """And it has ended, too."""
    scene = addtrust(aia)
    [old] = scene.in_the_way
    bridge = old.cross_sign(scene.anchor, not_after=PAST)
    return Scene(scene.leaf, scene.path, scene.anchor, [old, bridge], [*scene.path, bridge])


def cross_signed_ca(aia: AIAHost) -> Scene:
    """The CA itself has two certificates: one below a root that has ended, one below a good one."""
    old, new = Authority.root("Old Root", not_after=PAST), Authority.root("New Root", **LONG)
    by_old = old.intermediate("CA")
    by_new = new.cross_sign(by_old)
    leaf = by_old.leaf(aia=[aia.publish("/both.p7c", pkcs7(by_old.der, by_new.der))])
    return Scene(leaf, [by_new], new, [old], [by_old, by_new])


def namesake_root(aia: AIAHost) -> Scene:
    """Two roots of one name and key identifier, as if the keys were the same."""
    good = Authority.root("Root", **LONG)
    namesake = Authority.root("Root", subject_key_id=good.key_id or False, **LONG)
    ca = good.intermediate("CA")
    leaf = ca.leaf(aia=[aia.publish("/ca.cer", ca.der)])
    return Scene(leaf, [ca], good, [namesake], [ca])


def ended_namesake_root(aia: AIAHost) -> Scene:
    """The other one has ended."""
    scene = namesake_root(aia)
    ended = Authority.root("Root", subject_key_id=scene.anchor.key_id or False, not_after=PAST)
    return Scene(scene.leaf, scene.path, scene.anchor, [ended], scene.sent)


def namesake_ca_in_the_store(aia: AIAHost) -> Scene:
    """The program's store has a CA of the same name and key identifier, and another key."""
    good, other = Authority.root("Root", **LONG), Authority.root("Other Root", **LONG)
    ca = good.intermediate("CA")
    namesake = other.intermediate("CA", subject_key_id=ca.key_id or False)
    leaf = ca.leaf(aia=[aia.publish("/ca.cer", ca.der)])
    return Scene(leaf, [ca], good, [namesake], [ca])


def ended_ca_in_the_store(aia: AIAHost) -> Scene:
    """The program's bundle has kept a CA's certificate that has ended, and its successor is not there."""
    good = Authority.root("Root", **LONG)
    ca = good.intermediate("CA")
    ended = ca.reissue(not_after=PAST)
    leaf = ca.leaf(aia=[aia.publish("/ca.cer", ca.der)])
    return Scene(leaf, [ca], good, [ended], [ca])


def shorter_path_to_an_ended_root(aia: AIAHost) -> Scene:
    """The way to the root that has ended is the shorter one."""
    old, new = Authority.root("Old Root", not_after=PAST), Authority.root("New Root", **LONG)
    upper = new.intermediate("Upper CA")
    by_old = old.intermediate("CA")
    by_upper = upper.cross_sign(by_old, aia=[aia.publish("/upper.cer", upper.der)])
    leaf = by_old.leaf(aia=[aia.publish("/both.p7c", pkcs7(by_old.der, by_upper.der))])
    return Scene(leaf, [by_upper, upper], new, [old], [by_old, by_upper, upper])


SCENES: list[Callable[[AIAHost], Scene]] = [
    addtrust,
    bridge_in_the_store,
    ended_bridge_in_the_store,
    cross_signed_ca,
    namesake_root,
    ended_namesake_root,
    namesake_ca_in_the_store,
    ended_ca_in_the_store,
    shorter_path_to_an_ended_root,
]
scene_of = pytest.mark.parametrize("make", SCENES, ids=lambda make: make.__name__)


def met(run: Program, setup: Setup, leaf: Leaf, *messages: Sequence[Authority], host: str = "localhost") -> list[str]:
    """The verdicts on servers that send these: of a new context on each, then of one context, from the last on."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(TLSServer(leaf, sent)) for sent in messages]
        visits = [Visit(server.port, host) for server in servers]
        alone = [run.run(client.play, setup, [visit])[0] for visit in visits]
        return verdicts([*alone, *run.run(client.play, setup, visits[::-1])])


def messages_of(scene: Scene) -> list[Sequence[Authority]]:
    """All; all in the wrong order; leaf and CA; leaf only. So that at first nothing is known."""
    return [scene.sent, scene.sent[::-1], scene.sent[:1], []]


def by_data(folder: Path, flags: int, *anchors: Authority) -> Setup:
    return Setup(flags=flags, cadata=pem(*anchors))


def by_large_file(folder: Path, flags: int, *anchors: Authority) -> Setup:
    return Setup(flags=flags, cafiles=(str(large_ca_file(folder / "anchors.pem", *anchors)),))


@scene_of
@pytest.mark.parametrize(
    ("load", "flags"),
    [*((by_data, flags) for flags in ALL_FLAGS.values()), (by_large_file, FLAGS["flags of 3.13"])],
    ids=[*ALL_FLAGS, "large file"],
)
def test_a_good_path_is_taken(
    plain: Program,
    program: Program,
    aia: AIAHost,
    tmp_path: Path,
    make: Callable[[AIAHost], Scene],
    load: Callable[..., Setup],
    flags: int,
) -> None:
    """For anything that the server sends, and for any order of the program's anchors."""
    scene = make(aia)
    judge = Setup(flags=flags, cadata=scene.anchor.pem)
    assert met(plain, judge, scene.leaf, scene.path) == [ACCEPTED] * 2
    for anchors in ([scene.anchor, *scene.in_the_way], [*scene.in_the_way, scene.anchor]):
        setup = load(tmp_path, flags, *anchors)
        assert met(program, setup, scene.leaf, *messages_of(scene)) == [ACCEPTED] * 8


@flags_of
@scene_of
def test_nothing_is_taken_where_there_is_no_good_path(
    plain: Program, program: Program, aia: AIAHost, make: Callable[[AIAHost], Scene], flags: int
) -> None:
    """The program trusts only what stands in the way; or it knows the good path, and asks for another host.

    Where chains may end early, the bridge is an anchor itself.
    """
    scene = make(aia)
    only_bad = Setup(flags=flags, cadata=pem(*scene.in_the_way))
    judged = met(plain, only_bad, scene.leaf, *messages_of(scene), scene.path)
    is_pinned = make is bridge_in_the_store and flags == FLAGS["flags of 3.13"]
    assert (ACCEPTED in judged) == is_pinned
    assert (ACCEPTED in met(program, only_bad, scene.leaf, *messages_of(scene))) == is_pinned
    all_of_them = Setup(flags=flags, cadata=pem(scene.anchor, *scene.in_the_way))
    assert ACCEPTED not in met(program, all_of_them, scene.leaf, *messages_of(scene), host="wrong.example")


@flags_of
def test_a_good_path_that_has_ended_itself(plain: Program, program: Program, aia: AIAHost, flags: int) -> None:
    """Both roots have ended."""
    scene = addtrust(aia)
    ended = scene.anchor.reissue(not_after=PAST)
    setup = Setup(flags=flags, cadata=pem(ended, *scene.in_the_way))
    assert ACCEPTED not in met(plain, setup, scene.leaf, scene.path)
    assert ACCEPTED not in met(program, setup, scene.leaf, *messages_of(scene))
