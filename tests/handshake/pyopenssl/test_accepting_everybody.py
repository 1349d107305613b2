"""Programs that accept every certificate: no server causes a request, whether it sends its whole chain or not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aia_store.inside.pyopenssl.callbacks import ignores_the_verdict
from tests.conftest import run_python, write_pem
from tests.support.pki import Authority, Leaf
from tests.support.servers import AIAHost, TLSServer

from .client import SSL, Client

SITES = 7
OTHER = Authority.root("Other Root")

PYOPENSSL = """
import socket, sys
from OpenSSL import SSL

CALLBACK

cafile, *ports = sys.argv[1:]
for port in ports:
    context = SSL.Context(SSL.TLS_METHOD)
    if cafile:
        context.load_verify_locations(cafile)
    context.set_verify(SSL.VERIFY_PEER, callback)
    connection = SSL.Connection(context, socket.create_connection(("127.0.0.1", int(port))))
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

SCRAPY = """
import sys
from scrapy import Spider
from scrapy.crawler import CrawlerProcess

class Sites(Spider):
    name = "sites"
    start_urls = [f"https://localhost:{port}/" for port in sys.argv[2:]]

    def parse(self, response):
        print(response.text)

process = CrawlerProcess({"LOG_ENABLED": False, "TELNETCONSOLE_ENABLED": False})
process.crawl(Sites)
process.start()
"""

TWISTED = """
import sys
from twisted.internet.defer import ensureDeferred
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.internet.task import react
from twisted.web.client import Agent, readBody
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

with open(sys.argv[1]) as file:
    root = trustRootFromCertificates([Certificate.loadPEM(file.read())])

@implementer(IPolicyForHTTPS)
class Policy:
    def creatorForNetloc(self, hostname, port):
        return optionsForClientTLS(hostname.decode(), trustRoot=root)

async def main(reactor):
    for port in sys.argv[2:]:
        response = await Agent(reactor, Policy()).request(b"GET", b"https://localhost:" + port.encode() + b"/")
        print((await readBody(response)).decode())

react(lambda reactor: ensureDeferred(main(reactor)))
"""

URLLIB3 = """
import sys, warnings
import urllib3.contrib.pyopenssl
urllib3.contrib.pyopenssl.inject_into_urllib3()
import requests
warnings.simplefilter("ignore")
for port in sys.argv[2:]:
    for verify in (sys.argv[1] or False, False):
        print(requests.get(f"https://localhost:{port}/", verify=verify, timeout=30).text)
"""

CALLBACKS = {
    "says yes": "callback = lambda *_: True",
    "takes five and says yes": "def callback(connection, certificate, error, depth, ok):\n    return True",
    "looks at the leaf": (
        "def callback(connection, certificate, error, depth, ok):\n"
        "    return depth != 0 or certificate.get_notAfter() is not None"
    ),
}


class Sites:
    """Right servers below one root, whose certificates name issuers needlessly, and `leaf_only` ones."""

    def __init__(self, aia: AIAHost, root: Authority, stack: contextlib.ExitStack) -> None:
        url = aia.publish("/root.cer", root.der)
        self.root = root
        self.leaves: list[Leaf] = []
        self.right: list[int] = []
        self.leaf_only: list[int] = []
        for number in range(SITES):
            intermediate = root.intermediate(f"CA {number}", aia=[url])
            leaf = intermediate.leaf(aia=[aia.publish(f"/{number}.cer", intermediate.der)])
            self.leaves.append(leaf)
            self.right.append(stack.enter_context(TLSServer(leaf, [intermediate])).port)
            self.leaf_only.append(stack.enter_context(TLSServer(leaf)).port)


@pytest.fixture
def sites(store: Path, aia: AIAHost) -> Iterator[Sites]:
    with contextlib.ExitStack() as stack:
        yield Sites(aia, Authority.root("Sites' Root"), stack)


def replies(program: str, cafile: Path | str, ports: list[int]) -> list[str]:
    done = run_python(program, cafile, *ports)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("anchors", [False, True], ids=["no anchors", "other anchors"])
@pytest.mark.parametrize("callback", CALLBACKS.values(), ids=CALLBACKS.keys())
def test_pyopenssl(sites: Sites, aia: AIAHost, tmp_path: Path, anchors: bool, callback: str) -> None:
    cafile = write_pem(tmp_path / "other.pem", OTHER) if anchors else ""
    program = PYOPENSSL.replace("CALLBACK", callback)
    assert replies(program, cafile, [*sites.right, *sites.leaf_only]) == ["ok"] * 2 * SITES
    assert aia.connections == 0


