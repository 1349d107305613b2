"""The test support itself: what it claims to send, it sends."""

from __future__ import annotations

import http.client
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.conftest import PARTIAL_CHAIN

from .pki import Authority, Certified, Leaf, aia_value, crl, pem, pkcs7, pkcs7_ber, private_key
from .serve import Spec
from .served import Served
from .servers import AIAHost, BlackHole, SMTPServer, TLSServer, Version, refusing_port
from .trusted import trusted_pem

DER = 2

ROOT = Authority.root()
INTERMEDIATE = ROOT.intermediate()
LEAF = INTERMEDIATE.leaf()

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not here")


@pytest.fixture
def host() -> Iterator[AIAHost]:
    """A web server, and the certainty that it closes at once whatever was done with it."""
    aia = AIAHost()
    yield aia
    started = time.monotonic()
    aia.close()
    assert time.monotonic() - started < 1


def trusting(*anchors: Certified) -> ssl.SSLContext:
    """A strict client's context with just these anchors."""
    context = ssl.create_default_context(cadata=pem(*anchors))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.verify_flags &= ~PARTIAL_CHAIN
    return context


def get(server: TLSServer, context: ssl.SSLContext, path: str = "/") -> bytes:
    """The body behind a path."""
    connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def received(server: TLSServer) -> list[bytes]:
    """The certificates that a client that checks nothing gets to see, and that the server is well."""
    if sys.version_info < (3, 10):
        pytest.skip("this Python does not show what a server sent")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", server.port), 10) as tcp,
        context.wrap_socket(tcp, server_hostname="localhost") as tls,
    ):
        inner: Any = tls._sslobj  # type: ignore[attr-defined]
        return [certificate.public_bytes(DER) for certificate in inner.get_unverified_chain()]


def fetch(url: str, timeout: float = 10) -> bytes:
    """The body behind an http URL."""
    with urllib.request.urlopen(url, timeout=timeout) as reply:
        body: bytes = reply.read()
        return body


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize(
    "sends",
    [
        [],
        [INTERMEDIATE],
        [ROOT, INTERMEDIATE],
        [INTERMEDIATE, INTERMEDIATE, LEAF],
        [Authority.root("Foreign", key="rsa", hash=hashes.SHA1())],
    ],
    ids=["none", "one", "reversed with root", "repeated", "foreign and weak"],
)
def test_sends_exactly_the_list(version: Version, sends: list[Authority | Leaf]) -> None:
    with TLSServer(LEAF, sends, version) as server:
        assert received(server) == server.certificates_sent == [LEAF.der, *(item.der for item in sends)]


def test_client_ca_does_not_change_the_list() -> None:
    with pytest.raises(ValueError, match="client CA"):
        TLSServer(LEAF, client_ca=INTERMEDIATE)
    with TLSServer(LEAF, client_ca=Authority.root("Clients"), version="1.3") as server:
        assert received(server) == [LEAF.der]


def test_plain_client_needs_the_intermediate() -> None:
    with TLSServer(LEAF) as server, pytest.raises(ssl.SSLCertVerificationError):
        get(server, trusting(ROOT))
    assert (server.connections, server.handshakes) == (1, 0)
    with TLSServer(LEAF, [INTERMEDIATE], reply=b"hello") as server:
        assert get(server, trusting(ROOT)) == b"hello"
        assert get(server, trusting(ROOT), "/bytes/3000000") == bytes(3_000_000)
    assert (server.connections, server.handshakes) == (2, 2)


@pytest.mark.parametrize("key", ["ec", "rsa", "ed25519"])
def test_every_kind_of_key_serves(key: Any) -> None:
    root = Authority.root(key=key)
    with TLSServer(root.leaf(key=key), alpn=["http/1.1"]) as server:
        assert get(server, trusting(root)) == b"ok"


OTHER = Authority.root("Other Root")
FORGER = private_key()
IMPOSTOR = Authority.root("Test Root").intermediate()


