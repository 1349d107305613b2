"""Servers that choose their context by the name that the client sends."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.conftest import FLAGS, Hierarchy, MakeHierarchy
from tests.support.pki import Authority, Certified, pem

from . import lives
from .client import ACCEPTED, Setup
from .files import file_of
from .programs import Program

SITE = Authority.root("Site Root").leaf("by.name")

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())


@pytest.fixture
def members(hierarchy: MakeHierarchy) -> Hierarchy:
    return hierarchy({}, {}, eku=[ExtendedKeyUsageOID.CLIENT_AUTH])


@pytest.fixture
def site(tmp_path: Path) -> str:
    return file_of(tmp_path / "site.pem", SITE.key_pem, SITE.pem)


def showing(folder: Path, members: Hierarchy, flags: int, *sends: Certified, trusts: Authority | None = None) -> Setup:
    file = file_of(folder / "client.pem", members.leaf.key_pem, pem(members.leaf, *sends))
    return Setup(flags=flags, cadata=(trusts or members.root).pem, certificate=file)


@flags_of
@pytest.mark.parametrize("completes", [False, True], ids=["not asked to", "asked to"])
def test_what_is_put_back_is_the_chosen_context(
    plain: Program, program: Program, members: Hierarchy, site: str, tmp_path: Path, flags: int, completes: bool
) -> None:
    """Not the first one, which the connection was made of."""
    whole = showing(tmp_path, members, flags, *members.intermediates)
    expected = plain.run(lives.serve_by_name, whole, site, False)
    assert expected == [ACCEPTED, "chosen"]
    assert program.run(lives.serve_by_name, whole, site, completes) == expected
    short = showing(tmp_path, members, flags)
    alone = plain.run(lives.serve_by_name, short, site, False)
    assert program.run(lives.serve_by_name, short, site, completes) == (expected if completes else alone)


@flags_of
def test_a_client_that_the_chosen_context_refuses(
    plain: Program, program: Program, members: Hierarchy, site: str, tmp_path: Path, flags: int
) -> None:
    other = Authority.root("Another Root")
    whole = showing(tmp_path, members, flags, *members.intermediates, trusts=other)
    verdict, shown = plain.run(lives.serve_by_name, whole, site, False)
    assert (verdict, shown) != (ACCEPTED, "chosen")
    assert program.run(lives.serve_by_name, whole, site, True) == [verdict, "chosen"]
    short = showing(tmp_path, members, flags, trusts=other)
    alone = plain.run(lives.serve_by_name, short, site, False)
    assert program.run(lives.serve_by_name, short, site, True) == alone
