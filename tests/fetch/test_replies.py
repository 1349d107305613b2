"""Replies of AIA hosts: an honest one yields its certificates, and no other breaks anything."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.x509.oid import ObjectIdentifier
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aia_store.inside import fetch, reply
from aia_store.inside.certificate import Certificate, encode
from aia_store.inside.search import Budget

from ..manager.disks import need_namespaces
from ..support import asn1
from ..support.pki import Authority, Leaf, pem, pkcs7, pkcs7_ber
from ..support.servers import AIAHost, BlackHole, deaf_port, refusing_port
from ..support.wire import response_head
from .conftest import LOOPBACK, Fetch, Meet

ROOT = Authority.root("Reply Root")
CA = ROOT.intermediate("Reply CA")
OTHER = ROOT.intermediate("Reply Other")
DER = CA.der
MOST = fetch.MOST_BYTES
A_MEGABYTE = 1 << 20

Publish = Callable[[AIAHost], str]


def of_size(size: int) -> Authority:
    """An intermediate of exactly so many bytes, with a huge unknown extension."""
    padding = size - len(ROOT.intermediate("Huge").der)
    for _ in range(40):
        extension = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), bytes(padding))
        huge = ROOT.intermediate("Huge", extensions=[(extension, False)])
        if len(huge.der) == size:  # signatures differ in length by a byte or two
            return huge
        padding += size - len(huge.der)
    raise AssertionError(f"no certificate of {size} bytes came out")


def padded_pkcs7(size: int) -> bytes:
    """A PKCS#7 of exactly so many bytes: one good certificate, and then a filler."""
    for filler in range(size - len(pkcs7(DER)), 0, -1):
        body = pkcs7(DER, asn1.tlv(asn1.OCTET_STRING, bytes(filler)))
        if len(body) == size:
            return body
    raise AssertionError("no PKCS#7 of this size")


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return response_head(200, {"Transfer-Encoding": "chunked"}) + b"".join(
        [*(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks), end]
    )


# Replies that are accepted


@pytest.mark.parametrize(
    "content_type", [None, "", "text/html", "application/octet-stream", "application/x-x509-ca-cert"]
)
def test_a_good_body_is_taken_whatever_its_content_type(aia: AIAHost, get: Fetch, content_type: str | None) -> None:
    assert get(aia.publish("/ca", DER, content_type=content_type)) == DER


@pytest.mark.parametrize(
    "wire",
    [
        response_head(200, {"Connection": "close"}) + DER,
        response_head(200, {"Content-Length": f"{len(DER)}"}) + DER,
        response_head(200, {"Content-Length": f"{len(DER)}"}) + DER + b"more than was promised",
        chunked(DER),
        chunked(*(DER[at : at + 7] for at in range(0, len(DER), 7))),
        chunked(DER, end=b"0;extension=1\r\nTrailer: yes\r\n\r\n"),
        b"HTTP/1.0 200 OK\r\n\r\n" + DER,
        b"HTTP/1.1 100 Continue\r\n\r\n" + response_head(200, {}) + DER,
        response_head(200, {"Set-Cookie": "a=b", "X": "y" * 10_000}) + DER,
        response_head(200, {"Content-Encoding": "identity"}) + DER,
        response_head(200, {"Content-Encoding": "gzip"}) + gzip.compress(DER),
        response_head(200, {"Content-Encoding": "GZIP"}) + gzip.compress(DER),
        response_head(200, {"Content-Encoding": "deflate"}) + zlib.compress(DER),
        response_head(200, {"Content-Encoding": "x-gzip"}) + gzip.compress(DER),
        response_head(200, {"Content-Encoding": "br"}) + gzip.compress(DER),
        response_head(200, {}) + gzip.compress(DER),
        response_head(200, {"Content-Encoding": "gzip"}) + DER,
        response_head(200, {"Content-Encoding": "deflate"}) + DER,
        response_head(200, {"Content-Encoding": "br"}) + DER,
        response_head(200, {"Content-Encoding": "pkix-cert"}) + DER,
        response_head(203, {}) + DER,
    ],
    ids=[
        "no length",
        "length",
        "more than its length",
        "one chunk",
        "many chunks",
        "trailers",
        "HTTP/1.0",
        "continue",
        "large headers",
        "identity",
        "gzip",
        "GZIP",
        "deflate",
        "x-gzip",
        "gzip that is called br",
        "gzip that is called nothing",
        "called gzip",
        "called deflate",
        "called br",
        "called what nobody knows",
        "203",
    ],
)
def test_a_right_reply_is_taken_in_every_framing(aia: AIAHost, get: Fetch, wire: bytes) -> None:
    assert get(aia.raw("/ca", wire)) == DER