@pytest.mark.parametrize(
    ("leaf", "sends", "says"),
    [
        (LEAF.reissue(not_after=timedelta(hours=-1)), INTERMEDIATE, "expired"),
        (LEAF, INTERMEDIATE.reissue(signed_by=FORGER), "signature"),
        (LEAF, INTERMEDIATE.reissue(ca=False), "CA certificate"),
        (LEAF, INTERMEDIATE.reissue(no_cert_sign=True), "certificate signing|issuer|CA"),
        (LEAF, INTERMEDIATE.reissue(excluded=["localhost"]), "excluded"),
        (LEAF, INTERMEDIATE.reissue(permitted=["example.com"]), "permitted"),
        (LEAF, INTERMEDIATE.reissue(eku=[ExtendedKeyUsageOID.EMAIL_PROTECTION]), "purpose"),
        (LEAF, INTERMEDIATE.reissue(version1=True), "CA certificate|local issuer"),
        (LEAF, INTERMEDIATE.reissue(subject_key_id=b"not it"), "local issuer|mismatch"),
        (LEAF, OTHER.cross_sign(INTERMEDIATE), "local issuer"),
        (IMPOSTOR.leaf(), IMPOSTOR, "signature|local issuer"),
        (INTERMEDIATE.leaf("example.com"), INTERMEDIATE, "[Hh]ostname"),
    ],
)
def test_options_have_an_effect(leaf: Leaf, sends: Authority, says: str) -> None:
    with TLSServer(leaf, [sends]) as server, pytest.raises(ssl.SSLCertVerificationError, match=says):
        get(server, trusting(ROOT))


def test_path_length_has_an_effect() -> None:
    below = ROOT.intermediate(path_length=0).intermediate("Below")
    assert below.issuer
    with (
        TLSServer(below.leaf(), [below, below.issuer]) as server,
        pytest.raises(ssl.SSLCertVerificationError, match="path length"),
    ):
        get(server, trusting(ROOT))


def test_cross_signed_leads_to_the_other_root() -> None:
    with TLSServer(LEAF, [OTHER.cross_sign(INTERMEDIATE)]) as server:
        assert get(server, trusting(OTHER)) == b"ok"


@pytest.mark.parametrize(("revoked", "refused"), [([], False), ([LEAF], True)])
def test_crl_is_obeyed(revoked: list[Leaf], refused: bool, tmp_path: Path) -> None:
    listed = x509.load_der_x509_crl(crl(INTERMEDIATE, revoked))
    Path(tmp_path, "crl.pem").write_bytes(listed.public_bytes(Encoding.PEM))
    context = trusting(ROOT)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    context.load_verify_locations(tmp_path / "crl.pem")
    with TLSServer(LEAF, [INTERMEDIATE]) as server:
        if refused:
            with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
                get(server, context)
        else:
            assert get(server, context) == b"ok"


def test_broken_aia_is_written_and_read() -> None:
    odd = INTERMEDIATE.leaf(aia_raw=aia_value(b"http://a\0b/\xff\r\n"))
    assert b"http://a\0b/\xff\r\n" in odd.der
    broken = INTERMEDIATE.intermediate(aia_raw=b"\x30\x05junk")
    with TLSServer(broken.leaf(), [broken, INTERMEDIATE]) as server:
        assert received(server)[1] == broken.der


@needs_openssl
@pytest.mark.parametrize("wrap", [pkcs7, pkcs7_ber])
def test_pkcs7_is_read_by_openssl(wrap: Any) -> None:
    printed = subprocess.run(
        ["openssl", "pkcs7", "-inform", "DER", "-print_certs"],
        input=wrap(INTERMEDIATE.der, ROOT.der),
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert [block in printed for block in (INTERMEDIATE.pem, ROOT.pem)] == [True, True]
    assert printed.index(INTERMEDIATE.pem) < printed.index(ROOT.pem)


def test_starttls() -> None:
    with (
        SMTPServer(LEAF, [INTERMEDIATE]) as server,
        smtplib.SMTP("localhost", server.port, timeout=10) as client,
    ):
        assert client.ehlo()[0] == 250
        client.starttls(context=trusting(ROOT))
        assert client.ehlo()[0] == 250
        assert not client.has_extn("starttls")
        assert client.quit()[0] == 221
    assert (server.connections, server.handshakes) == (1, 1)


def test_published_and_counted(host: AIAHost) -> None:
    url = host.publish("/i.crt", INTERMEDIATE.der)
    assert fetch(url) == fetch(host.redirect("/from", url)) == INTERMEDIATE.der
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(host.url("/none"))
    assert [request.path for request in host.requests] == ["/i.crt", "/from", "/i.crt", "/none"]
    assert (host.count(), host.count("/i.crt")) == (4, 2)
    assert host.requests[0].headers["host"] == f"127.0.0.1:{host.port}"


def test_headers_can_lie(host: AIAHost) -> None:
    with urllib.request.urlopen(host.publish("/short", b"abcdef", headers={"content-length": "3"})) as reply:
        assert reply.read() == b"abc"
    with pytest.raises(http.client.IncompleteRead):
        fetch(host.publish("/long", b"abcdef", headers={"Content-Length": "30"}))
    with pytest.raises(http.client.BadStatusLine):
        fetch(host.raw("/raw", b"\x00\x01\r\n\r\n"))


def test_slow_and_silent(host: AIAHost) -> None:
    started = time.monotonic()
    assert fetch(host.drip("/drip", b"12345", 0.02)) == b"12345"
    assert time.monotonic() - started > 0.08
    with pytest.raises(socket.timeout):
        fetch(host.silent("/silent"), 0.1)
    with BlackHole() as hole, pytest.raises((socket.timeout, urllib.error.URLError), match="timed out"):
        fetch(hole.url(), 0.1)


@pytest.mark.parametrize("kind", ["chunked", "headers", "body"])
def test_endless(host: AIAHost, kind: Any) -> None:
    url = host.stream_forever("/endless", kind)
    with socket.create_connection(("127.0.0.1", host.port), 10) as client:
        client.sendall(f"GET {url} HTTP/1.1\r\n\r\n".replace(host.url(""), "").encode())
        got = 0
        while got < 5_000_000:
            got += len(client.recv(1 << 20))
        # Left open and unread, so that the fixture closes the host while it is stuck in sending.
        assert host.count("/endless") == 1


def test_many_at_once(host: AIAHost) -> None:
    together = threading.Barrier(32, timeout=10)
    url = host.publish("/i.crt", b"x", delay=0.3)

    def one(_: int) -> bytes:
        together.wait()
        return fetch(url)

    started = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(one, range(32))) == [b"x"] * 32
    assert time.monotonic() - started < 5
    assert host.count("/i.crt") == 32


