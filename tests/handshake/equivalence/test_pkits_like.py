"""Hand-made cases from practice and from test suites for path validation, each also judged by plain OpenSSL."""

from __future__ import annotations

import _ssl
import itertools
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

import aia_store
from tests.conftest import PARTIAL_CHAIN
from tests.support.pki import Authority, Certified, Options

from .generator import FLAGS_OF_3_11, FLAGS_OF_3_13
from .laboratory import Laboratory
from .model import NO_CHECK_TIME, TRUSTED_FIRST, Settings
from .scene import Scene, leaf

MakeScene = Callable[..., Scene]


@pytest.fixture(params=[FLAGS_OF_3_11, FLAGS_OF_3_13], ids=["flags of 3.11", "flags of 3.13"])
def scene(request: pytest.FixtureRequest, laboratory: Laboratory) -> MakeScene:
    """Makes a scene: the anchors, then what is in the store."""

    def make(*anchors: Certified, planted: list[Certified] | None = None, settings: Settings | None = None) -> Scene:
        folder = Path(laboratory.folder, "scene")
        folder.mkdir()
        return Scene(folder, *anchors, settings=settings or Settings(request.param), planted=planted or [])

    return make


def root(name: str = "Test Root", **options: Any) -> Authority:
    """A root that outlives what is below it."""
    lasting: Options = {"not_after": timedelta(days=900)}
    return Authority.root(name, **{**lasting, **options})


def test_a_cross_signed_root_whose_old_root_expired(scene: MakeScene) -> None:
    """Like AddTrust in 2020: the path over the old root has expired, and the new root is trusted."""
    old, new = root("Old Root", not_after=timedelta(days=-1)), root("New Root")
    bridge = old.cross_sign(new)
    authority = new.intermediate()
    made = scene(new, old, planted=[authority, bridge])
    assert made.meet(leaf(authority)).accepted
    assert made.meet(leaf(authority), bridge).accepted
    assert made.plain(leaf(authority), authority, bridge).accepted


def test_only_the_old_root_is_trusted_and_it_expired(scene: MakeScene) -> None:
    """The same for a program that was not updated."""
    old, new = root("Old Root", not_after=timedelta(days=-1)), root("New Root")
    bridge = old.cross_sign(new)
    authority = new.intermediate()
    made = scene(old, planted=[authority, bridge, new])
    assert not made.meet(leaf(authority)).accepted
    assert not made.plain(leaf(authority), authority, bridge).accepted
    assert not made.added()


def test_a_ring_of_cross_signed_authorities(scene: MakeScene) -> None:
    """OpenSSL walks in circles among trusted certificates until the chain is too long."""
    anchor = root()
    ring = [anchor.intermediate(f"CA {number}") for number in range(6)]
    crossed = [issuer.cross_sign(other) for issuer, other in itertools.permutations(ring, 2)]
    last = ring[-1].intermediate("Last CA")
    made = scene(anchor, planted=[*crossed, *ring, last])
    assert made.meet(leaf(last)).accepted
    assert made.meet(leaf(last), *crossed[:5]).accepted
    assert not made.added()


@pytest.mark.parametrize("order", [0, 1])
def test_two_roots_with_one_name(scene: MakeScene, order: int) -> None:
    """The keys tell them apart."""
    roots = [root("Same Root"), root("Same Root")]
    authority = roots[0].intermediate()
    made = scene(roots[order], roots[1 - order], planted=[authority])
    assert made.meet(leaf(authority)).accepted
    other = Scene(made.folder, roots[1], settings=made.settings)  # another program, with the same store
    assert not other.meet(leaf(authority)).accepted


@pytest.mark.parametrize("key_id", [True, b"another"])
def test_an_impostor_with_a_known_name_waits_in_the_store(scene: MakeScene, key_id: bool | bytes) -> None:
    """It has the name of a real CA, and its key identifier or another, and leads to no root."""
    anchor = root()
    true = anchor.intermediate()
    assert true.key_id
    forged = root("Test Root").intermediate(
        subject_key_id=true.key_id if key_id is True else key_id, authority_key_id=anchor.key_id or False
    )
    made = scene(anchor, planted=[forged, true])
    assert made.meet(leaf(true)).accepted
    assert made.meet(leaf(true), forged).accepted
    assert made.meet(leaf(true), true).accepted
    assert not made.meet(leaf(forged)).accepted
    assert not made.meet(leaf(forged), forged).accepted
    assert not made.added()


def test_an_unrelated_root_refuses(scene: MakeScene) -> None:
    """Nothing is kept."""
    anchor, unrelated = root(), root("Unrelated Root")
    authority = anchor.intermediate()
    made = scene(unrelated)
    for sent in ([], [authority], [authority, anchor]):
        assert not made.meet(leaf(authority), *sent).accepted
    assert not made.added()
    assert not made.kept()


def test_a_root_offered_as_an_intermediate_stays_untrusted(scene: MakeScene, laboratory: Laboratory) -> None:
    """By the server, by the cache and by AIA."""
    anchor, stranger = root(), root("Stranger")
    authority = stranger.intermediate()
    url = laboratory.host.publish("/stranger.cer", stranger.der)
    below = stranger.intermediate("With URL", aia=[url])
    made = scene(anchor, planted=[stranger, authority, below])
    assert not made.meet(leaf(authority), authority, stranger).accepted
    assert not made.meet(leaf(stranger, url=url)).accepted
    assert not made.meet(leaf(below)).accepted
    assert not made.added()


