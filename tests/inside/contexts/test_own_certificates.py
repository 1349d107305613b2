"""Clients with a certificate of their own: the server receives the same as without the hook."""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from aia_store.inside.certificate import sent_in
from tests.conftest import FLAGS, Hierarchy, MakeHierarchy
from tests.support.ca_files import large_ca_file
from tests.support.listener import Listener
from tests.support.pki import Authority, Certified, Leaf, pem
from tests.support.servers import TLSServer, Version, server_context
from tests.support.wire import read_request, response_head

from . import client, lives
from .client import ACCEPTED, Outcome, Setup, Visit
from .files import file_of
from .programs import Program

PROCESSES = 20
CERTIFICATE = 11  # a handshake message's type
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
version_of = pytest.mark.parametrize("version", ["1.2", "1.3"])


class CuriousServer(Listener):
    """Asks its clients for a certificate, and notes what each of them shows: its chain in DER, as it was sent.

    `late`: it asks after the handshake (TLS 1.3), once for each connection.
    """

    def __init__(
        self, leaf: Leaf, sends: Sequence[Certified], accepts: Authority, version: Version | None, *, late: bool = False
    ) -> None:
        self.shown: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self._context = server_context(leaf, sends, version)
        self._context.load_verify_locations(cadata=accepts.pem)
        self._context.verify_mode = ssl.CERT_REQUIRED if late else ssl.CERT_OPTIONAL
        self._context.post_handshake_auth = late
        self._context._msg_callback = self._see  # type: ignore[attr-defined]
        self._sent: dict[int, list[bytes]] = {}  # by the thread that serves the connection
        # So that each connection shows a certificate, and no session is resumed.
        self._context.num_tickets = 0
        self._late = late
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Answer one request."""
        with self._context.wrap_socket(connection, server_side=True) as tls:
            if not self._late:
                self.shown.put(self._chain())
            read_request(tls)
            tls.sendall(response_head(200, {}) + b"ok")
            if self._late:
                _ask(tls)
                self.shown.put(self._chain())

    def _see(self, _: object, direction: str, version: int, __: int, message_type: int, data: bytes) -> None:
        if direction == "read" and message_type == CERTIFICATE:
            self._sent[threading.get_ident()] = sent_in(data, version)

    def _chain(self) -> list[bytes]:
        return self._sent.pop(threading.get_ident(), [])


def _ask(tls: ssl.SSLSocket) -> None:
    tls.verify_client_post_handshake()
    tls.sendall(b"!")
    tls.setblocking(False)
    while tls.getpeercert(True) is None:
        select.select([tls], [], [], 30)
        try:
            tls.recv(1)
        except ssl.SSLWantReadError:
            pass


@dataclass(frozen=True)
class Members:
    """The clients' certificates, from an authority below a root that the server trusts."""

    root: Authority
    authority: Authority
    one: Leaf
    two: Leaf


@pytest.fixture(scope="module")
def members() -> Members:
    root = Authority.root("Members' Root")
    authority = root.intermediate("Members' CA")
    one, two = (authority.leaf(f"member{number}.example", eku=[CLIENT]) for number in range(2))
    return Members(root, authority, one, two)


def shows(folder: Path, leaf: Leaf, *sends: Certified) -> str:
    """The file that a program gives to `load_cert_chain`."""
    return file_of(folder / f"{leaf.name}.pem", leaf.key_pem, pem(leaf, *sends))


@contextlib.contextmanager
def servers(
    pki: Hierarchy, accepts: Authority, version: Version | None, *, late: bool = False
) -> Iterator[tuple[CuriousServer, CuriousServer]]:
    """One that sends its leaf only, and one that sends its whole chain."""
    with (
        CuriousServer(pki.leaf, [], accepts, version, late=late) as short,
        CuriousServer(pki.leaf, pki.intermediates, accepts, version, late=late) as whole,
    ):
        yield short, whole


def seen(run: Program, setup: Setup, server: CuriousServer, between: Setup | None = None) -> tuple[str, list[bytes]]:
    """What the client says of the server, and the server of the client."""
    [outcome] = run.run(client.play, setup, [Visit(server.port, between=between)])
    return outcome.verdict, server.shown.get(timeout=30) if outcome.accepted else []


CHAINS: dict[str, Callable[[Members], list[Certified]]] = {
    "with its chain": lambda members: [members.authority],
    "with its chain and root": lambda members: [members.authority, members.root],
    "alone": lambda members: [],
}


@version_of
@flags_of
@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("file", ["data", "small file", "large file"])
def test_a_certificate_with_its_chain_and_without(
    plain: Program,
    program: Program,
    hierarchy: MakeHierarchy,
    members: Members,
    tmp_path: Path,
    flags: int,
    version: Version,
    chain: str,
    file: str,
) -> None:
    """Without its chain, OpenSSL completes it from all that the program's context has, here the members' CA, too."""
    pki = hierarchy({}, {})
    own = CHAINS[chain](members)
    anchors = [pki.root, members.authority, members.root]
    setup = Setup(flags=flags, certificate=shows(tmp_path, members.one, *own))
    if file == "data":
        setup = replace(setup, cadata=pem(*anchors))
    elif file == "small file":
        setup = replace(setup, cafiles=(file_of(tmp_path / "anchors.pem", pem(*anchors)),))
    else:
        setup = replace(setup, cafiles=(str(large_ca_file(tmp_path / "anchors.pem", *anchors)),))
    with servers(pki, members.root, version) as (short, whole):
        expected = seen(plain, setup, whole)
        assert expected[0] == ACCEPTED
        assert expected[1][:2] == [members.one.der, members.authority.der]
        for server in (short, whole, short):
            assert seen(program, setup, server) == expected