def test_many_handshakes_at_once() -> None:
    with TLSServer(LEAF, [INTERMEDIATE]) as server, ThreadPoolExecutor(40) as pool:
        assert list(pool.map(lambda _: get(server, trusting(ROOT)), range(80))) == [b"ok"] * 80
    assert (server.connections, server.handshakes) == (80, 80)


def test_closed_refuses_and_can_return() -> None:
    first = AIAHost()
    url = first.publish("/", b"1")
    assert fetch(url) == b"1"
    with socket.create_connection(("127.0.0.1", first.port)) as idle:
        while first.connections < 2:
            time.sleep(0.01)
        first.close()
        assert idle.recv(1) == b""
    for port in (first.port, refusing_port()):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    with AIAHost(first.port) as second:
        second.publish("/", b"2")
        assert fetch(url) == b"2"


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    with TLSServer(LEAF) as server, AIAHost() as aia, SMTPServer(LEAF) as smtp:
        held = [socket.create_connection(("127.0.0.1", each.port)) for each in (server, aia, smtp)]
        while server.connections + aia.connections + smtp.connections < len(held):
            time.sleep(0.01)
    assert threading.active_count() == before
    for each in held:
        each.close()


@needs_openssl
@pytest.mark.parametrize(
    ("trusts", "rejects", "settings"),
    [
        (["SERVER_AUTH"], [], ["-addtrust", "serverAuth"]),
        ([], ["EMAIL_PROTECTION"], ["-addreject", "emailProtection"]),
        (["CLIENT_AUTH"], ["ANY_EXTENDED_KEY_USAGE"], ["-addtrust", "clientAuth", "-addreject", "anyExtendedKeyUsage"]),
    ],
)
def test_trust_settings_are_as_openssl_writes_them(trusts: list[str], rejects: list[str], settings: list[str]) -> None:
    ours = trusted_pem(ROOT, *([getattr(ExtendedKeyUsageOID, name) for name in names] for names in (trusts, rejects)))
    command = ["openssl", "x509", *settings, "-trustout"]
    theirs = subprocess.run(command, input=ROOT.pem, check=True, capture_output=True, text=True).stdout
    assert "".join(ours.split()) == "".join(theirs.split())


def test_in_another_process(tmp_path: Path) -> None:
    Path(tmp_path, "leaf.pem").write_text(LEAF.pem + LEAF.key_pem)
    Path(tmp_path, "chain.pem").write_text(pem(INTERMEDIATE))
    Path(tmp_path, "i.der").write_bytes(INTERMEDIATE.der)
    spec: Spec = {"tls": {"leaf": "leaf.pem", "chain": "chain.pem"}, "aia": {"files": {"/i.crt": "i.der"}}}
    with Served(spec, tmp_path) as served:
        assert served.tls_port
        assert fetch(f"http://127.0.0.1:{served.aia_port}/i.crt") == INTERMEDIATE.der
        url = f"https://localhost:{served.tls_port}/bytes/1000"
        with urllib.request.urlopen(url, context=trusting(ROOT), timeout=10) as reply:
            assert reply.read() == bytes(1000)
        assert served.counts() == {
            "connections": 1,
            "handshakes": 1,
            "aia_connections": 1,
            "requests": {"/i.crt": 1},
        }
