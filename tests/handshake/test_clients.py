"""Every kind of client fails without the hook and works with it, without knowing of it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import smtplib
import socket
import ssl
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from select import select
from ssl import SSLContext
from typing import TypeVar

import aiohttp
import httpx
import pytest
import requests
import urllib3
import websockets

from tests.conftest import Hierarchy, MakeHierarchy, hooked
from tests.support.proxy import Proxy
from tests.support.servers import AIAHost, SMTPServer, TLSServer, Version, server_context

T = TypeVar("T")

has_start_tls = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="asyncio.StreamWriter.start_tls came with Python 3.11"
)
Client = Callable[[int, str], bytes]  #: takes the port and a file with the root, and returns what the server replies

NO_ISSUER = "unable to get local issuer certificate"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def url(port: int) -> str:
    return f"https://localhost:{port}/"


def urllib_with_context(port: int, cafile: str) -> bytes:
    with urllib.request.urlopen(url(port), timeout=30, context=ssl.create_default_context(cafile=cafile)) as reply:
        return bytes(reply.read())


def urllib_by_default(port: int, cafile: str) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", cafile)
        # Not urlopen, which keeps its context for the life of the process.
        with urllib.request.build_opener().open(url(port), timeout=30) as reply:
            return bytes(reply.read())


def http_client(port: int, cafile: str) -> bytes:
    connection = http.client.HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=cafile))
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().read()


def requests_verify(port: int, cafile: str) -> bytes:
    return requests.get(url(port), verify=cafile, timeout=30).content


def requests_session(port: int, cafile: str) -> bytes:
    with requests.Session() as session:
        session.verify = cafile
        return session.get(url(port), timeout=30).content


def requests_by_environment(port: int, cafile: str) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", cafile)
        return requests.get(url(port), timeout=30).content


def urllib3_with_file(port: int, cafile: str) -> bytes:
    with urllib3.PoolManager(ca_certs=cafile) as pool:
        return pool.request("GET", url(port), retries=False).data


def urllib3_with_context(port: int, cafile: str) -> bytes:
    with urllib3.PoolManager(ssl_context=ssl.create_default_context(cafile=cafile)) as pool:
        return pool.request("GET", url(port), retries=False).data


def httpx_client(port: int, cafile: str) -> bytes:
    with httpx.Client(verify=ssl.create_default_context(cafile=cafile)) as client:
        return client.get(url(port), timeout=30).content


def httpx_async(port: int, cafile: str) -> bytes:
    async def run() -> bytes:
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=cafile)) as client:
            return (await client.get(url(port), timeout=30)).content

    return asyncio.run(run())


def aiohttp_client(port: int, cafile: str) -> bytes:
    async def run() -> bytes:
        context = ssl.create_default_context(cafile=cafile)
        async with aiohttp.ClientSession() as session, session.get(url(port), ssl=context) as reply:
            return await reply.read()

    return asyncio.run(run())


def asyncio_streams(port: int, cafile: str) -> bytes:
    async def run() -> bytes:
        context = ssl.create_default_context(cafile=cafile)
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        writer.write(REQUEST)
        reply = await reader.read()
        writer.close()
        return body_of(reply)

    return asyncio.run(run())


def asyncio_start_tls(port: int, cafile: str) -> bytes:
    async def run() -> bytes:
        reader, writer = await asyncio.open_connection("localhost", port)
        await writer.start_tls(ssl.create_default_context(cafile=cafile), server_hostname="localhost")
        writer.write(REQUEST)
        reply = await reader.read()
        writer.close()
        return body_of(reply)

    return asyncio.run(run())


def not_blocking(port: int, cafile: str) -> bytes:
    with connected(port) as tcp:
        tcp.setblocking(False)
        context = ssl.create_default_context(cafile=cafile)
        with context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False) as tls:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    select([tls], [], [], 30)
                except ssl.SSLWantWriteError:
                    select([], [tls], [], 30)
            tls.settimeout(30)
            tls.sendall(REQUEST)
            return body_of(b"".join(iter(lambda: tls.recv(4096), b"")))


def byte_by_byte(port: int, cafile: str) -> bytes:
    """A handshake of an SSLObject that is fed one byte at a time."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cafile=cafile).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with connected(port) as tcp:

        def feed() -> None:
            tcp.sendall(outgoing.read())
            incoming.write(tcp.recv(1))

        waiting_for(tls.do_handshake, feed)
        tls.write(REQUEST)
        reply = b""
        with contextlib.suppress(ssl.SSLZeroReturnError):
            while piece := waiting_for(tls.read, feed):
                reply += piece
    return body_of(reply)


def subclass(port: int, cafile: str) -> bytes:
    class Mine(SSLContext):
        def wrap_socket(self, *arguments: object, **named: object) -> ssl.SSLSocket:
            return super().wrap_socket(*arguments, **named)  # type: ignore[arg-type]

    context = Mine(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile)
    return ask(context, port)


def a_name_from_before(port: int, cafile: str) -> bytes:
    context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile)
    return ask(context, port)