@version_of
@flags_of
@pytest.mark.parametrize("first", [False, True], ids=["none before", "another before"])
def test_a_certificate_loaded_after_the_ssl_object_was_made(
    plain: Program,
    program: Program,
    hierarchy: MakeHierarchy,
    members: Members,
    tmp_path: Path,
    flags: int,
    version: Version,
    first: bool,
) -> None:
    """It is never shown: an SSL object has that of when it was made. So it may be left alone."""
    pki = hierarchy({}, {})
    one = shows(tmp_path, members.one, members.authority) if first else None
    setup = Setup(flags=flags, cadata=pki.root.pem, certificate=one)
    late = Setup(certificate=shows(tmp_path, members.two, members.authority))
    shown = [members.one.der, members.authority.der] if first else []
    with servers(pki, members.root, version) as (short, whole):
        assert seen(plain, setup, whole, late) == (ACCEPTED, shown)
        alone = seen(plain, setup, short, late)
        assert seen(program, setup, whole, late) == (ACCEPTED, shown)
        for _ in range(2):
            assert seen(program, setup, short, late) in ((ACCEPTED, shown), alone)
            assert seen(program, setup, short) == (ACCEPTED, shown), "loaded before, or not at all"


@version_of
@flags_of
def test_a_certificate_loaded_between_two_connections(
    plain: Program,
    program: Program,
    hierarchy: MakeHierarchy,
    members: Members,
    tmp_path: Path,
    flags: int,
    version: Version,
) -> None:
    """None, then one, then the other; of one context."""
    pki = hierarchy({}, {})
    trusts = Setup(flags=flags, cadata=pki.root.pem)
    loads = [Setup(certificate=shows(tmp_path, leaf, members.authority)) for leaf in (members.one, members.two)]
    shown: list[list[bytes]] = [[], [members.one.der, members.authority.der], [members.two.der, members.authority.der]]
    with servers(pki, members.root, version) as (short, whole):
        for run, server in ((plain, whole), (program, whole), (program, short)):
            to = Visit(server.port)
            outcomes = run.run(client.play, trusts, [to, loads[0], to, loads[1], to])
            assert [outcome.verdict for outcome in outcomes] == [ACCEPTED] * 3
            assert [server.shown.get(timeout=30) for _ in range(3)] == shown


@flags_of
@pytest.mark.parametrize("own", [True, False], ids=["a certificate", "none"])
def test_a_certificate_asked_for_after_the_handshake(
    plain: Program,
    program: Program,
    hierarchy: MakeHierarchy,
    members: Members,
    tmp_path: Path,
    flags: int,
    own: bool,
) -> None:
    """TLS 1.3 lets a server ask when it likes (RFC 8446, 4.6.2): long after the verdict on its own chain."""
    pki = hierarchy({}, {})
    setup = Setup(
        flags=flags,
        cadata=pki.root.pem + members.authority.pem,
        certificate=shows(tmp_path, members.one) if own else None,
        post_handshake_auth=True,
    )
    with servers(pki, members.root, "1.3", late=True) as (short, whole):
        expected = plain.run(client.play, setup, [Visit(whole.port)] * 2)
        assert not own or [outcome.verdict for outcome in expected] == [ACCEPTED] * 2
        shown = [whole.shown.get(timeout=30) for _ in range(2)] if own else []
        assert shown == [[members.one.der, members.authority.der]] * (2 if own else 0)
        for server in (short, whole):
            outcomes = program.run(client.play, setup, [Visit(server.port)] * 2)
            # A client without one only gets an alert, or the end of the connection.
            assert not own or [outcome.verdict for outcome in outcomes] == [ACCEPTED] * 2
            assert all(outcome.said.endswith(b"ok!") for outcome in (*expected, *outcomes))
            assert [server.shown.get(timeout=30) for _ in shown] == shown


def test_a_server_that_refuses_the_client(
    plain: Program, program: Program, hierarchy: MakeHierarchy, members: Members, tmp_path: Path
) -> None:
    """The program sees its alert, as without the hook."""
    pki = hierarchy({}, {})
    stranger = Authority.root("Nobody's Root").leaf("stranger.example", eku=[CLIENT])
    setup = Setup(cadata=pki.root.pem, certificate=shows(tmp_path, stranger))
    with servers(pki, members.root, "1.2") as (short, whole):
        [expected] = plain.run(client.play, setup, [Visit(whole.port)])
        assert expected.verdict.startswith("SSLError ")
        for server in (short, whole, short):
            assert program.run(client.play, setup, [Visit(server.port)]) == [expected]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("sends_all", [False, True], ids=["leaf only", "whole chain"])
def test_certificates_are_loaded_all_the_while(
    hierarchy: MakeHierarchy, members: Members, tmp_path: Path, sends_all: bool
) -> None:
    """By another thread than those that shake hands: no process dies, and nothing worse happens than without the hook.

    A connection that meets a load may be left alone.
    """
    pki = hierarchy({}, {})
    setup = Setup(cadata=pki.root.pem)
    certificates = [shows(tmp_path, leaf, members.authority) for leaf in (members.one, members.two)]
    allowed = {ACCEPTED} if sends_all else {ACCEPTED, "unable to get local issuer certificate"}
    with TLSServer(pki.leaf, pki.intermediates if sends_all else []) as server:

        def outcomes(*, hook: bool) -> list[Outcome]:
            with Program(hook=hook) as run:
                return run.run(lives.load_while_shaking_hands, setup, certificates, server.port, 4)

        processes = PROCESSES if not sends_all else 2
        verdicts = [outcome.verdict for _ in range(processes) for outcome in outcomes(hook=True)]
        assert set(verdicts) <= allowed
        assert ACCEPTED in verdicts, "not all of them meet a load"
        assert {outcome.verdict for outcome in outcomes(hook=False)} <= allowed