@pytest.mark.parametrize("frame", ["length", "chunked", "close"])
@pytest.mark.parametrize(("size", "taken"), [(MOST, True), (MOST + 1, False), (MOST + 20_000, False)])
def test_a_body_of_65536_bytes_is_taken_and_not_one_more(
    aia: AIAHost, get: Fetch, frame: str, size: int, taken: bool
) -> None:
    body = os.urandom(size)
    wires = {
        "length": response_head(200, {"Content-Length": str(size)}) + body,
        "chunked": chunked(body),
        "close": response_head(200, {}) + body,
    }
    url = aia.raw("/ca", wires[frame])
    if taken:
        assert get(url) == body
    else:
        with pytest.raises(fetch.FetchError, match="too large"):
            get(url)


# Replies that are refused


def status(number: int, body: bytes = DER) -> Publish:
    return lambda aia: aia.publish("/ca", body, number)


def raw(wire: bytes) -> Publish:
    return lambda aia: aia.raw("/ca", wire)


NO_REPLIES: dict[str, tuple[Publish, str]] = {
    **{
        f"{number} with a good body": (status(number), f"status {number}")
        for number in (201, 202, 206, 300, 304, 400, 401, 403, 404, 407, 410, 418, 429, 500, 502, 503, 599, 999)
    },
    "204": (status(204, b""), "status 204"),
    "200 empty": (status(200, b""), "empty"),
    "200 empty, no length": (raw(response_head(200, {})), "empty"),
    "200 empty gzip": (raw(response_head(200, {"Content-Encoding": "gzip"}) + gzip.compress(b"")), "empty"),
    "Content-Length too large": (raw(response_head(200, {"Content-Length": "5000"}) + DER), "short"),
    "Content-Length enormous": (raw(response_head(200, {"Content-Length": "9" * 30}) + DER), "short|large"),
    "Content-Length zero": (raw(response_head(200, {"Content-Length": "0"}) + DER), "empty"),
    "chunks cut short": (raw(chunked(DER, end=b"")), "IncompleteRead"),
    "a chunk cut short": (raw(chunked(DER)[:-20]), "IncompleteRead"),
    "a chunk size that is none": (raw(response_head(200, {"Transfer-Encoding": "chunked"}) + b"zz\r\n"), "."),
    "a chunk size that is negative": (raw(response_head(200, {"Transfer-Encoding": "chunked"}) + b"-5\r\n" + DER), "."),
    "a chunk size that is enormous": (
        raw(response_head(200, {"Transfer-Encoding": "chunked"}) + b"f" * 30 + b"\r\n" + DER),
        ".",
    ),
    "endless chunks": (lambda aia: aia.stream_forever("/ca", "chunked"), "too large"),
    "endless tiny chunks": (raw(chunked(*([b"x"] * 60_000))), "too large"),
    "endless headers": (lambda aia: aia.stream_forever("/ca", "headers"), "cannot be read"),
    "endless body": (lambda aia: aia.stream_forever("/ca", "body"), "too large"),
    "a megabyte in one header": (raw(response_head(200, {"X": "y" * A_MEGABYTE}) + DER), "."),
    "a megabyte of headers": (
        raw(b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 10_000 + b"\r\n") * 100 + b"\r\n" + DER),
        "too large",
    ),
    "a megabyte of trailers": (raw(chunked(DER, end=b"0\r\n" + b"X: yyyyyyyy\r\n" * 80_000)), "too large"),
    "endless 100 Continue": (raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 40_000), "too large"),
    "a megabyte of status line": (raw(b"HTTP/1.1 200 " + b"O" * A_MEGABYTE), "."),
    "no HTTP": (raw(b"\x15\x03\x01\x00\x02\x02\x28"), "."),
    "HTTP/0.9": (raw(DER), "."),
    "a line break": (raw(b"\r\n\r\n"), "."),
    "nothing": (raw(b""), "does not answer"),
    "half a status line": (raw(b"HTTP/1.1 2"), "."),
    "a status that is no number": (raw(b"HTTP/1.1 abc OK\r\n\r\n" + DER), "."),
    "gzip that swells": (
        raw(response_head(200, {"Content-Encoding": "gzip"}) + gzip.compress(bytes(8 * A_MEGABYTE))),
        "too large",
    ),
    "deflate that swells": (
        raw(response_head(200, {"Content-Encoding": "deflate"}) + zlib.compress(bytes(8 * A_MEGABYTE))),
        "too large",
    ),
    "gzip cut short": (raw(response_head(200, {"Content-Encoding": "gzip"}) + gzip.compress(DER)[:-9]), "short"),
    "gzip with a wrong sum": (
        raw(response_head(200, {"Content-Encoding": "gzip"}) + gzip.compress(DER)[:-8] + bytes(8)),
        "encoding",
    ),
    "gzip twice": (
        raw(response_head(200, {"Content-Encoding": "gzip, gzip"}) + gzip.compress(gzip.compress(DER))),
        "encoding",
    ),
}


