"""Each connection that needs it is verified in a context of ours; the program's own stays unchanged."""

from __future__ import annotations

import contextlib
import copy
import inspect
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Hierarchy, MakeHierarchy, hooked, run_python
from tests.support.mutual import ACCEPTED, MutualServer
from tests.support.pki import Authority, Leaf, pem
from tests.support.servers import AIAHost, TLSServer, Version
from tests.support.tls import server_context

from .client import (
    REQUEST,
    SSL,
    Changeable,
    Client,
    by_memory,
    by_socket,
    byte_by_byte,
    connected,
    crypto,
    everything,
    tcp_to,
)

CLIENT_CA = Authority.root("Client CA")
INTERMEDIATE = CLIENT_CA.intermediate("Client Intermediate")
ALLOW_CLIENT_RENEGOTIATION = 1 << 8  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION
versions = pytest.mark.parametrize("version", ["1.2", "1.3"])


def seen(client: Client) -> dict[str, Any]:
    """What a program can see of its context."""
    lib, ssl_ctx = SSL._lib, client.context._context
    return {
        "holds": client.holds(),
        "names": dir(client.context),
        "state": {name: value for name, value in vars(client.context).items() if name != "_used"},
        "options": lib.SSL_CTX_get_options(ssl_ctx),
        "mode": client.context.get_verify_mode(),
        "depth": client.context.get_verify_depth(),
        "timeout": client.context.get_timeout(),
        "cache": client.context.get_session_cache_mode(),
    }


@pytest.fixture
def pki(hierarchy: MakeHierarchy) -> Hierarchy:
    return hierarchy({}, {})


def identity(folder: Path, leaf: Leaf, *sends: Authority) -> str:
    """The name of a file with a certificate, its chain and its key."""
    file = folder / f"{leaf.certificate.serial_number}.pem"
    file.write_text(leaf.key_pem + pem(leaf, *sends))
    return str(file)


def show(context: Any, file: str) -> None:
    context.use_certificate_chain_file(file)
    context.use_privatekey_file(file)


# Nothing of the program's changes.


@versions
def test_a_context_stays_what_it_was(hook: None, pki: Hierarchy, version: Version) -> None:
    other = Authority.root("Other Root")
    client = Client(pki.root)
    before = seen(client)
    with (
        TLSServer(pki.leaf, version=version) as broken,
        TLSServer(pki.leaf, pki.intermediates, version) as right,
        TLSServer(other.leaf(), version=version) as hopeless,
    ):
        for _ in range(2):
            assert client.get(broken) == b"ok"
            assert client.get(right) == b"ok"
            client.refused(hopeless)
    assert seen(client) == before


def test_nothing_is_seen_of_the_hooks() -> None:
    program = """
import inspect
import OpenSSL.SSL
from OpenSSL import SSL, crypto

def seen(owner):
    return {
        name: (str(inspect.signature(method)), method.__name__, method.__qualname__, method.__module__)
        for name, method in inspect.getmembers(owner, inspect.isfunction)
    }

context = SSL.Context(SSL.TLS_METHOD)
connection = SSL.Connection(context, None)
for one in (context, connection, context.get_cert_store()):
    print(sorted(vars(one)), dir(one), sorted(vars(type(one))), seen(type(one)))
"""
    assert run_python(program).stdout == run_python(program, hook=False).stdout


def test_copies_know_what_the_original_knows(hook: None, pki: Hierarchy) -> None:
    client = Client(pki.root)
    client.context = copy.copy(client.context)
    with TLSServer(pki.leaf) as server:
        assert client.get(server) == b"ok"
        assert client.holds() == 1


def test_subclasses_with_an_equality_and_slots_of_their_own(hook: None, pki: Hierarchy) -> None:
    class Equal(SSL.Context):  # type: ignore[misc]
        __slots__ = ("more",)
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return True

    contexts = [Equal(SSL.TLS_METHOD) for _ in range(2)]
    trusting = Client()
    with TLSServer(pki.leaf) as server:
        for context in contexts:
            context.set_verify(SSL.VERIFY_PEER, trusting._callback)
        trusting.context = contexts[0]
        trusting.trust(pki.root)
        assert trusting.get(server) == b"ok"
        trusting.context = contexts[1]
        trusting.refused(server)