def test_constraints_of_a_root_outlast_a_completion_for_another_host(scene: MakeScene) -> None:
    """An intermediate that is known must not be the end of a chain."""
    anchor = root(excluded=["other.example"])
    authority = anchor.intermediate()
    made = scene(anchor, planted=[authority])
    assert made.meet(leaf(authority)).accepted
    elsewhere = leaf(authority, "other.example")
    assert not made.meet(elsewhere, host="other.example").accepted
    assert not made.plain(elsewhere, authority, host="other.example").accepted


def test_the_path_length_of_a_root_outlasts_a_completion(scene: MakeScene) -> None:
    """A root that allows one CA below it, and a second one."""
    anchor = root(path_length=1)
    first = anchor.intermediate("First")
    second = first.intermediate("Second")
    made = scene(anchor, planted=[first, second])
    assert made.meet(leaf(first)).accepted
    assert not made.meet(leaf(second)).accepted
    assert not made.meet(leaf(second), second).accepted
    assert not made.plain(leaf(second), second, first).accepted


def test_a_pinned_intermediate(laboratory: Laboratory) -> None:
    """With the flags of 3.13 a program can trust one intermediate and not its root, before and after a completion."""
    folder = Path(laboratory.folder, "scene")
    folder.mkdir()
    anchor = root()
    pinned, other = anchor.intermediate("Pinned"), anchor.intermediate("Other")
    below = pinned.intermediate("Below", not_after=timedelta(days=80))
    made = Scene(folder, pinned, settings=Settings(FLAGS_OF_3_13), planted=[other, below, anchor])
    for _ in range(2):
        assert made.meet(leaf(pinned)).accepted
        assert made.meet(leaf(below)).accepted
        assert not made.meet(leaf(other)).accepted
        assert not made.meet(leaf(other), other, anchor).accepted
    assert not made.added()


def test_right_servers_stay_right_whatever_else_they_send(scene: MakeScene) -> None:
    """A rival of the same name, self-signed or not, sent beside the true one."""
    anchor = root()
    upper = anchor.intermediate("Upper")
    lower = upper.intermediate("Lower")
    rivals = [root("Lower", key=lower.key), root("Lower"), root("Test Root").intermediate("Upper")]
    made = scene(anchor)
    for sent in ([lower, upper, *rivals], [lower, rivals[0], upper], [lower, rivals[2], upper, rivals[1]]):
        assert made.plain(leaf(lower), *sent).accepted
        assert made.meet(leaf(lower), *sent).accepted
    assert not made.added()


TIGHTER: dict[str, tuple[Settings, Settings, Options, Options]] = {
    "security level": (
        Settings(TRUSTED_FIRST | PARTIAL_CHAIN, 0),
        Settings(TRUSTED_FIRST | PARTIAL_CHAIN, 2),
        {},
        {"hash": hashes.SHA1()},
    ),
    "strict": (
        Settings(TRUSTED_FIRST | PARTIAL_CHAIN),
        Settings(FLAGS_OF_3_13),
        {"authority_key_id": False},
        {},
    ),
    "time": (
        Settings(TRUSTED_FIRST | PARTIAL_CHAIN | NO_CHECK_TIME),
        Settings(TRUSTED_FIRST | PARTIAL_CHAIN),
        {"not_before": timedelta(days=1)},
        {},
    ),
}


@pytest.mark.parametrize("change", TIGHTER)
def test_a_program_that_pins_tightens_its_settings_after_a_completion(laboratory: Laboratory, change: str) -> None:
    """What was harmless as an anchor under the old settings is none under the new ones."""
    folder = Path(laboratory.folder, "scene")
    folder.mkdir()
    before, after, of_upper, of_lower = TIGHTER[change]
    anchor, pinned = root(), root("Other Root").intermediate("Pinned")
    shorter: Options = {"not_after": timedelta(days=60), **of_lower}
    upper = anchor.intermediate("Upper", **of_upper)
    lower = upper.intermediate("Lower", **shorter)
    made = Scene(folder, anchor, pinned, settings=before, planted=[upper, lower])
    assert made.meet(leaf(lower)).accepted
    made.change(after)
    assert not made.plain(leaf(lower), lower, upper).accepted
    assert not made.meet(leaf(lower)).accepted


def test_a_connection_begun_before_complete_was_called(laboratory: Laboratory) -> None:
    """Its SSL object has the flag for partial chains in its own copy, and shares the certificates of the context."""
    folder = Path(laboratory.folder, "scene")
    folder.mkdir()
    anchor = root(excluded=["other.example"])
    authority = anchor.intermediate()
    made = Scene(folder, anchor, settings=Settings(FLAGS_OF_3_13), planted=[authority])
    made.context = context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # By the bare class, as in a process that has not yet heard of the hook.
    bare: Any = _ssl._SSLContext
    context.verify_flags = ssl.VerifyFlags(FLAGS_OF_3_13)
    bare.load_verify_locations(context, cadata=anchor.pem)
    reads, writes = ssl.MemoryBIO(), ssl.MemoryBIO()
    early = bare._wrap_bio(context, reads, writes, False, "other.example")
    aia_store.complete(context)
    made.meet(leaf(authority))
    elsewhere = leaf(authority, "other.example")
    assert not made.servers.finish(early, reads, writes, [elsewhere.der]).accepted
