"""After the handshake OpenSSL no longer calls us: a long download costs nothing, and other connections go on."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest

import aia_store
from tests.conftest import MakeHierarchy, get, trusting
from tests.support.pki import Authority, Leaf
from tests.support.servers import AIAHost, TLSServer

SIZE = 1_000_000
OURS = Path(aia_store.__file__).parent


@dataclass(frozen=True)
class Chain:
    root: Authority
    leaf: Leaf


def chain(aia: AIAHost, number: int) -> Chain:
    """A leaf two steps below a root of its own, whose issuer is published."""
    root = Authority.root(f"Root {number}")
    issuer = root.intermediate(f"Intermediate {number}")
    return Chain(root, issuer.leaf(aia=[aia.publish(f"/{number}.cer", issuer.der)]))


def calls_of_ours(work: Callable[[], None]) -> int:
    """How often Python runs the function of ours that OpenSSL calls for every message and record."""
    count = 0

    def see(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        code = frame.f_code
        is_callback = code.co_argcount >= 6  # connection, direction, version, content type, message type, data
        count += event == "call" and is_callback and Path(code.co_filename).is_relative_to(OURS)

    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def connected(server: TLSServer, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """A connection before its handshake."""
    tcp = socket.create_connection(("127.0.0.1", server.port), 30)
    return context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False, session=session)


def download(tls: ssl.SSLSocket) -> None:
    tls.sendall(f"GET /bytes/{SIZE} HTTP/1.1\r\n\r\n".encode())
    received = 0
    while piece := tls.recv(65_536):
        received += len(piece)
    assert received > SIZE


@pytest.mark.parametrize(
    ("version", "sends_all"),
    [
        pytest.param("1.2", True, id="1.2, whole chain"),
        pytest.param("1.3", True, id="1.3, whole chain"),
        pytest.param("1.3", False, id="1.3, leaf only"),
    ],
)
def test_a_download_does_not_call_us(hook: None, hierarchy: MakeHierarchy, version: str, sends_all: bool) -> None:
    """Under TLS 1.2 a server that once sent its leaf only may do so again, in a renegotiation."""
    pki = hierarchy()
    context = trusting(pki.root)
    with TLSServer(pki.leaf, pki.intermediates if sends_all else [], version) as server:
        for _ in range(2):  # what was seen before is let go too
            with connected(server, context) as tls:
                assert calls_of_ours(tls.do_handshake) > 0
                assert calls_of_ours(lambda: download(tls)) == 0


def test_a_resumed_session_does_not_call_us(hook: None, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    context = trusting(pki.root)
    with TLSServer(pki.leaf, [], "1.3") as server:
        with connected(server, context) as tls:
            tls.do_handshake()
            download(tls)
            session = tls.session
        with connected(server, context, session) as tls:
            tls.do_handshake()
            assert tls.session_reused
            assert calls_of_ours(lambda: download(tls)) == 0


def test_a_connection_begun_before_another_ended_is_completed(hook: None, aia: AIAHost) -> None:
    pki, other = chain(aia, 1), chain(aia, 2)
    context = trusting(pki.root, other.root)
    with TLSServer(pki.leaf) as first, TLSServer(other.leaf) as second:
        with connected(first, context) as early, connected(second, context) as late:
            late.do_handshake()
            download(late)
            early.do_handshake()
            download(early)
        assert get(first, context) == b"ok"


def test_handshakes_at_once_on_one_context_are_all_completed(hook: None, aia: AIAHost) -> None:
    """Letting go of one must not leave another, in the midst of its handshake, without its callback."""
    chains = [chain(aia, number) for number in range(8)]
    context = trusting(*(pki.root for pki in chains))
    failures: list[Exception] = []

    def meet(server: TLSServer) -> None:
        try:
            for _ in range(10):
                assert get(server, context) == b"ok"
        except Exception as error:
            failures.append(error)

    servers = [TLSServer(pki.leaf) for pki in chains]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=meet, args=(server,)) for server in servers for _ in range(2)]
        for server in servers:
            server.__enter__()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
        for server in servers:
            server.__exit__(None, None, None)
    assert failures == []


def test_the_programs_own_callback_goes_on(hook: None, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    context = trusting(pki.root)
    seen: list[object] = []
    context._msg_callback = lambda *message: seen.append(message)  # type: ignore[attr-defined]
    with TLSServer(pki.leaf) as server, connected(server, context) as tls:
        tls.do_handshake()
        before = len(seen)
        download(tls)
    assert len(seen) - before > SIZE / 16_384
