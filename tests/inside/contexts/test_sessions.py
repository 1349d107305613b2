"""Sessions: one of a completed connection is the program's own, and resumes with its context."""

from __future__ import annotations

import pytest

from tests.conftest import FLAGS, MakeHierarchy
from tests.support.servers import TLSServer, Version

from . import client, lives
from .client import ACCEPTED, Setup, Visit
from .conftest import verdicts
from .programs import Program

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
version_of = pytest.mark.parametrize("version", ["1.2", "1.3"])


@flags_of
@version_of
def test_a_session_is_resumed(
    plain: Program, program: Program, hierarchy: MakeHierarchy, flags: int, version: Version
) -> None:
    pki = hierarchy({}, {})
    setup = Setup(flags=flags, cadata=pki.root.pem)
    with (
        TLSServer(pki.leaf, [], version) as short,
        TLSServer(pki.leaf, pki.intermediates, version) as whole,
    ):
        expected = plain.run(lives.resume, setup, [whole.port] * 3)
        assert [outcome.reused for outcome in expected] == [False, True, True]
        for server in (short, whole, short):
            assert program.run(lives.resume, setup, [server.port] * 3) == expected


@flags_of
@version_of
def test_a_session_of_another_server_is_not_resumed(
    plain: Program, program: Program, hierarchy: MakeHierarchy, flags: int, version: Version
) -> None:
    """The handshake is a whole one, and its certificates are looked at."""
    pki = hierarchy({}, {})
    setup = Setup(flags=flags, cadata=pki.root.pem)
    with (
        TLSServer(pki.leaf, [], version) as short,
        TLSServer(pki.leaf, [], version) as other_short,
        TLSServer(pki.leaf, pki.intermediates, version) as whole,
        TLSServer(pki.leaf, pki.intermediates, version) as other_whole,
    ):
        expected = plain.run(lives.resume, setup, [whole.port, other_whole.port] * 2)
        assert [outcome.reused for outcome in expected] == [False] * 4
        assert program.run(lives.resume, setup, [short.port, other_short.port] * 2) == expected


@flags_of
@version_of
def test_a_right_server_after_a_resumed_session(
    program: Program, hierarchy: MakeHierarchy, flags: int, version: Version
) -> None:
    pki = hierarchy({}, {})
    setup = Setup(flags=flags, cadata=pki.root.pem)
    with (
        TLSServer(pki.leaf, [], version) as short,
        TLSServer(pki.intermediates[1].leaf(aia=[]), pki.intermediates[1:], version) as right,
    ):
        ports = [short.port, short.port, right.port, short.port, right.port]
        assert verdicts(program.run(lives.resume, setup, ports)) == [ACCEPTED] * 5


@flags_of
@version_of
def test_a_handshake_fed_byte_by_byte(
    plain: Program, program: Program, hierarchy: MakeHierarchy, flags: int, version: Version
) -> None:
    pki = hierarchy({}, {})
    right, wrong = Setup(flags=flags, cadata=pki.root.pem), Setup(flags=flags)
    with (
        TLSServer(pki.leaf, [], version) as short,
        TLSServer(pki.leaf, pki.intermediates, version) as whole,
    ):
        assert plain.run(lives.feed_bytes, right, Visit(whole.port)).accepted
        assert program.run(lives.feed_bytes, right, Visit(whole.port)).accepted
        for _ in range(2):
            assert program.run(lives.feed_bytes, right, Visit(short.port)).accepted
            refusal = program.run(lives.feed_bytes, wrong, Visit(short.port))
            assert refusal == plain.run(lives.feed_bytes, wrong, Visit(short.port))


@flags_of
@version_of
def test_a_connection_that_is_given_up(
    program: Program, hierarchy: MakeHierarchy, flags: int, version: Version
) -> None:
    """The next ones of the same context are still completed."""
    pki = hierarchy({}, {})
    setup = Setup(flags=flags, cadata=pki.root.pem)
    with TLSServer(pki.leaf, [], version) as short:
        steps = [Visit(short.port), Visit(short.port, "wrong.example"), Visit(short.port), Visit(short.port)]
        outcomes = verdicts(program.run(client.play, setup, steps))
    assert [verdict == ACCEPTED for verdict in outcomes] == [True, False, True, True]
    assert "Hostname mismatch" in outcomes[1]