@versions
def test_the_program_sees_the_whole_path(hook: None, pki: Hierarchy, version: Version) -> None:
    client = Client(pki.root)
    with TLSServer(pki.leaf, version=version) as server, tcp_to(server.port) as tcp:
        connection = connected(client.context, tcp)
        connection.do_handshake()
        shown = [crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in connection.get_verified_chain()]
        assert shown == [pki.leaf.der, *(one.der for one in pki.intermediates), pki.root.der]
        assert connection.get_context() is client.context


# What a program's callbacks see.

WAITS = (SSL.SSL_CB_CONNECT_EXIT, -1)


@versions
@pytest.mark.parametrize("by", [by_socket, by_memory, byte_by_byte])
@pytest.mark.parametrize("refuses", [False, True], ids=["accepted", "refused by its callback"])
def test_events(store: Path, pki: Hierarchy, version: Version, by: Callable[[Any, int], bytes], refuses: bool) -> None:
    """The info and the verify callback are called as for a server that sends the whole chain."""

    def observed(server: TLSServer) -> list[object]:
        client = Client(pki.root)
        events: list[object] = []

        def note(connection: Any, where: int, value: int) -> None:
            if (where, value) != WAITS:  # as often as there are bytes to wait for
                events.append((where, value))

        def verify(connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
            events.append((certificate.to_cryptography().subject, error, depth, ok))
            return bool(ok) and not (refuses and depth == 0)

        client.context.set_verify(SSL.VERIFY_PEER, verify)
        client.context.set_info_callback(note)
        try:
            assert client.get(server, by) == b"ok"
        except SSL.Error as error:
            assert refuses
            events.append(str(error))
        return events

    with TLSServer(pki.leaf, pki.intermediates, version) as whole, TLSServer(pki.leaf, version=version) as server:
        plain = observed(whole)
        with hooked():
            ours, again = observed(server), observed(whole)
    assert ours == again == plain
    assert refuses or any(event[0] == SSL.SSL_CB_HANDSHAKE_DONE for event in plain if isinstance(event, tuple))


def test_a_rehearsal_calls_no_callback_of_the_program(
    hook: None, pki: Hierarchy, capfd: pytest.CaptureFixture[str]
) -> None:
    """A path that the program refuses is rehearsed too, but its callbacks are not told of it."""
    client = Client(pki.root, level=4)  # the keys are too weak for that
    states: list[int] = []
    lines: list[bytes] = []
    client.context.set_info_callback(lambda connection, where, value: states.append(where))
    client.context.set_keylog_callback(lambda connection, line: lines.append(line))
    with TLSServer(pki.leaf, version="1.2") as server, pytest.raises(SSL.Error):
        client.get(server)
    assert states.count(SSL.SSL_CB_HANDSHAKE_START) == 1
    assert len(lines) <= 1
    assert capfd.readouterr() == ("", "")


def test_a_verify_callback_that_looks_around(hook: None, pki: Hierarchy) -> None:
    client = Client(pki.root)
    other = Client()
    found: list[object] = []

    def verify(connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
        found.append(connection.get_context() is client.context)
        found.append(connection.get_cipher_list() == ciphers)
        return bool(ok)

    client.context.set_cipher_list(b"ECDHE+AESGCM")
    client.context.set_verify(SSL.VERIFY_PEER, verify)
    ciphers = connected(client.context, None).get_cipher_list()
    assert ciphers != connected(other.context, None).get_cipher_list()
    with TLSServer(pki.leaf) as server:
        assert client.get(server) == b"ok"
    assert found
    assert all(found)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_verify_callback_that_sets_another_context(hook: None, pki: Hierarchy, version: Version) -> None:
    client, other = Client(pki.root), Client(pki.root)

    def verify(connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
        connection.set_context(other.context)
        return bool(ok)

    client.context.set_verify(SSL.VERIFY_PEER, verify)
    with TLSServer(pki.leaf, version=version) as server, tcp_to(server.port) as tcp:
        connection = connected(client.context, tcp)
        connection.do_handshake()
        assert connection.get_context() is other.context
        connection.sendall(REQUEST)
        assert everything(lambda: connection.recv(65536)) == b"ok"


def test_what_a_verify_callback_raises_comes_out(hook: None, pki: Hierarchy) -> None:
    client = Client(pki.root)

    def verify(*_: object) -> bool:
        raise ValueError("mine")

    client.context.set_verify(SSL.VERIFY_PEER, verify)
    with TLSServer(pki.leaf) as server, pytest.raises(ValueError, match="mine"):
        client.get(server)


# When it is put back.

STEPS: dict[str, Callable[[Any], object]] = {
    "do_handshake": lambda connection: connection.do_handshake(),
    "recv": lambda connection: connection.recv(1),
    "recv_into": lambda connection: connection.recv_into(bytearray(1)),
    "send": lambda connection: connection.send(b"x"),
    "sendall": lambda connection: connection.sendall(b"x"),
}


@versions
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_nobody_ever_finds_a_context_of_ours(
    hook: None, pki: Hierarchy, tmp_path: Path, version: Version, step: Callable[[Any], object]
) -> None:
    """A context of ours has no certificate to show; the program's has one, which is there after each step."""
    client = Client(pki.root)
    show(client.context, identity(tmp_path, CLIENT_CA.leaf("client")))
    with TLSServer(pki.leaf, version=version) as server:
        for _ in range(2):
            assert all(certificates_between_steps(client, server, step))


def certificates_between_steps(client: Client, server: TLSServer, step: Callable[[Any], object]) -> Iterator[bool]:
    """Whether the program's certificate is there, after each byte that a handshake is fed."""
    lib, ffi = SSL._lib, SSL._ffi
    with tcp_to(server.port) as tcp:
        connection = connected(client.context, None)
        while True:
            try:
                step(connection)
                yield lib.SSL_get_certificate(connection._ssl) != ffi.NULL
                return
            except SSL.WantReadError:
                yield lib.SSL_get_certificate(connection._ssl) != ffi.NULL
            try:
                tcp.sendall(connection.bio_read(65536))
            except SSL.WantReadError:
                pass
            if b"read server" not in connection.get_state_string() and connection.get_finished():
                return
            connection.bio_write(tcp.recv(1))


def test_a_handshake_that_is_given_up(hook: None, pki: Hierarchy) -> None:
    """Neither its connection nor a later SSL at the same address is affected."""
    client = Client(pki.root)
    with TLSServer(pki.leaf) as server:
        for length in range(100, 900, 100):
            with tcp_to(server.port) as tcp:
                connection = connected(client.context, None)
                with pytest.raises(SSL.WantReadError):
                    connection.do_handshake()
                tcp.sendall(connection.bio_read(65536))
                flight = b""
                while len(flight) < length:
                    flight += tcp.recv(length - len(flight))
                connection.bio_write(flight)
                try:
                    connection.do_handshake()
                except SSL.WantReadError:
                    pass
                del connection
        assert client.get(server) == b"ok"


def test_renegotiation(hook: None, pki: Hierarchy, tmp_path: Path) -> None:
    client = Client(pki.root)
    client.context.set_max_proto_version(SSL.TLS1_2_VERSION)
    accepting = SSL.Context(SSL.TLS_METHOD)
    show(accepting, identity(tmp_path, pki.leaf))
    accepting.set_options(ALLOW_CLIENT_RENEGOTIATION)
    calling, called = connected(client.context, None), SSL.Connection(accepting, None)
    called.set_accept_state()
    before = seen(client)
    for times in range(3):
        assert not times or calling.renegotiate()
        for _ in range(4):
            for one, other, step in (
                (calling, called, calling.do_handshake),
                (called, calling, lambda: called.recv(1)),
            ):
                with contextlib.suppress(SSL.WantReadError):
                    step()
                with contextlib.suppress(SSL.WantReadError):
                    other.bio_write(one.bio_read(65536))
        assert calling.total_renegotiations() == times
        calling.send(b"ping")
        called.bio_write(calling.bio_read(65536))
        assert called.recv(16) == b"ping"
    assert seen(client) == before


# Certificates of the program's own.


@versions
@pytest.mark.parametrize("chain", [True, False], ids=["with its chain", "without"])
def test_a_client_certificate(hook: None, pki: Hierarchy, tmp_path: Path, version: Version, chain: bool) -> None:
    shown = INTERMEDIATE.leaf("client", eku=None)
    context = server_context(pki.leaf, version=version, client_ca=CLIENT_CA)
    client = Client(pki.root)
    if not chain:
        client.trust(INTERMEDIATE)  # from where plain pyOpenSSL completes what it sends
    show(client.context, identity(tmp_path, shown, *([INTERMEDIATE] if chain else [])))
    with MutualServer(context) as server:
        for _ in range(2):
            assert greeted(client, server.port) == b"ok"
            assert server.outcome() == ACCEPTED


def greeted(client: Client, port: int, prepare: Callable[[Any], None] = lambda connection: None) -> bytes:
    """The data that a server sends without a request."""
    with tcp_to(port) as tcp:
        connection = connected(client.context, tcp)
        prepare(connection)
        connection.do_handshake()
        return bytes(connection.recv(16))


@versions
def test_a_certificate_of_one_connection(hook: None, pki: Hierarchy, version: Version) -> None:
    """The connection is left alone; otherwise it would send another certificate than its own."""
    shown = CLIENT_CA.leaf("client", eku=None)

    def prepare(connection: Any) -> None:
        connection.use_certificate(shown.certificate)
        connection.use_privatekey(shown.key)

    client = Client(pki.root)
    context = server_context(pki.leaf, pki.intermediates, version, client_ca=CLIENT_CA)
    with MutualServer(context) as server:
        assert greeted(client, server.port, prepare) == b"ok"
        assert server.outcome() == ACCEPTED
    with TLSServer(pki.leaf, version=version) as broken:
        with pytest.raises(SSL.Error, match="certificate verify failed"):
            greeted(client, broken.port, prepare)
        assert client.get(broken) == b"ok"


def test_a_certificate_that_comes_after_the_connection_was_made(hook: None, pki: Hierarchy, tmp_path: Path) -> None:
    """Plain pyOpenSSL shows the earlier one, so this connection is left alone."""
    client = Client(pki.root, kind=Changeable)
    first, second = (identity(tmp_path, CLIENT_CA.leaf(name)) for name in ("first", "second"))
    show(client.context, first)
    with TLSServer(pki.leaf) as server, tcp_to(server.port) as tcp:
        connection = connected(client.context, tcp)
        show(client.context, second)
        with pytest.raises(SSL.Error, match="certificate verify failed"):
            connection.do_handshake()
        assert client.get(server) == b"ok"


class Naming(MutualServer):
    """Tells its clients their name."""

    def greet(self, tls: ssl.SSLSocket) -> None:
        certificate = tls.getpeercert()
        assert certificate is not None
        tls.sendall(dict(field[0] for field in certificate["subject"])["commonName"].encode())


@versions
def test_a_certificate_that_is_loaded_while_a_connection_is_verified(
    hook: None, pki: Hierarchy, tmp_path: Path, version: Version
) -> None:
    """It waits until the program's context is back, and so the connection shows the certificate it was made with."""
    first, second = (identity(tmp_path, CLIENT_CA.leaf(name, eku=None)) for name in ("first", "second"))
    client = Client(pki.root, kind=Changeable)
    show(client.context, first)
    loader = threading.Thread(target=show, args=(client.context, second))

    def verify(connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
        if depth == 0:
            loader.start()
            loader.join(0.2)
        return bool(ok)

    client.context.set_verify(SSL.VERIFY_PEER, verify)
    with Naming(server_context(pki.leaf, version=version, client_ca=CLIENT_CA)) as server:
        assert greeted(client, server.port) == b"first"
        loader.join(30)
        client.context.set_verify(SSL.VERIFY_PEER, client._callback)
        assert greeted(client, server.port) == b"second"


@versions
def test_certificates_loaded_by_another_thread_all_the_while(
    store: Path, pki: Hierarchy, tmp_path: Path, version: Version
) -> None:
    """Nothing crashes. The connections are made before, as OpenSSL copies the certificate then, and would crash."""
    program = """
import socket, sys, threading
from OpenSSL import SSL

class Lenient(SSL.Context):
    _used = property(lambda context: False, lambda context, value: None)

cafile, port, *files = sys.argv[1:]
context = Lenient(SSL.TLS_METHOD)
context.load_verify_locations(cafile)
context.set_verify(SSL.VERIFY_PEER, lambda c, x, e, d, ok: bool(ok))
connections = []
for _ in range(80):
    connection = SSL.Connection(context, socket.create_connection(("127.0.0.1", int(port))))
    connection.set_connect_state()
    connections.append(connection)
stopped = threading.Event()

def load():
    while not stopped.is_set():
        for file in files:
            context.use_certificate_chain_file(file)
            context.use_privatekey_file(file)

def connect():
    for _ in range(20):
        try:
            connections.pop().do_handshake()
        except SSL.Error as error:
            assert "certificate verify failed" in str(error)

threads = [threading.Thread(target=target) for target in (load, *[connect] * 4)]
for thread in threads:
    thread.start()
for thread in threads[1:]:
    thread.join()
stopped.set()
print(len(connections))
"""
    files = [identity(tmp_path, CLIENT_CA.leaf(name)) for name in ("first", "second")]
    with TLSServer(pki.leaf, version=version) as server:
        done = run_python(program, pki.cafile, server.port, *files)
    assert (done.stdout, done.stderr, done.returncode) == ("0\n", "", 0)


# Many at once.


def test_threads_and_contexts(store: Path, pki: Hierarchy) -> None:
    """24 threads share one context, with right, broken and hopeless servers; none crashes, all verdicts are right."""
    hopeless = Authority.root("Unknown Root")
    program = """
import socket, sys, threading
from OpenSSL import SSL
context = SSL.Context(SSL.TLS_METHOD)
context.load_verify_locations(sys.argv[1])
context.set_verify(SSL.VERIFY_PEER, lambda c, x, e, d, ok: bool(ok))
outcomes = []

def connect():
    for port in ports:
        connection = SSL.Connection(context, socket.create_connection(("127.0.0.1", port)))
        connection.set_connect_state()
        try:
            connection.do_handshake()
            outcomes.append((port, "accepted"))
        except SSL.Error:
            outcomes.append((port, "refused"))

ports = list(map(int, sys.argv[2:]))
threads = [threading.Thread(target=connect) for _ in range(24)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for port in ports:
    print(sorted({outcome for met, outcome in outcomes if met == port}), len(outcomes))
"""
    with (
        TLSServer(pki.leaf) as broken,
        TLSServer(pki.leaf, pki.intermediates) as right,
        TLSServer(hopeless.leaf()) as unknown,
    ):
        done = run_python(program, pki.cafile, broken.port, right.port, unknown.port)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["['accepted'] 72", "['accepted'] 72", "['refused'] 72"]
    assert done.returncode == 0


def test_a_child_that_was_forked_in_a_handshake(store: Path, aia: AIAHost, pki: Hierarchy) -> None:
    """Forked while another thread was between swap and put-back, by the program's verify callback."""
    program = """
import os, socket, sys, threading
from OpenSSL import SSL

def context(verify):
    made = SSL.Context(SSL.TLS_METHOD)
    made.load_verify_locations(sys.argv[1])
    made.set_verify(SSL.VERIFY_PEER, verify)
    return made

def connect(context):
    connection = SSL.Connection(context, socket.create_connection(("127.0.0.1", int(sys.argv[2]))))
    connection.set_connect_state()
    connection.do_handshake()

inside, forked = threading.Event(), threading.Event()

def waits(connection, certificate, error, depth, ok):
    inside.set()
    forked.wait(30)
    return bool(ok)

shared = context(waits)
thread = threading.Thread(target=connect, args=(shared,))
thread.start()
inside.wait(30)
child = os.fork()
if child == 0:
    connect(context(lambda c, x, e, d, ok: bool(ok)))
    forked.set()
    connect(shared)
    os._exit(0)
status = os.waitpid(child, 0)[1]
forked.set()
thread.join()
print(status)
"""
    with TLSServer(pki.leaf) as server:
        done = run_python(program, pki.cafile, server.port)
    assert done.stdout == "0\n"


# What is left alone.


def test_datagrams(hook: None, aia: AIAHost, pki: Hierarchy, tmp_path: Path) -> None:
    server_side = SSL.Context(SSL.DTLS_METHOD)
    show(server_side, identity(tmp_path, pki.leaf))
    client = Client(pki.root)
    client.context = SSL.Context(SSL.DTLS_METHOD)
    client.context.set_verify(SSL.VERIFY_PEER, client._callback)
    client.trust(pki.root)
    calling, called = connected(client.context, None), SSL.Connection(server_side, None)
    called.set_accept_state()
    for connection in (calling, called):
        connection.set_ciphertext_mtu(1500)
    with pytest.raises(SSL.Error, match="certificate verify failed"):
        for _ in range(8):
            for one, other in ((calling, called), (called, calling)):
                try:
                    one.do_handshake()
                except SSL.WantReadError:
                    pass
                try:
                    while True:
                        other.bio_write(one.bio_read(1500))
                except SSL.WantReadError:
                    pass
    assert aia.connections == 0


def test_signatures_stay(hook: None) -> None:
    for method, parameters in {
        SSL.Context.load_verify_locations: ["self", "cafile", "capath"],
        SSL.Context.set_cipher_list: ["self", "cipher_list"],
        SSL.Connection.__init__: ["self", "context", "socket"],
        SSL.Connection.shutdown: ["self"],
    }.items():
        assert list(inspect.signature(method).parameters) == parameters
