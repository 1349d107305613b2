"""Renegotiation under TLS 1.2: the server sends its certificates once more, during a connection."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence

import pytest

from tests.conftest import FLAGS, MakeHierarchy
from tests.support.listener import Listener
from tests.support.pki import Authority, Leaf

from . import client
from .client import ACCEPTED, Outcome, Setup, Visit
from .programs import Program

SSL = pytest.importorskip("OpenSSL.SSL")

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
Credential = tuple[Leaf, Sequence[Authority]]


class RenegotiatingServer(Listener):
    """Answers a request, renegotiates for each further pair of leaf and chain, and goes on answering after it."""

    def __init__(self, *credentials: Credential) -> None:
        self._contexts = [_context(*credential) for credential in credentials]
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Answer one request in parts."""
        first, *others = self._contexts
        tls = SSL.Connection(first, connection)
        tls.set_accept_state()
        try:
            tls.do_handshake()
            tls.recv(4096)
            tls.sendall(b"HTTP/1.1 200 OK\r\n\r\nfirst")
            for context in others:
                tls.set_context(context)
                _renegotiate(tls, connection)
                tls.sendall(b", again")
            tls.shutdown()
        except SSL.Error:
            pass


def _renegotiate(tls: SSL.Connection, connection: socket.socket) -> None:
    assert tls.renegotiate()
    tls.do_handshake()
    connection.setblocking(False)
    while tls.renegotiate_pending():
        try:
            tls.recv(1)
        except SSL.WantReadError:
            if tls.renegotiate_pending():
                select.select([connection], [], [], 30)
    connection.setblocking(True)


def _context(leaf: Leaf, sends: Sequence[Authority]) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    # Without sessions, as a client that resumes one sees no certificate.
    context.set_options(SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.use_certificate(leaf.certificate)
    context.use_privatekey(leaf.key)
    for authority in sends:
        context.add_extra_chain_cert(authority.certificate)
    return context


def meet(program: Program, setup: Setup, *credentials: Credential, times: int = 1) -> list[Outcome]:
    """The outcomes of some connections of one context to such a server."""
    with RenegotiatingServer(*credentials) as server:
        return program.run(client.play, setup, [Visit(server.port)] * times)


@flags_of
def test_a_chain_is_completed_each_time(plain: Program, program: Program, hierarchy: MakeHierarchy, flags: int) -> None:
    pki = hierarchy({}, {})
    setup = Setup(flags=flags, cadata=pki.root.pem)
    whole, short = (pki.leaf, pki.intermediates), (pki.leaf, [])
    expected = meet(plain, setup, whole, whole, whole, times=2)
    assert expected == [Outcome(ACCEPTED, b"first, again, again", False)] * 2
    assert meet(program, setup, whole, whole, whole, times=2) == expected
    # A server that showed its whole chain first is not looked at again: each of its records would cost.
    for credentials in ([short, short, short], [short, whole, short]):
        assert meet(program, setup, *credentials, times=2) == expected


@flags_of
def test_another_leaf_of_the_same_authority(
    plain: Program, program: Program, hierarchy: MakeHierarchy, flags: int
) -> None:
    pki = hierarchy({}, {})
    other = pki.intermediates[0].leaf(aia=pki.leaf.options["aia"])
    setup = Setup(flags=flags, cadata=pki.root.pem)
    expected = meet(plain, setup, (pki.leaf, pki.intermediates), (other, pki.intermediates))
    assert expected == [Outcome(ACCEPTED, b"first, again", False)]
    assert meet(program, setup, (pki.leaf, []), (other, [])) == expected


@flags_of
@pytest.mark.parametrize("first", ["whole", "short"])
def test_a_stranger_the_second_time(
    plain: Program, program: Program, hierarchy: MakeHierarchy, flags: int, first: str
) -> None:
    """A server that was accepted once is not accepted under another name."""
    pki = hierarchy({}, {})
    authority = Authority.root("Unknown").intermediate("Of the unknown")
    stranger = authority.leaf(), [authority]
    setup = Setup(flags=flags, cadata=pki.root.pem)
    whole = pki.leaf, pki.intermediates
    expected = meet(plain, setup, whole, stranger)
    assert [outcome.said for outcome in expected] == [b"HTTP/1.1 200 OK\r\n\r\nfirst"]
    assert not expected[0].accepted
    assert meet(program, setup, whole if first == "whole" else (pki.leaf, []), stranger) == expected


@flags_of
def test_another_host_the_second_time(plain: Program, program: Program, hierarchy: MakeHierarchy, flags: int) -> None:
    pki = hierarchy({}, {})
    elsewhere = pki.intermediates[0].leaf("elsewhere.example", aia=pki.leaf.options["aia"])
    setup = Setup(flags=flags, cadata=pki.root.pem)
    expected = meet(plain, setup, (pki.leaf, pki.intermediates), (elsewhere, pki.intermediates))
    assert "Hostname mismatch" in expected[0].verdict
    outcomes = meet(program, setup, (pki.leaf, []), (elsewhere, []))
    [alone] = meet(plain, setup, (elsewhere, []))
    assert outcomes[0].said == expected[0].said
    assert outcomes[0].verdict in {expected[0].verdict, alone.verdict}