def optional_verification(port: int, cafile: str) -> bytes:
    context = ssl.create_default_context(cafile=cafile)
    context.verify_mode = ssl.CERT_OPTIONAL
    return ask(context, port)


def get_server_certificate(port: int, cafile: str) -> bytes:
    assert ssl.get_server_certificate(("localhost", port), ca_certs=cafile)
    return b"ok"


def ask(context: SSLContext, port: int) -> bytes:
    with connected(port) as tcp, context.wrap_socket(tcp, server_hostname="localhost") as tls:
        tls.sendall(REQUEST)
        return body_of(b"".join(iter(lambda: tls.recv(4096), b"")))


def connected(port: int) -> socket.socket:
    return socket.create_connection(("localhost", port), 30)


def body_of(reply: bytes) -> bytes:
    return reply.partition(b"\r\n\r\n")[2]


def waiting_for(step: Callable[[], T], feed: Callable[[], None]) -> T:
    while True:
        try:
            return step()
        except ssl.SSLWantReadError:
            feed()


CLIENTS = [
    urllib_with_context,
    urllib_by_default,
    http_client,
    requests_verify,
    requests_session,
    requests_by_environment,
    urllib3_with_file,
    urllib3_with_context,
    httpx_client,
    httpx_async,
    aiohttp_client,
    asyncio_streams,
    pytest.param(asyncio_start_tls, marks=has_start_tls),
    not_blocking,
    byte_by_byte,
    subclass,
    a_name_from_before,
    optional_verification,
    get_server_certificate,
]


@pytest.fixture
def pki(store: Path, hierarchy: MakeHierarchy) -> Hierarchy:
    """Two intermediates, both missing."""
    return hierarchy({}, {})


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_client(pki: Hierarchy, aia: AIAHost, client: Client, version: Version) -> None:
    with TLSServer(pki.leaf, (), version) as server:
        with pytest.raises(Exception, match=NO_ISSUER):
            client(server.port, str(pki.cafile))
        before = server.connections
        with hooked():
            assert client(server.port, str(pki.cafile)) == b"ok"
        assert server.connections == before + 1
    assert aia.count() == 2


def smtp_with_smtplib(port: int, cafile: str) -> bytes:
    with smtplib.SMTP("localhost", port, timeout=30) as smtp:
        smtp.starttls(context=ssl.create_default_context(cafile=cafile))
        return smtp.ehlo()[1]


def smtp_with_streams(port: int, cafile: str) -> bytes:
    async def run() -> bytes:
        reader, writer = await asyncio.open_connection("localhost", port)
        assert (await reader.readline()).startswith(b"220")
        writer.write(b"STARTTLS\r\n")
        assert (await reader.readline()).startswith(b"220")
        await writer.start_tls(ssl.create_default_context(cafile=cafile), server_hostname="localhost")
        writer.write(b"EHLO me\r\n")
        reply = await reader.readline()
        writer.close()
        return reply.removeprefix(b"250 ").strip()

    return asyncio.run(run())


@pytest.mark.parametrize("client", [smtp_with_smtplib, pytest.param(smtp_with_streams, marks=has_start_tls)])
def test_starttls(pki: Hierarchy, aia: AIAHost, client: Client) -> None:
    with SMTPServer(pki.leaf) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=NO_ISSUER):
            client(server.port, str(pki.cafile))
        with hooked():
            assert client(server.port, str(pki.cafile)) == b"localhost"
        assert (server.connections, server.handshakes) == (2, 1)
    assert aia.count() == 2


def test_websockets(pki: Hierarchy, aia: AIAHost) -> None:
    async def echo(connection: websockets.ServerConnection) -> None:
        await connection.send(await connection.recv())

    async def run() -> object:
        context = ssl.create_default_context(cafile=pki.cafile)
        async with websockets.serve(echo, "127.0.0.1", 0, ssl=server_context(pki.leaf)) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with websockets.connect(f"wss://localhost:{port}", ssl=context) as client:
                await client.send("hello")
                return await client.recv()

    with pytest.raises(ssl.SSLCertVerificationError, match=NO_ISSUER):
        asyncio.run(run())
    with hooked():
        assert asyncio.run(run()) == "hello"
    assert aia.count() == 2


def test_through_a_proxy(pki: Hierarchy, aia: AIAHost) -> None:
    def ask_through(proxy: int, port: int) -> bytes:
        context = ssl.create_default_context(cafile=pki.cafile)
        connection = http.client.HTTPSConnection("127.0.0.1", proxy, context=context, timeout=30)
        connection.set_tunnel("localhost", port)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            return connection.getresponse().read()

    with TLSServer(pki.leaf) as server, Proxy() as proxy:
        with pytest.raises(ssl.SSLCertVerificationError, match=NO_ISSUER):
            ask_through(proxy.port, server.port)
        with hooked():
            assert ask_through(proxy.port, server.port) == b"ok"
        assert (proxy.connections, server.connections) == (2, 2)
    assert aia.count() == 2
