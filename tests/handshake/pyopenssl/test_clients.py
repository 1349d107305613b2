"""Clients that use pyOpenSSL: each fails without the hook, and works with it, without knowing of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Hierarchy, MakeHierarchy, get, hashed_directory, hooked, run_python, trusting
from tests.support.servers import AIAHost, TLSServer, Version

from .client import SSL, Client, by_first_write, by_memory, by_socket, byte_by_byte, crypto

NO_ISSUER = 20  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY

PYOPENSSL = """
import socket, sys
from OpenSSL import SSL
context = SSL.Context(SSL.TLS_METHOD)
context.load_verify_locations(sys.argv[2])
context.set_verify(SSL.VERIFY_PEER)
tcp = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection = SSL.Connection(context, tcp)
connection.set_connect_state()
connection.do_handshake()
connection.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
reply = b""
try:
    while True:
        reply += connection.recv(65536)
except (SSL.ZeroReturnError, SSL.SysCallError):
    pass
print(reply.decode().rpartition("\\n")[2])
"""

TWISTED = """
import os, sys
from twisted.internet import ssl
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, readBody

async def main(reactor):
    with open(sys.argv[2]) as file:
        certificate = ssl.Certificate.loadPEM(file.read())
    policies = {
        "platform": lambda: BrowserLikePolicyForHTTPS(),
        "roots": lambda: BrowserLikePolicyForHTTPS(ssl.trustRootFromCertificates([certificate])),
    }
    if sys.argv[3] == "platform":
        os.environ["SSL_CERT_FILE"] = sys.argv[2]
    agent = Agent(reactor, policies[sys.argv[3]](), connectTimeout=30)
    response = await agent.request(b"GET", b"https://localhost:" + sys.argv[1].encode() + b"/")
    print((await readBody(response)).decode())

react(lambda reactor: ensureDeferred(main(reactor)))
"""

URLLIB3 = """
import sys
import urllib3.contrib.pyopenssl
urllib3.contrib.pyopenssl.inject_into_urllib3()
import requests
print(requests.get(f"https://localhost:{sys.argv[1]}/", verify=sys.argv[2], timeout=30).text)
"""


@pytest.fixture
def pki(store: Path, hierarchy: MakeHierarchy) -> Hierarchy:
    """Two intermediates, both missing."""
    return hierarchy({}, {})


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("by", [by_socket, by_first_write, by_memory, byte_by_byte])
def test_client(pki: Hierarchy, aia: AIAHost, by: Callable[[Any, int], bytes], version: Version) -> None:
    with TLSServer(pki.leaf, (), version) as server:
        client = Client(cafile=pki.cafile)
        with pytest.raises(SSL.Error, match="certificate verify failed"):
            client.get(server, by)
        assert client.errors == [NO_ISSUER]
        before = server.connections
        with hooked():
            client = Client(cafile=pki.cafile)
            assert client.get(server, by) == b"ok"
        # Not even the program's callback sees that anything was missing.
        assert client.errors == []
        assert server.connections == before + 1
    assert aia.count() == 2


@pytest.mark.parametrize(
    ("program", "arguments"),
    [(PYOPENSSL, []), (TWISTED, ["platform"]), (TWISTED, ["roots"]), (URLLIB3, [])],
    ids=["pyOpenSSL", "Twisted", "Twisted with roots of its own", "requests by urllib3.contrib.pyopenssl"],
)
def test_program(pki: Hierarchy, aia: AIAHost, program: str, arguments: list[str]) -> None:
    if program is TWISTED:
        pytest.importorskip("twisted")
        pytest.importorskip("service_identity")
    with TLSServer(pki.leaf) as server:
        plain = run_python(program, server.port, pki.cafile, *arguments, hook=False)
        assert plain.returncode != 0
        assert "certificate verify failed" in plain.stderr
        connections = server.connections
        assert run_python(program, server.port, pki.cafile, *arguments).stdout == "ok\n"
        assert server.connections == connections + 1
        assert aia.count() == 2
        again = run_python(program, server.port, pki.cafile, *arguments, env={"AIA_STORE_OFFLINE": "1"})
        assert again.stdout == "ok\n"
        disabled = run_python(program, server.port, pki.cafile, *arguments, env={"AIA_STORE_DISABLE": "1"})
        assert "certificate verify failed" in disabled.stderr
    assert aia.count() == 2


def test_a_reactor_waits_no_longer_than_an_event_loop(pki: Hierarchy, aia: AIAHost) -> None:
    """If it is nowhere, nothing is fetched; a program that only calls pyOpenSSL still fetches."""
    pytest.importorskip("twisted")
    pytest.importorskip("service_identity")
    hurried = {"AIA_STORE_ASYNC_BUDGET": "0"}
    with TLSServer(pki.leaf) as server:
        done = run_python(TWISTED, server.port, pki.cafile, "roots", env=hurried)
        assert "certificate verify failed" in done.stderr
        assert aia.connections == 0
        assert run_python(PYOPENSSL, server.port, pki.cafile, env=hurried).stdout == "ok\n"
        assert aia.count() == 2


def test_what_one_kind_of_program_learns_serves_the_other(pki: Hierarchy, aia: AIAHost, hook: None) -> None:
    with TLSServer(pki.leaf) as server:
        assert Client(pki.root).get(server) == b"ok"
        aia.close()
        assert get(server, trusting(pki.root)) == b"ok"


def by_file(client: Client, pki: Hierarchy, folder: Path) -> None:
    client.context.load_verify_locations(str(pki.cafile))


def by_directory(client: Client, pki: Hierarchy, folder: Path) -> None:
    client.context.load_verify_locations(None, str(hashed_directory(folder / "anchors", pki.root)))


def by_environment(client: Client, pki: Hierarchy, folder: Path) -> None:
    os.environ["SSL_CERT_FILE"] = str(pki.cafile)
    client.context.set_default_verify_paths()


def by_store(client: Client, pki: Hierarchy, folder: Path) -> None:
    client.context.get_cert_store().load_locations(str(pki.cafile))


def by_certificate(client: Client, pki: Hierarchy, folder: Path) -> None:
    client.context.get_cert_store().add_cert(crypto.X509.from_cryptography(pki.root.certificate))


@pytest.mark.parametrize("fill", [by_file, by_directory, by_environment, by_store, by_certificate])
def test_however_the_store_was_filled(
    hook: None,
    pki: Hierarchy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fill: Callable[[Client, Hierarchy, Path], None],
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "nothing")  # to be put back
    client = Client()
    fill(client, pki, tmp_path)
    with TLSServer(pki.leaf) as server:
        assert client.get(server) == b"ok"


def test_a_context_of_many_threads(hook: None, pki: Hierarchy, aia: AIAHost) -> None:
    client = Client(pki.root)
    replies: list[bytes] = []
    with TLSServer(pki.leaf) as server:
        threads = [threading.Thread(target=lambda: replies.append(client.get(server))) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert replies == [b"ok"] * 12
    assert aia.count() == 2