@pytest.mark.parametrize(("publish", "why"), NO_REPLIES.values(), ids=NO_REPLIES)
def test_a_wrong_reply_is_a_fetch_error_in_bounded_memory_and_time(
    aia: AIAHost, get: Fetch, publish: Publish, why: str
) -> None:
    url = publish(aia)
    started = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(fetch.FetchError, match=why):
            get(url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 1
    assert peak < A_MEGABYTE
    assert aia.count() == 1


@pytest.mark.parametrize(
    "publish",
    [
        lambda aia: aia.silent("/ca"),
        lambda aia: aia.drip("/ca", DER, 0.05),
        lambda aia: aia.drip("/ca", DER, 0.05, head=True),
        lambda aia: aia.publish("/ca", DER, delay=5),
    ],
    ids=["silence", "a byte at a time", "headers a byte at a time", "late"],
)
def test_a_slow_host_is_left_at_the_deadline(aia: AIAHost, publish: Publish) -> None:
    url = publish(aia)
    started = time.monotonic()
    with pytest.raises(fetch.FetchError, match="timed out") as raised:
        fetch.get(url, LOOPBACK, started + 0.3)
    assert 0.25 < time.monotonic() - started < 2
    assert (raised.value.dead_url, raised.value.is_ours) == (None, False), "it was found and connected to"


def test_an_endless_slow_trickle_is_left_at_the_deadline(aia: AIAHost) -> None:
    """Every piece arrives in time, but all together take too long."""
    url = aia.drip("/ca", bytes(10_000), 0.01)
    started = time.monotonic()
    with pytest.raises(fetch.FetchError, match="timed out"):
        fetch.get(url, LOOPBACK, started + 0.3)
    assert time.monotonic() - started < 2


def test_redirects_share_one_deadline(aia: AIAHost) -> None:
    aia.publish("/2", DER, delay=0.2)
    aia.publish("/1", b"", 302, {"Location": "/2"}, delay=0.2)
    started = time.monotonic()
    with pytest.raises(fetch.FetchError, match="timed out"):
        fetch.get(aia.publish("/0", b"", 302, {"Location": "/1"}, delay=0.2), LOOPBACK, started + 0.5)
    assert time.monotonic() - started < 2


def test_what_is_blamed(aia: AIAHost) -> None:
    """A host is only blamed if it could not be found or connected to; nothing is blamed if our policy refuses."""
    to_inner = aia.redirect("/inner", "http://10.0.0.1/")
    online = fetch.has_network()
    with BlackHole() as hole, listening_and_hanging_up() as rude:
        for url, dead, ours in [
            (f"http://127.0.0.1:{refusing_port()}/", True, False),
            ("http://nobody.invalid/", online, not online),
            (hole.url(), False, False),
            (rude, False, False),
            (aia.url("/404"), False, False),
            (aia.publish("/empty", b""), False, False),
            (to_inner, False, False),
            ("https://127.0.0.1/", False, True),
            ("http://127.0.0.1:22/", False, True),
            ("http://10.0.0.1/", False, True),
        ]:
            with pytest.raises(fetch.FetchError) as raised:
                fetch.get(url, LOOPBACK, time.monotonic() + 0.2)
            assert raised.value.dead_url == (url if dead else None), url
            assert raised.value.is_ours is ours, url


@contextlib.contextmanager
def listening_and_hanging_up() -> Iterator[str]:
    """The URL of a host that accepts connections and ends each without a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_a_dead_host_on_the_machines_own_network_is_blamed_without_a_default_route(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise every handshake would wait for it anew."""
    monkeypatch.setattr(fetch, "_NOBODYS", ())
    with deaf_port() as port, pytest.raises(fetch.FetchError) as raised:
        fetch.get(f"http://127.0.0.1:{port}/", LOOPBACK, time.monotonic() + 0.3)
    assert (raised.value.dead_url, raised.value.is_ours) == (f"http://127.0.0.1:{port}/", False)


def test_a_host_that_only_ipv6_reaches_is_not_blamed_where_there_is_none() -> None:
    need_namespaces("unshare", "--net")
    ask = f"import sys; sys.path[:0] = [{str(Path(__file__).parents[2])!r}]; from aia_store.inside import fetch\n"
    ask += "try:\n fetch.get('http://[2606:4700::1111]/', [], fetch.time.monotonic() + 5)\n"
    ask += "except fetch.FetchError as error: print(error, error.is_ours, error.dead_url)"
    only_ipv4 = 'ip link set lo up && ip route add default dev lo && exec "$@"'
    command = ["unshare", "--net", "sh", "-c", only_ipv4, "-", sys.executable, "-c", ask]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = "2606:4700::1111 cannot be reached (Network is unreachable); this machine has no route to it True None\n"
    assert done.stdout == said, done


def test_a_dead_host_behind_a_redirect_does_not_count_against_the_first(aia: AIAHost, get: Fetch) -> None:
    """Otherwise a hostile leaf could name a redirector on an honest host, and so pause that host."""
    dead = f"http://127.0.0.1:{refusing_port()}/"
    with pytest.raises(fetch.FetchError) as raised:
        get(aia.redirect("/ca", dead))
    assert raised.value.dead_url == dead


@pytest.fixture
def slow_to_connect() -> Iterator[str]:
    """The URL of a host that takes no connection for now, as its queue is full."""
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(socket.socket())
        host.bind(("127.0.0.1", 0))
        host.listen(0)
        waiting = [stack.enter_context(socket.socket()) for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(host.getsockname())
        yield f"http://127.0.0.1:{host.getsockname()[1]}/"


@pytest.mark.parametrize(("delay", "is_blamed"), [(0.0, True), (0.7, False)])
def test_a_host_behind_a_slow_redirect_is_not_blamed(
    aia: AIAHost, slow_to_connect: str, delay: float, is_blamed: bool
) -> None:
    """Otherwise a hostile leaf could name a host that redirects to an honest one too late, and so pause that one."""
    url = aia.publish("/ca", b"", 302, {"Location": slow_to_connect}, delay=delay)
    with pytest.raises(fetch.FetchError) as raised:
        fetch.get(url, LOOPBACK, time.monotonic() + 1)
    assert raised.value.dead_url == (slow_to_connect if is_blamed else None)
    assert not raised.value.is_ours, "the URL is to blame"


def test_after_the_deadline_nothing_is_requested(aia: AIAHost) -> None:
    with pytest.raises(fetch.FetchError):
        fetch.get(aia.publish("/ca", DER), LOOPBACK, time.monotonic() - 1)
    assert aia.count() == 0


# What is requested


def test_the_request_says_nothing_of_the_program_or_of_the_host_visited(aia: AIAHost, get: Fetch) -> None:
    get(aia.publish("/a/b.crt?c=d&e", DER))
    (request,) = aia.requests
    assert (request.method, request.path, request.body) == ("GET", "/a/b.crt?c=d&e", b"")
    assert dict(request.headers) == {
        "host": f"127.0.0.1:{aia.port}",
        "user-agent": "aia-store",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }


def test_the_host_header_is_the_name_of_the_url_and_a_fragment_stays_here(aia: AIAHost, get: Fetch) -> None:
    aia.publish("/", DER)
    get(f"http://LocalHost:{aia.port}#fragment")
    (request,) = aia.requests
    assert (request.path, request.headers["host"]) == ("/", f"localhost:{aia.port}")


def test_nothing_that_a_program_does_to_http_client_reaches_our_request(
    aia: AIAHost, get: Fetch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Programs print their requests (`debuglevel`); tracers add headers that say which program sends them."""
    send_line = http.client.HTTPConnection.putrequest

    def traced(connection: http.client.HTTPConnection, *arguments: Any, **options: Any) -> None:
        send_line(connection, *arguments, **options)
        connection.putheader("traceparent", "the program")

    monkeypatch.setattr(http.client.HTTPConnection, "putrequest", traced)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    assert get(aia.publish("/ca", DER)) == DER
    assert "traceparent" not in aia.requests[0].headers
    assert capsys.readouterr() == ("", "")


def test_no_cookie_and_no_referer_follows_a_redirect(aia: AIAHost, get: Fetch) -> None:
    aia.publish("/to", DER)
    get(aia.publish("/from", b"", 302, {"Location": "/to", "Set-Cookie": "a=b; Path=/"}))
    get(aia.url("/to"))
    for request in aia.requests:
        assert not {"cookie", "referer", "authorization", "origin"} & set(request.headers)


def test_credentials_of_netrc_are_not_sent(aia: AIAHost, get: Fetch, tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    url = aia.publish("/ca", DER, 401, {"WWW-Authenticate": 'Basic realm="x"'})
    with pytest.raises(fetch.FetchError, match="401"):
        get(url)
    assert [request.headers.get("authorization") for request in aia.requests] == [None]


# What is in a body

KEY = CA.key_pem.encode()
PEM = CA.pem.encode()
BASE64 = base64.encodebytes(DER)


def with_line_lengths(size: int) -> bytes:
    text = base64.b64encode(DER)
    lines = [text[at : at + size] for at in range(0, len(text), size)]
    return b"-----BEGIN CERTIFICATE-----\n" + b"\n".join(lines) + b"\n-----END CERTIFICATE-----\n"


def bomb(depth: int) -> bytes:
    """Indefinite lengths, one in another."""
    return b"\x30\x80" * depth + b"\0\0" * depth


def definite_bomb(depth: int) -> bytes:
    """Definite lengths, one in another, each with four octets of length."""
    return b"".join(b"\x30\x84" + (6 * level).to_bytes(4, "big") for level in reversed(range(depth)))


def signed_data(*parts: bytes) -> bytes:
    """A ContentInfo of signedData whose SignedData has just these parts."""
    oid = asn1.tlv(asn1.OID, bytes.fromhex("2a864886f70d010702"))
    return asn1.tlv(asn1.SEQUENCE, oid, asn1.tlv(0xA0, asn1.tlv(asn1.SEQUENCE, *parts)))


BODIES: dict[str, tuple[bytes, list[bytes]]] = {
    "DER": (DER, [DER]),
    "DER and trailing bytes": (DER + b"\0", []),
    "DER twice": (DER + OTHER.der, []),
    "DER and a line end": (DER + b"\n", [DER]),
    "DER and a line end of Windows": (DER + b"\r\n", [DER]),
    "DER after a line end": (b"\n" + DER, []),
    "base64": (BASE64, [DER]),
    "base64 in one line": (BASE64.replace(b"\n", b""), [DER]),
    "base64 with CRLF and blanks": (b"  " + BASE64.replace(b"\n", b" \r\n"), [DER]),
    "base64 of PKCS#7": (base64.encodebytes(pkcs7(OTHER.der, DER)), [OTHER.der, DER]),
    "base64 cut short": (BASE64[: len(BASE64) // 2], []),
    "base64 and more": (BASE64 + b"<!-- served by -->", []),
    "base64 of what is no certificate": (base64.encodebytes(b"Not found, and nothing else to be said of it"), []),
    "DER cut short": (DER[:-1], []),
    "DER that speaks of PEM": ((quoting := ROOT.intermediate("-----BEGIN CERTIFICATE-----")).der, [quoting.der]),
    "PEM": (PEM, [DER]),
    "PEM with CRLF": (PEM.replace(b"\n", b"\r\n"), [DER]),
    "PEM in one line": (PEM.replace(b"\n", b""), [DER]),
    "PEM of 65 columns": (with_line_lengths(65), [DER]),
    "PEM of one column": (with_line_lengths(1), [DER]),
    "PEM with text before": (b"Subject: CN = Reply CA\n\n" + PEM, [DER]),
    "PEM with text after": (PEM + b"\n<!-- served by -->", [DER]),
    "PEM after a byte order mark": (b"\xef\xbb\xbf" + PEM, [DER]),
    "PEM of another first": (pem(OTHER, CA).encode(), [OTHER.der, DER]),
    "PEM of eleven": (pem(*[OTHER] * 10, CA).encode(), [OTHER.der]),
    "PEM of PKCS#7 that calls itself a certificate": (pem(pkcs7(OTHER.der, DER)).encode(), [OTHER.der, DER]),
    "PEM of rubbish first": (pem(b"rubbish", CA).encode(), [DER]),
    "PEM after a key": (KEY + PEM, [DER]),
    "PEM before a key": (PEM + KEY, [DER]),
    "PEM after a broken block": (b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n" + PEM, [DER]),
    "PEM with headers": (PEM.replace(b"-----\n", b"-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: A,00\n\n", 1), []),
    "PEM without its end": (PEM.partition(b"-----END")[0], []),
    "PEM of a key": (KEY, []),
    "PEM of a trusted certificate": (PEM.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"), []),
    "PEM of a request": (PEM.replace(b"CERTIFICATE", b"CERTIFICATE REQUEST"), []),
    "PEM of nothing": (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", []),
    "PEM of PKCS#7": (pem(pkcs7(DER)).replace("CERTIFICATE", "PKCS7").encode(), [DER]),
    "PEM of PKCS#7 without its end": (b"-----BEGIN PKCS7-----\n", []),
    "PEM of PKCS#7 from its end": (b"-----END PKCS7-----\n-----BEGIN PKCS7-----\n", []),
    "PEM of PKCS#7 of nothing": (b"-----BEGIN PKCS7-----\n-----END PKCS7-----\n", []),
    "PEM of PKCS#7 that is no base64": (b"-----BEGIN PKCS7-----\nA\n-----END PKCS7-----\n", []),
    "PKCS#7 with none": (pkcs7(), []),
    "PKCS#7 with one": (pkcs7(DER), [DER]),
    "PKCS#7 with two": (pkcs7(OTHER.der, DER), [OTHER.der, DER]),
    "PKCS#7 with eleven": (pkcs7(*[OTHER.der] * 10, DER), [OTHER.der]),
    "PKCS#7 with a thousand": (pkcs7(*[encode(0x30, b"")] * 1_000), []),
    "PKCS#7 with a thousand good ones": (pkcs7(*[DER] * 1_000), [DER]),
    "PKCS#7, the first corrupt": (pkcs7(encode(0x30, b"\x30\x00junk"), DER), [DER]),
    "PKCS#7, the second corrupt": (pkcs7(OTHER.der, encode(0x30, b"junk"), DER), [OTHER.der, DER]),
    "PKCS#7, the last corrupt": (pkcs7(DER, encode(0x30, b"junk")), [DER]),
    "PKCS#7 with an attribute certificate first": (pkcs7(encode(0xA1, b"\x30\x00"), DER), [DER]),
    "PKCS#7 cut short": (pkcs7(DER)[:-30], []),
    "PKCS#7 and trailing bytes": (pkcs7(DER) + b"\n", [DER]),
    "PKCS#7 in BER": (pkcs7_ber(OTHER.der, DER), [OTHER.der, DER]),
    "PKCS#7 in BER with none": (pkcs7_ber(), []),
    "PKCS#7 in BER cut short": (pkcs7_ber(DER)[:-3], []),
    "PKCS#7 in BER without its ends": (pkcs7_ber(DER).rstrip(b"\0"), []),
    "PKCS#7 of enveloped data": (pkcs7(DER).replace(b"\x01\x07\x02", b"\x01\x07\x03"), []),
    "PKCS#7 without certificates": (signed_data(asn1.tlv(asn1.INTEGER, b"\x01")), []),
    "PKCS#7 that holds nothing": (signed_data(), []),
    "BER nested a thousand deep": (bomb(1_000), []),
    "BER nested 16,000 deep": (bomb(16_000), []),
    "BER that never ends": (b"\x30\x80" * 32_000, []),
    "DER nested as deep as fits": (definite_bomb(10_900), []),
    "BER bomb within PKCS#7": (pkcs7_ber(bomb(8_000), DER), []),
    "an HTML page": (b"<!DOCTYPE html><html><body>Not found</body></html>", []),
    "an HTML page that quotes PEM": (b"<html><pre>" + PEM + b"</pre></html>", [DER]),
    "a CRL-like sequence": (encode(0x30, encode(0x30, b"\x02\x01\x01") * 3), []),
    "zeros": (bytes(MOST), []),
    "0x30s": (b"\x30" * MOST, []),
    "beginnings of PEM": (b"-----BEGIN CERTIFICATE-----" * 2_000, []),
    "one byte": (b"0", []),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("body", "found"), BODIES.values(), ids=BODIES)
def test_certificates_are_found_by_content_and_nothing_is_raised(body: bytes, found: list[bytes]) -> None:
    started = time.process_time()
    assert [certificate.der for certificate in reply.certificates(body)] == found
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_pkcs12_is_no_reply(encrypted: bool) -> None:
    from cryptography.hazmat.primitives.serialization import NoEncryption

    algorithm = BestAvailableEncryption(b"password") if encrypted else NoEncryption()
    body = pkcs12.serialize_key_and_certificates(b"name", None, CA.certificate, [OTHER.certificate], algorithm)
    assert reply.certificates(body) == []


def test_the_largest_bodies_are_read_in_no_time() -> None:
    for body in (of_size(MOST).der, padded_pkcs7(MOST), pkcs7_ber(*[DER] * 100)[:MOST], b"\x04\x80" * (MOST // 2)):
        started = time.process_time()
        reply.certificates(body)
        assert time.process_time() - started < 0.5


@settings(max_examples=250, deadline=10_000, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_nothing_is_ever_raised_by_a_body(data: st.DataObject) -> None:
    body = data.draw(
        st.binary(max_size=2_000) | st.sampled_from([one for one, _ in BODIES.values() if len(one) < 5_000])
    )
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(body)))
        body = body[:at] + data.draw(st.binary(max_size=3)) + body[at + data.draw(st.integers(0, 3)) :]
    assert len(reply.certificates(body)) <= reply.MOST_CERTIFICATES


@pytest.mark.parametrize(
    "start", [b"", b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x30\x80\xa0\x80"]
)
def test_no_repeated_pattern_takes_long(start: bytes) -> None:
    for pattern in (b"\x30\x80", b"\x30\x00", b"\x24\x80\0\0", b"\x30\x80\x30\x00", b"\x00\x01\xff", b"\x1f\xff\x80"):
        started = time.process_time()
        reply.certificates((start + pattern * MOST)[:MOST])
        assert time.process_time() - started < 1, pattern


# Whole handshakes

GOOD = {
    "DER": DER,
    "PEM": PEM,
    "PEM with text before": b"Subject: x\n" + PEM,
    "PEM of another first": pem(OTHER, CA).encode(),
    "DER and a line end": DER + b"\n",
    "base64": BASE64,
    "PKCS#7": pkcs7(DER),
    "PKCS#7 in BER, another first": pkcs7_ber(OTHER.der, DER),
    "PKCS#7, a corrupt one first": pkcs7(encode(0x30, b"junk"), DER),
    "PKCS#7, a namesake first": pkcs7(Authority.root("Elsewhere").intermediate("Reply CA").der, DER),
    "PKCS#7, the root and the leaf's namesake": pkcs7(ROOT.der, DER),
}


def leaf(*urls: str, under: Authority = CA) -> Leaf:
    return under.leaf(aia=urls)


@pytest.mark.parametrize("body", GOOD.values(), ids=GOOD)
def test_a_handshake_completes_with_a_good_reply(aia: AIAHost, meet: Meet, body: bytes) -> None:
    met = meet(leaf(aia.publish("/ca", body, content_type="text/plain")), ROOT)
    assert met.completed
    assert [path.read_text() for path in met.kept] == [CA.pem]


@pytest.mark.parametrize("size", [60_000, 65_000])
def test_a_handshake_completes_with_a_huge_intermediate(aia: AIAHost, meet: Meet, size: int) -> None:
    huge = of_size(size)
    met = meet(leaf(aia.publish("/ca", huge.der), under=huge), ROOT)
    assert met.completed


@pytest.mark.parametrize(
    "name",
    [
        "404 with a good body",
        "500 with a good body",
        "206 with a good body",
        "401 with a good body",
        "204",
        "200 empty",
        "Content-Length too large",
        "endless chunks",
        "endless headers",
        "endless body",
        "a chunk size that is enormous",
        "gzip that swells",
        "no HTTP",
    ],
)
@pytest.mark.parametrize("second", [False, True], ids=["no other URL", "a good second URL"])
def test_a_handshake_survives_a_wrong_reply(aia: AIAHost, meet: Meet, name: str, second: bool) -> None:
    urls = [NO_REPLIES[name][0](aia)] + ([aia.publish("/good", DER)] if second else [])
    met = meet(leaf(*urls), ROOT)
    assert met.completed if second else met.is_left_alone()
    assert met.seconds < 2


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html></html>",
        pkcs7(),
        pkcs7_ber(bomb(8_000), DER),
        bomb(16_000),
        DER[:-1],
        KEY,
        PEM.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"),
        os.urandom(MOST),
        pkcs7(*[OTHER.der] * 10, DER),
    ],
    ids=["HTML", "none", "bomb inside", "bomb", "cut short", "a key", "trusted", "random", "the eleventh"],
)
@pytest.mark.parametrize("second", [False, True], ids=["no other URL", "a good second URL"])
def test_a_handshake_survives_a_wrong_body(aia: AIAHost, meet: Meet, body: bytes, second: bool) -> None:
    urls = [aia.publish("/bad", body)] + ([aia.publish("/good", DER)] if second else [])
    met = meet(leaf(*urls), ROOT)
    assert met.completed if second else met.is_left_alone()
    assert met.seconds < 2


@pytest.mark.parametrize(
    "publish",
    [
        lambda aia: aia.silent("/ca"),
        lambda aia: aia.drip("/ca", DER, 0.1),
        lambda aia: aia.drip("/ca", DER, 1, head=True),
    ],
    ids=["silence", "a byte at a time", "headers a byte a second"],
)
def test_a_handshake_waits_so_long_and_then_takes_the_second_url(
    aia: AIAHost, meet: Meet, monkeypatch: pytest.MonkeyPatch, publish: Publish
) -> None:
    monkeypatch.setattr(Budget, "fetch_seconds", 0.3)
    with AIAHost() as elsewhere:
        met = meet(leaf(publish(aia), elsewhere.publish("/good", DER)), ROOT)
    assert met.completed
    assert 0.25 < met.seconds < 1.5


def test_a_failed_url_is_not_asked_again(aia: AIAHost, meet: Meet) -> None:
    url = aia.publish("/ca", DER, 500)
    for _ in range(3):
        assert meet(leaf(url), ROOT).is_left_alone()
    assert aia.count() == 1


def test_a_useless_reply_to_one_leaf_does_not_block_the_url_for_another(aia: AIAHost, meet: Meet) -> None:
    """Otherwise a hostile server could name an honest CA's URL, and so block it."""
    url = aia.publish("/ca", DER)
    foreign = Authority.root("Foreign").intermediate("Another Name").leaf(aia=[url])
    assert meet(foreign, ROOT).is_left_alone()
    assert meet(leaf(url), ROOT).completed


# Redirects


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("how", ["absolute", "path", "relative", "network path"])
def test_a_redirect_is_followed(aia: AIAHost, get: Fetch, number: int, how: str) -> None:
    url = aia.publish("/a/to", DER)
    where = {"absolute": url, "path": "/a/to", "relative": "to", "network path": url.removeprefix("http:")}[how]
    assert get(aia.redirect("/a/from", where, number)) == DER


@pytest.mark.parametrize(("hops", "taken"), [(1, True), (2, True), (3, True), (4, False)])
def test_three_redirects_are_followed_and_no_fourth(aia: AIAHost, get: Fetch, hops: int, taken: bool) -> None:
    url = aia.publish("/0", DER)
    for hop in range(1, hops + 1):
        url = aia.redirect(f"/{hop}", url)
    if taken:
        assert get(url) == DER
    else:
        with pytest.raises(fetch.FetchError, match="redirects"):
            get(url)
    assert aia.count() == min(hops + 1, 4)


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1/",
        "HTTPS://127.0.0.1/",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "ftp://127.0.0.1/",
        "ldap://127.0.0.1/",
        "data:application/pkix-cert;base64,AAAA",
        "gopher://127.0.0.1/",
        "javascript:0",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://10.0.0.1/",
        "http://192.168.0.1/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://me:secret@127.0.0.1/",
        "http://127.0.0.1:22/",
        "http://127.0.0.1:6379/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://[/",
        "http://[::1",
        "http://[x]/",
        "//[",
        "http://nobody.invalid/",
        "http://a..b/",
        "http://" + "a" * 64 + ".example/",
        "http://127.0.0.1/" + "a" * 8_192,
        "http://127.0.0.1/ ca",
        "http://127.0.0.1/\xff",
        "http://127.0.0.1\\@example.com/",
    ],
    ids=lambda location: location[:40].encode("unicode_escape").decode(),
)
def test_a_redirect_to_where_nothing_may_be_fetched_is_a_fetch_error(aia: AIAHost, get: Fetch, location: str) -> None:
    with pytest.raises(fetch.FetchError):
        get(aia.redirect("/ca", location))
    assert aia.count() == 1


@pytest.mark.parametrize("location", ["", "/ca", "#", "?", "http:", "http://", "http:///ca", "\x00"])
def test_a_redirect_to_itself_ends(aia: AIAHost, get: Fetch, location: str) -> None:
    with pytest.raises(fetch.FetchError, match="redirects"):
        get(aia.redirect("/ca", location))
    assert aia.count() <= 4


def test_a_redirect_without_a_location_ends(aia: AIAHost, get: Fetch) -> None:
    with pytest.raises(fetch.FetchError):
        get(aia.publish("/ca", DER, 302))


def test_a_ring_of_redirects_ends(aia: AIAHost, get: Fetch) -> None:
    aia.redirect("/b", "/c")
    aia.redirect("/c", "/a")
    with pytest.raises(fetch.FetchError, match="redirects"):
        get(aia.redirect("/a", "/b"))
    assert aia.count() == 4


def test_a_redirect_to_loopback_is_refused_where_only_the_first_host_is_allowed(aia: AIAHost) -> None:
    """Another address of this machine than the allowed one."""
    with socket.create_server(("127.0.0.2", 0)) as inner:
        inner.settimeout(0.2)
        url = aia.redirect("/ca", f"http://127.0.0.2:{inner.getsockname()[1]}/")
        with pytest.raises(fetch.FetchError, match="no public address"):
            fetch.get(url, ["127.0.0.1/32"], time.monotonic() + 1)
        with pytest.raises(socket.timeout):
            inner.accept()


@pytest.mark.parametrize("location", ["http://[/", "https://127.0.0.1/", "file:///etc/passwd", "/ca", "http://[::1"])
def test_a_handshake_takes_the_second_url_after_a_hostile_redirect(aia: AIAHost, meet: Meet, location: str) -> None:
    met = meet(leaf(aia.redirect("/ca", location), aia.publish("/good", DER)), ROOT)
    assert met.completed


def test_a_host_that_runs_out_of_descriptors_is_a_fetch_error(aia: AIAHost) -> None:
    """No socket can be made, as for an address family that this machine does not have."""
    import resource

    url = aia.publish("/ca", DER)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[0], 256), limits[1]))
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        with pytest.raises(fetch.FetchError):
            fetch.get(url, LOOPBACK, time.monotonic() + 1)
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert fetch.get(url, LOOPBACK, time.monotonic() + 1) == DER


def test_an_impossible_address_family_does_not_hide_the_next_address(
    aia: AIAHost, get: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine whose kernel has no IPv6 still resolves names to IPv6 addresses."""
    import _socket

    real = _socket.getaddrinfo

    def with_another_family(*arguments: Any) -> list[Any]:
        found = real(*arguments)
        return [(socket.AF_INET6 + 30_000, *found[0][1:]), *found]

    monkeypatch.setattr(_socket, "getaddrinfo", with_another_family)
    assert get(aia.publish("/ca", DER)) == DER


def test_certificates_come_back_as_they_were(get: Fetch, aia: AIAHost) -> None:
    (found,) = reply.certificates(get(aia.publish("/ca", DER)))
    assert found == Certificate(DER)