def test_a_silent_host_delays_nobody(sites: Sites, aia: AIAHost, tmp_path: Path) -> None:
    for number in range(SITES):
        aia.silent(f"/{number}.cer")
    program = PYOPENSSL.replace("CALLBACK", CALLBACKS["says yes"])
    assert replies(program, write_pem(tmp_path / "other.pem", OTHER), sites.leaf_only) == ["ok"] * SITES
    assert aia.connections == 0


def test_a_callback_that_reads_the_verdict_and_accepts_is_found_out(sites: Sites, aia: AIAHost, tmp_path: Path) -> None:
    """The chain of the first site might lack an intermediate, until the callback was seen to accept it anyway."""
    logs = "def callback(connection, certificate, error, depth, ok):\n    seen = error, ok\n    return True"
    cafile = write_pem(tmp_path / "other.pem", OTHER)
    assert replies(PYOPENSSL.replace("CALLBACK", logs), cafile, sites.right) == ["ok"] * SITES
    assert {request.path for request in aia.requests} <= {"/0.cer", "/root.cer"}


def test_what_one_callback_accepts_says_nothing_of_another(hook: None, sites: Sites, aia: AIAHost) -> None:
    """Two closures of one function: the lenient one is recognized, and the strict one is served."""

    def by(is_lenient: bool) -> Client:
        client = Client(OTHER, sites.root)
        client.context.set_verify(SSL.VERIFY_PEER, lambda c, x, error, d, ok: is_lenient or bool(ok))
        return client

    unknown = Authority.root("Unknown").leaf()
    with TLSServer(unknown) as stranger, TLSServer(sites.leaves[0]) as broken:
        assert by(True).get(stranger) == b"ok"
        assert by(False).get(broken) == b"ok"


def test_scrapy_as_it_comes(sites: Sites, aia: AIAHost) -> None:
    pytest.importorskip("scrapy")
    assert replies(SCRAPY, "", [*sites.right, *sites.leaf_only]) == ["ok"] * 2 * SITES
    assert aia.connections == 0


@pytest.mark.parametrize("program", [TWISTED, URLLIB3], ids=["Twisted", "urllib3.contrib.pyopenssl"])
def test_connections_that_verify(sites: Sites, aia: AIAHost, tmp_path: Path, program: str) -> None:
    if program is TWISTED:
        pytest.importorskip("twisted")
        pytest.importorskip("service_identity")
    root = write_pem(tmp_path / "root.pem", sites.root)
    assert set(replies(program, root, sites.right)) == {"ok"}
    assert aia.connections == 0
    assert set(replies(program, root, sites.leaf_only)) == {"ok"}
    assert aia.count() == SITES


def test_a_context_without_anchors_reads_no_certificate(hook: None, sites: Sites, store: Path) -> None:
    client = Client()
    client.context.set_verify(SSL.VERIFY_PEER, lambda *arguments: bool(arguments))
    with TLSServer(sites.root.leaf()) as server:
        assert client.get(server) == b"ok"
    assert not store.exists()


# What is read from a callback's code.


class Methods:
    def yes(self, connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
        return True

    def strict(self, connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
        return bool(ok)


def by_a_function_within(connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
    return (lambda: bool(ok))()


def by_two(connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
    return error == 0 and depth < 9


def by_another_name(connection: Any, certificate: Any, error: int, depth: int, ok: int, _more: int = 0) -> bool:
    verdict = ok
    return bool(verdict)


@pytest.mark.parametrize("callback", [lambda *_: True, lambda c, x, e, d, ok: True, Methods().yes])
def test_callbacks_that_ignore_the_verdict(callback: Any) -> None:
    assert ignores_the_verdict(callback.__code__)


@pytest.mark.parametrize(
    "callback",
    [
        lambda c, x, e, d, ok: ok,
        lambda c, x, e, d, ok: e == 0,
        lambda *arguments: arguments[4],
        Methods().strict,
        by_a_function_within,
        by_two,
        by_another_name,
    ],
)
def test_callbacks_that_ask_for_it(callback: Any) -> None:
    assert not ignores_the_verdict(callback.__code__)
