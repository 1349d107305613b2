"""Pinned certificates: a program trusts an intermediate or a leaf, but not, or not only, the root above."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import FLAGS, MakeHierarchy
from tests.support.pki import Authority, Certified, pem
from tests.support.servers import AIAHost, TLSServer

from . import client
from .client import ACCEPTED, Setup, Visit
from .conftest import Comparison, verdicts
from .files import file_of, folder_of
from .programs import Program

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
PARTIAL = FLAGS["flags of 3.13"]


def as_data(folder: Path, flags: int, *anchors: Certified) -> Setup:
    return Setup(flags=flags, cadata=pem(*anchors))


def in_a_file(folder: Path, flags: int, *anchors: Certified) -> Setup:
    return Setup(flags=flags, cafiles=(file_of(folder / "pins.pem", pem(*anchors)),))


def in_a_folder(folder: Path, flags: int, *anchors: Certified) -> Setup:
    return Setup(flags=flags, capaths=(folder_of(folder / "pins", *map(pem, anchors)),))


Pin = Callable[..., Setup]
pinned = pytest.mark.parametrize("pin", [as_data, in_a_file, in_a_folder])


@pinned
@flags_of
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_pinned_intermediate(
    comparison: Comparison, hierarchy: MakeHierarchy, tmp_path: Path, pin: Pin, flags: int, which: int
) -> None:
    """It is an anchor under the flags of 3.13, and none under those of 3.11."""
    pki = hierarchy({}, {}, {})
    verdict = comparison.completed(pin(tmp_path, flags, pki.intermediates[which]), pki.leaf, pki.intermediates)
    assert (verdict == ACCEPTED) == (flags == PARTIAL)


@pinned
@flags_of
def test_a_pinned_leaf(comparison: Comparison, hierarchy: MakeHierarchy, tmp_path: Path, pin: Pin, flags: int) -> None:
    pki = hierarchy()
    verdict = comparison.completed(pin(tmp_path, flags, pki.leaf), pki.leaf, pki.intermediates)
    assert (verdict == ACCEPTED) == (flags == PARTIAL)


@pinned
@flags_of
def test_another_leaf_is_pinned(
    comparison: Comparison, hierarchy: MakeHierarchy, tmp_path: Path, pin: Pin, flags: int
) -> None:
    pki = hierarchy()
    other = pki.intermediates[0].leaf()
    assert comparison.completed(pin(tmp_path, flags, other), pki.leaf, pki.intermediates) != ACCEPTED


@pinned
@flags_of
def test_an_intermediate_of_another_branch_is_pinned(
    comparison: Comparison, hierarchy: MakeHierarchy, tmp_path: Path, pin: Pin, flags: int
) -> None:
    pki = hierarchy()
    other = pki.root.intermediate("Another branch")
    assert comparison.completed(pin(tmp_path, flags, other), pki.leaf, pki.intermediates) != ACCEPTED


@pinned
@flags_of
def test_the_root_and_an_intermediate(
    comparison: Comparison, hierarchy: MakeHierarchy, tmp_path: Path, pin: Pin, flags: int
) -> None:
    pki = hierarchy({}, {})
    setup = pin(tmp_path, flags, pki.root, pki.intermediates[1])
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == ACCEPTED


@pinned
@flags_of
def test_what_is_above_a_pin_does_not_count(
    comparison: Comparison, hierarchy: MakeHierarchy, tmp_path: Path, pin: Pin, flags: int
) -> None:
    """The root ended: for who trusts the root the chain is refused, for who pins the upper intermediate it is not."""
    root = Authority.root(not_after=timedelta(days=-1))
    pki = hierarchy({}, {}, root=root)
    (tmp_path / "root").mkdir()
    setup = pin(tmp_path / "root", flags, root)
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == "certificate has expired"
    verdict = comparison.completed(pin(tmp_path, flags, pki.intermediates[1]), pki.leaf, pki.intermediates)
    assert (verdict == ACCEPTED) == (flags == PARTIAL)


@flags_of
def test_a_pin_whose_root_forbids_the_host(
    comparison: Comparison, hierarchy: MakeHierarchy, tmp_path: Path, flags: int
) -> None:
    root = Authority.root(excluded=["localhost"])
    pki = hierarchy({}, {}, root=root)
    verdicts = [
        comparison.completed(as_data(tmp_path, flags, *anchors), pki.leaf, pki.intermediates)
        for anchors in ([root], [pki.intermediates[1]])
    ]
    assert verdicts[0] == "excluded subtree violation"
    assert (verdicts[1] == ACCEPTED) == (flags == PARTIAL)


@pinned
def test_an_expired_pin(comparison: Comparison, hierarchy: MakeHierarchy, tmp_path: Path, pin: Pin) -> None:
    pki = hierarchy({}, {"not_after": timedelta(days=-1)})
    setup = pin(tmp_path, PARTIAL, pki.intermediates[1])
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == "certificate has expired"


@pinned
def test_a_right_server_beside_a_pin_costs_nothing(
    program: Program, aia: AIAHost, hierarchy: MakeHierarchy, tmp_path: Path, pin: Pin
) -> None:
    pki = hierarchy({}, {})
    sent: list[Sequence[Certified]] = [pki.intermediates, pki.intermediates[:1], []]
    for number in range(2):
        (folder := tmp_path / str(number)).mkdir()
        setup = pin(folder, PARTIAL, pki.intermediates[number])
        with TLSServer(pki.leaf, sent[number]) as whole, TLSServer(pki.leaf, sent[1 + (number == 0)]) as less:
            assert verdicts(program.run(client.play, setup, [Visit(whole.port), Visit(less.port)])) == [ACCEPTED] * 2
    assert aia.connections == 0


@pinned
def test_pinned_after_a_completion(
    plain: Program, program: Program, hierarchy: MakeHierarchy, aia: AIAHost, tmp_path: Path, pin: Pin
) -> None:
    """What was completed under the root makes no anchor, and what is pinned later is one."""
    pki = hierarchy({}, {})
    pinned = Authority.root("Other Root").intermediate("Pinned")
    below = pinned.intermediate("Below")
    other = below.leaf(aia=[aia.publish("/below.cer", below.der)])
    outside = pki.intermediates[0].leaf("outside.example")
    trusts = Setup(flags=PARTIAL, cadata=pki.root.pem)
    then = pin(tmp_path, PARTIAL, pinned)
    with (
        TLSServer(pki.leaf) as one,
        TLSServer(pki.leaf, pki.intermediates) as whole_one,
        TLSServer(other) as two,
        TLSServer(other, [below]) as whole_two,
        TLSServer(outside) as three,
        TLSServer(outside, pki.intermediates) as whole_three,
    ):
        lives = []
        for run, servers in ((plain, (whole_one, whole_two, whole_three)), (program, (one, two, three))):
            first, second, third = (Visit(server.port) for server in servers)
            lives.append(verdicts(run.run(client.play, trusts, [first, second, then, first, second, third])))
    without, with_the_hook = lives
    accepted = [verdict == ACCEPTED for verdict in without]
    assert accepted == [True, False, True, True, False]
    assert [verdict == ACCEPTED for verdict in with_the_hook] == accepted
