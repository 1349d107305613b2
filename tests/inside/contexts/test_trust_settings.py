"""Certificates with trust settings of their own (`TRUSTED CERTIFICATE`): what they say holds for completed chains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FLAGS, Hierarchy, MakeHierarchy
from tests.support.pki import Authority

from .client import ACCEPTED, Setup
from .conftest import Comparison
from .files import file_of, folder_of, trusted_pem

REJECTED = "certificate rejected"

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())


def by_file(folder: Path, flags: int, *texts: str) -> Setup:
    return Setup(flags=flags, cafiles=(file_of(folder / "trust.pem", *texts),))


def by_folder(folder: Path, flags: int, *texts: str) -> Setup:
    return Setup(flags=flags, capaths=(folder_of(folder / "trust", *texts),))


Load = Callable[..., Setup]
loaded = pytest.mark.parametrize("load", [by_file, by_folder])


@pytest.fixture
def pki(hierarchy: MakeHierarchy) -> Hierarchy:
    return hierarchy({}, {})


@flags_of
@loaded
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["-addtrust", "serverAuth"], ACCEPTED),
        (["-addtrust", "anyExtendedKeyUsage"], ACCEPTED),
        (["-addtrust", "emailProtection", "-addtrust", "serverAuth"], ACCEPTED),
        (["-addreject", "emailProtection"], ACCEPTED),
        (["-setalias", "a name"], ACCEPTED),
        (["-addreject", "serverAuth"], REJECTED),
        (["-addreject", "anyExtendedKeyUsage"], REJECTED),
        (["-addtrust", "emailProtection"], REJECTED),
        (["-addtrust", "clientAuth"], REJECTED),
        (["-addtrust", "serverAuth", "-addreject", "serverAuth"], REJECTED),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_root(
    comparison: Comparison,
    pki: Hierarchy,
    tmp_path: Path,
    load: Load,
    flags: int,
    settings: list[str],
    expected: str,
) -> None:
    setup = load(tmp_path, flags, trusted_pem(pki.root, *settings))
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == expected


@flags_of
@pytest.mark.parametrize("which", [0, 1], ids=["lower", "upper"])
@pytest.mark.parametrize("load", [by_file, by_folder])
def test_an_intermediate_that_the_program_rejects(
    comparison: Comparison, pki: Hierarchy, tmp_path: Path, load: Load, flags: int, which: int
) -> None:
    """OpenSSL prefers the program's own copy to the one that the server sends, which says nothing of the kind."""
    rejected = trusted_pem(pki.intermediates[which], "-addreject", "serverAuth")
    setup = load(tmp_path, flags, pki.root.pem, rejected)
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == REJECTED


@flags_of
def test_an_intermediate_that_the_program_trusts(
    comparison: Comparison, pki: Hierarchy, tmp_path: Path, flags: int
) -> None:
    """Trusted expressly, it is an anchor without partial chains, too."""
    setup = by_file(tmp_path, flags, trusted_pem(pki.intermediates[1], "-addtrust", "serverAuth"))
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == ACCEPTED


@flags_of
def test_settings_of_a_leaf(comparison: Comparison, pki: Hierarchy, tmp_path: Path, flags: int) -> None:
    """OpenSSL asks the anchor of a chain only."""
    setup = by_file(tmp_path, flags, pki.root.pem, trusted_pem(pki.leaf, "-addreject", "serverAuth"))
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == ACCEPTED


@flags_of
@pytest.mark.parametrize("first", [True, False], ids=["rejected first", "plain first"])
def test_the_same_root_with_settings_and_without(
    comparison: Comparison, pki: Hierarchy, tmp_path: Path, flags: int, first: bool
) -> None:
    """OpenSSL keeps the one that it was given first."""
    texts = [trusted_pem(pki.root, "-addreject", "serverAuth"), pki.root.pem]
    setup = by_file(tmp_path, flags, *(texts if first else reversed(texts)))
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == (REJECTED if first else ACCEPTED)


@flags_of
def test_a_rejected_root_beside_a_trusted_one(
    comparison: Comparison, pki: Hierarchy, tmp_path: Path, flags: int
) -> None:
    """The settings are of one certificate, and harm no other."""
    other = Authority.root("Other Root")
    setup = by_file(tmp_path, flags, trusted_pem(other, "-addreject", "serverAuth"), pki.root.pem)
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == ACCEPTED


@flags_of
def test_a_root_whose_settings_the_servers_copy_lacks(
    comparison: Comparison, pki: Hierarchy, tmp_path: Path, flags: int
) -> None:
    """The server sends the root, too."""
    setup = by_file(tmp_path, flags, trusted_pem(pki.root, "-addreject", "serverAuth"))
    assert comparison.completed(setup, pki.leaf, [*pki.intermediates, pki.root]) == REJECTED
