"""CRLs: a program that checks them does so of completed chains, too."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import FLAGS, PARTIAL_CHAIN, Hierarchy, MakeHierarchy
from tests.support.pki import Options, crl
from tests.support.servers import AIAHost, TLSServer
from tests.support.trusted import crl_pem

from . import client
from .client import ACCEPTED, Setup, Visit
from .conftest import Comparison, verdicts
from .files import file_of, folder_of
from .programs import Program

LEAF, CHAIN = ssl.VERIFY_CRL_CHECK_LEAF, ssl.VERIFY_CRL_CHECK_CHAIN
REVOKED, NO_CRL = "certificate revoked", "unable to get certificate CRL"
OLD = {"last_update": timedelta(days=-9), "next_update": timedelta(days=-2)}

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())


def by_file(folder: Path, flags: int, *texts: str) -> Setup:
    return Setup(flags=flags, cafiles=(file_of(folder / "trust.pem", *texts),))


def by_files(folder: Path, flags: int, *texts: str) -> Setup:
    files = [file_of(folder / f"trust {number}.pem", text) for number, text in enumerate(texts)]
    return Setup(flags=flags, cafiles=tuple(files))


def by_folder(folder: Path, flags: int, *texts: str) -> Setup:
    return Setup(flags=flags, capaths=(folder_of(folder / "trust", *texts),))


Load = Callable[..., Setup]
loaded = pytest.mark.parametrize("load", [by_file, by_folder])


@pytest.fixture
def pki(hierarchy: MakeHierarchy) -> Hierarchy:
    return hierarchy({}, {})


def verdict(comparison: Comparison, pki: Hierarchy, setup: Setup) -> str:
    """Where all of a chain is checked and it may end early, OpenSSL does not find the issuer of the last CRL."""
    assert setup.flags is not None
    ends_early = setup.flags & CHAIN == CHAIN and setup.flags & PARTIAL_CHAIN
    compare = comparison.completed_or_left_alone if ends_early else comparison.completed
    return compare(setup, pki.leaf, pki.intermediates)


@flags_of
@loaded
def test_nothing_is_revoked(comparison: Comparison, pki: Hierarchy, tmp_path: Path, load: Load, flags: int) -> None:
    lower, upper = pki.intermediates
    trust = [pki.root.pem, *map(crl_pem, (crl(lower), crl(upper), crl(pki.root)))]
    for number, check in enumerate((LEAF, CHAIN)):
        (folder := tmp_path / str(number)).mkdir()
        assert verdict(comparison, pki, load(folder, flags | check, *trust)) == ACCEPTED


@flags_of
@loaded
def test_a_revoked_leaf(comparison: Comparison, pki: Hierarchy, tmp_path: Path, load: Load, flags: int) -> None:
    lower, upper = pki.intermediates
    trust = [pki.root.pem, *map(crl_pem, (crl(lower, [pki.leaf]), crl(upper), crl(pki.root)))]
    for number, check in enumerate((LEAF, CHAIN)):
        (folder := tmp_path / str(number)).mkdir()
        assert verdict(comparison, pki, load(folder, flags | check, *trust)) == REVOKED


@flags_of
@loaded
@pytest.mark.parametrize("which", [0, 1], ids=["lower", "upper"])
def test_a_revoked_intermediate(
    comparison: Comparison, pki: Hierarchy, tmp_path: Path, load: Load, which: int, flags: int
) -> None:
    lower, upper = pki.intermediates
    of_upper = crl(upper, [lower] if which == 0 else [])
    of_root = crl(pki.root, [upper] if which == 1 else [])
    trust = [pki.root.pem, *map(crl_pem, (crl(lower), of_upper, of_root))]
    for number, (check, expected) in enumerate(((LEAF, ACCEPTED), (CHAIN, REVOKED))):
        (folder := tmp_path / str(number)).mkdir()
        assert verdict(comparison, pki, load(folder, flags | check, *trust)) == expected


@flags_of
@loaded
def test_an_expired_crl(comparison: Comparison, pki: Hierarchy, tmp_path: Path, load: Load, flags: int) -> None:
    lower, upper = pki.intermediates
    trust = [pki.root.pem, *map(crl_pem, (crl(lower, **OLD), crl(upper), crl(pki.root)))]
    assert verdict(comparison, pki, load(tmp_path, flags | LEAF, *trust)) == "CRL has expired"


@flags_of
@loaded
@pytest.mark.parametrize("check", [LEAF, CHAIN], ids=["leaf", "chain"])
def test_no_crl(comparison: Comparison, pki: Hierarchy, tmp_path: Path, load: Load, check: int, flags: int) -> None:
    assert verdict(comparison, pki, load(tmp_path, flags | check, pki.root.pem)) == NO_CRL


@flags_of
def test_each_in_a_file_of_its_own(comparison: Comparison, pki: Hierarchy, tmp_path: Path, flags: int) -> None:
    lower, upper = pki.intermediates
    trust = [pki.root.pem, *map(crl_pem, (crl(lower), crl(upper), crl(pki.root)))]
    assert verdict(comparison, pki, by_files(tmp_path, flags | CHAIN, *trust)) == ACCEPTED
    trust[1] = crl_pem(crl(lower, [pki.leaf]))
    assert verdict(comparison, pki, by_files(tmp_path, flags | CHAIN, *trust)) == REVOKED


@flags_of
def test_a_crl_is_missing_for_one_of_the_chain(
    comparison: Comparison, pki: Hierarchy, tmp_path: Path, flags: int
) -> None:
    trust = [pki.root.pem, *map(crl_pem, (crl(pki.intermediates[0]), crl(pki.root)))]
    assert verdict(comparison, pki, by_file(tmp_path, flags | CHAIN, *trust)) == NO_CRL


@flags_of
def test_a_forged_crl(comparison: Comparison, pki: Hierarchy, tmp_path: Path, flags: int) -> None:
    """It says that nothing is revoked, and another key has signed it."""
    lower, upper = pki.intermediates
    trust = [pki.root.pem, crl_pem(crl(lower, signed_by=upper.key))]
    assert verdict(comparison, pki, by_file(tmp_path, flags | LEAF, *trust)) == "CRL signature failure"


@flags_of
def test_a_crl_of_another_authority(comparison: Comparison, pki: Hierarchy, tmp_path: Path, flags: int) -> None:
    trust = [pki.root.pem, crl_pem(crl(pki.root))]
    assert verdict(comparison, pki, by_file(tmp_path, flags | LEAF, *trust)) == NO_CRL


@flags_of
def test_crls_that_nobody_checks(comparison: Comparison, pki: Hierarchy, tmp_path: Path, flags: int) -> None:
    lower, _ = pki.intermediates
    trust = [pki.root.pem, crl_pem(crl(lower, [pki.leaf]))]
    assert verdict(comparison, pki, by_file(tmp_path, flags, *trust)) == ACCEPTED


@flags_of
@loaded
def test_a_program_begins_to_check_after_a_completion(
    plain: Program, program: Program, pki: Hierarchy, tmp_path: Path, load: Load, flags: int
) -> None:
    """The same context: it has met the server, then it loads a CRL, sets the flag, and meets it again."""
    checks = load(tmp_path, flags | LEAF, crl_pem(crl(pki.intermediates[0], [pki.leaf])))
    trusts = Setup(flags=flags, cadata=pki.root.pem)
    with TLSServer(pki.leaf) as short, TLSServer(pki.leaf, pki.intermediates) as whole:

        def life(server: TLSServer) -> list[str]:
            to = Visit(server.port)
            chosen = plain if server is whole else program
            return verdicts(chosen.run(client.play, trusts, [to, to, checks, to, to]))

        assert life(whole) == [ACCEPTED, ACCEPTED, REVOKED, REVOKED]
        with_the_hook = life(short)
        [without] = plain.run(client.play, trusts, [Visit(short.port)])
    assert with_the_hook[:2] == [ACCEPTED, ACCEPTED]
    assert set(with_the_hook[2:]) <= {REVOKED, without.verdict}


@flags_of
def test_the_right_server_costs_nothing(
    program: Program, pki: Hierarchy, aia: AIAHost, tmp_path: Path, flags: int
) -> None:
    lower, upper = pki.intermediates
    trust = [pki.root.pem, *map(crl_pem, (crl(lower), crl(upper), crl(pki.root)))]
    with TLSServer(pki.leaf, pki.intermediates) as server:
        for check in (LEAF, CHAIN):
            setup = by_file(tmp_path, flags | check, *trust)
            assert verdicts(program.run(client.play, setup, [Visit(server.port)] * 3)) == [ACCEPTED] * 3
    assert aia.connections == 0


@flags_of
@pytest.mark.parametrize("end", [timedelta(days=-1), timedelta(days=60)], ids=["expired", "valid"])
def test_an_upper_intermediate_that_may_have_expired(
    comparison: Comparison, hierarchy: MakeHierarchy, tmp_path: Path, end: timedelta, flags: int
) -> None:
    upper: Options = {"not_after": end}
    pki = hierarchy({}, upper)
    lower, above = pki.intermediates
    trust = [pki.root.pem, *map(crl_pem, (crl(lower), crl(above), crl(pki.root)))]
    expected = ACCEPTED if end > timedelta() else "certificate has expired"
    assert verdict(comparison, pki, by_file(tmp_path, flags | LEAF, *trust)) == expected
