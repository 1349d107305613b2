"""AIASession does what the class of that name in `aia` did, for hosts that send their leaf alone."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import subprocess
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.error import URLError

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

import aia_store
from aia_store import AIADownloadError, AIAError, AIASchemeError, AIASession, DownloadError, InvalidCAError
from aia_store.inside.rehearsal import handshake_message
from aia_store.library import peer
from tests.conftest import Hierarchy, MakeHierarchy, run_python, write_pem
from tests.session.conftest import host_of
from tests.support.dead import refusing_port
from tests.support.listener import Listener
from tests.support.pki import Authority, Leaf, pem, pem_blocks, pkcs7
from tests.support.servers import AIAHost, BlackHole, TLSServer
from tests.support.tls import TLSListener
from tests.support.wire import read_request, response_head


def test_the_errors_have_the_names_and_bases_that_programs_catch() -> None:
    bases = {
        DownloadError: (Exception,),
        AIAError: (Exception,),
        AIASchemeError: (AIAError,),
        AIADownloadError: (AIAError, DownloadError),
        InvalidCAError: (AIAError,),
    }
    assert {error: error.__bases__ for error in bases} == bases


def test_importing_the_package_imports_nothing_of_this() -> None:
    done = run_python(
        "import aia_store, sys; print([name for name in sys.modules if 'aia_store.' in name])", hook=False
    )
    assert done.stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    for name in aia_store.__all__:
        assert getattr(aia_store, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'AIASesion'"):
        _ = aia_store.AIASesion  # type: ignore[attr-defined]


def test_get_host_cert_is_the_leaf_whatever_it_is(server: TLSServer, pki: Hierarchy) -> None:
    assert AIASession().get_host_cert(host_of(server)) == pki.leaf.der
    stranger = Authority.root("Stranger").leaf(not_after=timedelta(hours=-1))
    with TLSServer(stranger) as other:
        assert AIASession().get_host_cert(host_of(other)) == stranger.der


def test_get_host_cert_of_a_server_that_wants_a_certificate_of_ours(pki: Hierarchy) -> None:
    with TLSServer(pki.leaf, [pki.intermediates[0]], "1.2", client_ca=Authority.root("Clients")) as server:
        assert AIASession().get_host_cert(host_of(server)) == pki.leaf.der


def test_aia_chase_goes_from_the_leaf_to_the_root(server: TLSServer, pki: Hierarchy) -> None:
    chain = AIASession().aia_chase(host_of(server))
    assert next(chain) == pki.leaf.der
    assert list(chain) == [pki.intermediates[0].der, pki.root.der]


def test_several_intermediates_are_found(
    pki: Hierarchy, hierarchy: MakeHierarchy, aia: AIAHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = hierarchy({}, {}, {})
    monkeypatch.setenv("AIA_STORE_ROOTS", str(deep.cafile))
    with TLSServer(deep.leaf) as server:
        chain = list(AIASession().aia_chase(host_of(server)))
    assert chain == [deep.leaf.der, *(authority.der for authority in deep.intermediates), deep.root.der]


def test_cadata_leaves_the_leaf_out_and_ends_with_the_root(server: TLSServer, pki: Hierarchy) -> None:
    session = AIASession()
    cadata = session.cadata_from_host(host_of(server))
    assert cadata == pem(pki.intermediates[0], pki.root)
    assert session.cadata_from_url(f"https://somebody:secret@{host_of(server)}/page?query#part") == cadata


def test_a_host_that_is_right_needs_no_fetch(pki: Hierarchy, aia: AIAHost) -> None:
    with TLSServer(pki.leaf, [pki.intermediates[0]]) as server:
        assert AIASession().cadata_from_host(host_of(server)) == pem(pki.intermediates[0], pki.root)
    assert aia.count() == 0


def test_what_was_learned_is_on_disk_for_every_other_session_and_program(server: TLSServer, aia: AIAHost) -> None:
    session = AIASession()
    for _ in range(3):
        session.cadata_from_host(host_of(server))
    assert (server.connections, aia.count()) == (1, 1)
    AIASession().cadata_from_host(host_of(server))
    code = "from aia_store import AIASession\nprint(len(AIASession().cadata_from_host(sys.argv[1])))"
    assert int(run_python("import sys\n" + code, host_of(server), hook=False).stdout) > 1000
    assert aia.count() == 1


def test_no_program_named_openssl_is_needed(server: TLSServer, pki: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    session = AIASession()
    session.validate_certificate_chain(list(session.aia_chase(host_of(server))))
    assert aia_store.openssl_get_cert_info(pki.leaf.der)["subject"] == "CN=localhost"


@pytest.mark.parametrize(
    "written", ["localhost:{}", "127.0.0.1:{}", "https://localhost:{}", "https://localhost:{}/page"]
)
def test_a_host_is_written_as_people_do(server: TLSServer, pki: Hierarchy, written: str) -> None:
    assert AIASession().get_host_cert(written.format(server.port)) == pki.leaf.der


def test_an_ipv6_address_needs_no_brackets_where_there_is_no_port() -> None:
    assert [peer.target(host) for host in ("::1", "[::1]", "[::1]:8443")] == [("::1", 443), ("::1", 443), ("::1", 8443)]


def test_ipv6(pki: Hierarchy, hierarchy: MakeHierarchy) -> None:
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = listening.getsockname()[1]
    leaf = pki.intermediates[0].leaf("::1", aia=pki.leaf.options["aia"])
    with listening, TLSServer(leaf) as server:

        def serve() -> None:
            for _ in range(2):
                with listening.accept()[0] as connection, contextlib.suppress(OSError):
                    server.serve(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        context = AIASession().ssl_context_from_host(f"[::1]:{port}")
        with urllib.request.urlopen(f"https://[::1]:{port}/", timeout=30, context=context) as response:
            assert response.read() == b"ok"
        thread.join(30)


@pytest.mark.parametrize(
    "host", ["", "a b", "host:port", "host:0", "ftp://host", "[::1", "a:b:c", f"{'x' * 64}.example"]
)
def test_what_is_no_host_is_reported(pki: Hierarchy, host: str) -> None:
    with pytest.raises(AIAError, match="is not a host; write HOST, HOST:PORT or an https URL"):
        AIASession().get_host_cert(host)


class PlainHTTP(Listener):
    """Speaks no TLS, and says so."""

    def serve(self, connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(response_head(400, {"Connection": "close"}))


def test_hosts_that_cannot_be_reached_raise_what_sockets_raise(pki: Hierarchy) -> None:
    session = AIASession(timeout=0.3)
    with pytest.raises(ConnectionRefusedError):
        session.ssl_context_from_host(f"127.0.0.1:{refusing_port()}")
    with pytest.raises(socket.gaierror):
        session.ssl_context_from_host("nobody.invalid")
    with PlainHTTP() as plain, pytest.raises(ssl.SSLError):
        session.ssl_context_from_host(f"127.0.0.1:{plain.port}")
    with BlackHole() as hole, pytest.raises(TimeoutError):
        session.ssl_context_from_host(f"127.0.0.1:{hole.port}")


class Says(Listener):
    """Answers the first words of a TLS 1.2 client with these bytes."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        connection.recv(16384)
        connection.sendall(self._reply)
        connection.recv(16384)


def flight(certificates: bytes) -> bytes:
    """What a TLS 1.2 server says first, in one record, with this certificate list in its Certificate message."""
    hello = b"\x03\x03" + bytes(32) + b"\x00" + b"\xc0\x2b" + b"\x00" + b"\x00\x05\xff\x01\x00\x01\x00"
    said = handshake_message(2, hello) + handshake_message(11, certificates) + handshake_message(14, b"")
    return b"\x16\x03\x03" + len(said).to_bytes(2, "big") + said


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (flight(b"\x00\x00\x0a\x00\x00\x07rubbish"), AIAError),
        (flight(b"\x00\x00\x00"), ssl.SSLError),
        (flight(b"\xff\xff\xff\x00\x00\x07rubbish"), ssl.SSLError),
    ],
    ids=["a certificate that is none", "no certificate", "a message that is cut short"],
)
def test_servers_that_send_rubbish(pki: Hierarchy, reply: bytes, error: type[Exception]) -> None:
    with Says(reply) as server, pytest.raises(error):
        AIASession().cadata_from_host(f"127.0.0.1:{server.port}")


@pytest.mark.parametrize("form", ["DER", "PEM", "PKCS#7"])
def test_issuers_come_in_every_format(server: TLSServer, pki: Hierarchy, aia: AIAHost, form: str) -> None:
    issuer = pki.intermediates[0]
    other = Authority.root("Another").intermediate("Another")
    bodies = {"DER": issuer.der, "PEM": pem(issuer).encode(), "PKCS#7": pkcs7(other.der, issuer.der)}
    aia.publish("/0.cer", bodies[form])
    assert AIASession().cadata_from_host(host_of(server)) == pem(issuer, pki.root)


def test_redirects_and_second_urls_are_followed(pki: Hierarchy, aia: AIAHost) -> None:
    urls = [aia.url("/gone"), "ldap://directory/", aia.redirect("/moved", aia.url("/0.cer"))]
    with TLSServer(pki.intermediates[0].leaf(aia=urls)) as server:
        assert AIASession().cadata_from_host(host_of(server)) == pem(pki.intermediates[0], pki.root)


def test_why_there_is_no_path(pki: Hierarchy, aia: AIAHost) -> None:
    issuer, stranger = pki.intermediates[0], Authority.root("Stranger")
    url = aia.publish("/stranger.cer", stranger.intermediate("Strange CA").der)
    cases = [
        (stranger.leaf(aia=[url]), InvalidCAError, "no path to a trust anchor was found"),
        (stranger.leaf(), InvalidCAError, "no path to a trust anchor was found"),
        (issuer.leaf(aia=[aia.url("/gone")]), AIADownloadError, "/gone cannot be fetched: status 404"),
        (issuer.leaf(aia=["ldap://directory/"]), AIASchemeError, "only plain http is"),
        (issuer.leaf(not_after=timedelta(hours=-1)), ssl.SSLError, "certificate has expired"),
        (issuer.leaf(not_before=timedelta(hours=1)), ssl.SSLError, "certificate is not yet valid"),
    ]
    for leaf, error, message in cases:
        with TLSServer(leaf) as server, pytest.raises(error, match=message):
            AIASession().ssl_context_from_host(host_of(server))
    own = Authority.root("localhost")
    self_signed = own.cross_sign(own)  # the same name, the same key
    with TLSServer(own.leaf(), [self_signed]) as server, pytest.raises(InvalidCAError):
        AIASession().cadata_from_host(host_of(server))


def test_a_url_that_failed_pauses_and_a_message_says_so(pki: Hierarchy, aia: AIAHost) -> None:
    with TLSServer(pki.intermediates[0].leaf(aia=[aia.url("/gone")])) as server:
        for message in ("status 404", "it failed a short while ago"):
            with pytest.raises(AIADownloadError, match=message):
                AIASession().cadata_from_host(host_of(server))
    assert aia.count() == 1


def test_offline_nothing_is_fetched(server: TLSServer, aia: AIAHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIA_STORE_OFFLINE", "1")
    with pytest.raises(InvalidCAError):
        AIASession().cadata_from_host(host_of(server))
    assert aia.count() == 0


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [("AIA_STORE_ROOTS", "/nowhere.pem", "is not a file"), ("AIA_STORE_OFFLINE", "perhaps", "must be true or false")],
)
def test_settings_that_cannot_be_used_are_reported_in_one_line(
    server: TLSServer, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(AIAError, match=message):
        AIASession().cadata_from_host(host_of(server))


def test_validate_certificate_chain_is_openssls_verdict(pki: Hierarchy) -> None:
    session, issuer = AIASession(), pki.intermediates[0]
    chain = [pki.leaf.der, issuer.der, pki.root.der]
    session.validate_certificate_chain(chain)
    session.validate_certificate_chain([issuer.leaf().der, *chain[1:]])
    for wrong in (
        [chain[0], chain[2]],
        [pki.leaf.der, issuer.der, Authority.root().der],
        [issuer.leaf(not_after=timedelta(hours=-1)).der, *chain[1:]],
        [pki.leaf.der, issuer.der],  # its last is no root
        [b"rubbish", *chain[1:]],
        [*chain[:2], b"rubbish"],
        [],
    ):
        with pytest.raises(ssl.SSLError):
            session.validate_certificate_chain(wrong)


def test_download_and_urlopen(pki: Hierarchy, aia: AIAHost) -> None:
    session = AIASession("Some Program/1.0")
    with TLSServer(pki.leaf, reply=bytes(300_000)) as server:
        assert session.download(server.url) == bytes(300_000)
        with session.urlopen(server.url, timeout=20) as response:
            assert (response.status, len(response.read())) == (200, 300_000)
        request = urllib.request.Request(server.url, headers={"X-Some": "header"})
        with session.urlopen(request, b"posted") as response:
            assert response.status == 200
        assert server.connections == 3  # one each: the chain is completed within
    assert aia.count() == 1


class Moved(TLSListener):
    """Sends everybody elsewhere."""

    def __init__(self, leaf: Leaf, location: str) -> None:
        self._location = location
        super().__init__(leaf)

    def serve(self, connection: socket.socket) -> None:
        with self.handshake(connection) as tls:
            read_request(tls)
            tls.sendall(response_head(302, {"Location": self._location, "Content-Length": "0", "Connection": "close"}))


def test_pages_that_moved_to_a_host_under_another_root_are_followed(pki: Hierarchy, aia: AIAHost) -> None:
    other = Authority.root("Other Root")
    ca = other.intermediate("Other CA")
    write_pem(pki.cafile, pki.root, other)
    leaf = ca.leaf(aia=[aia.publish("/other.cer", ca.der)])
    with TLSServer(leaf, reply=b"here") as there, Moved(pki.leaf, there.url) as server:
        assert AIASession().download(f"https://localhost:{server.port}/") == b"here"


def test_a_page_over_plain_http_is_downloaded_as_by_urllib(pki: Hierarchy, aia: AIAHost) -> None:
    assert AIASession("Some Program/1.0").download(aia.publish("/page", b"plain")) == b"plain"
    assert aia.requests[0].headers["user-agent"] == "Some Program/1.0"


def test_download_raises_unless_the_status_is_200(pki: Hierarchy, aia: AIAHost) -> None:
    session = AIASession()
    with pytest.raises(DownloadError, match="HTTP 404"):
        session.download(aia.url("/gone"))
    with pytest.raises(DownloadError, match="HTTP 204"):
        session.download(aia.publish("/nothing", b"", 204))


def test_urlopen_takes_pages_only(pki: Hierarchy) -> None:
    for url in ("file:///etc/passwd", "ftp://localhost/", "data:,text", "no url"):
        with pytest.raises(AIASchemeError):
            AIASession().urlopen(url)


def test_urlopen_of_a_chain_that_leads_nowhere_raises_an_error_of_this_library(pki: Hierarchy, aia: AIAHost) -> None:
    with TLSServer(Authority.root("Stranger").leaf()) as server, pytest.raises(InvalidCAError):
        AIASession().urlopen(server.url)
    elsewhere = pki.intermediates[0].leaf("elsewhere.example", aia=pki.leaf.options["aia"])
    with TLSServer(elsewhere) as server, pytest.raises(URLError, match="Hostname mismatch"):
        AIASession().urlopen(server.url)


def test_a_session_is_shared_by_threads(pki: Hierarchy, aia: AIAHost) -> None:
    root, leaves = pki.root, []
    for number in range(6):
        authority = root.intermediate(f"CA {number}")
        leaves.append(authority.leaf(aia=[aia.publish(f"/ca-{number}.cer", authority.der, delay=0.05)]))
    servers = [TLSServer(leaf) for leaf in leaves]
    session = AIASession()
    try:
        with ThreadPoolExecutor(16) as pool:
            pages = list(pool.map(session.download, [server.url for server in servers] * 4))
            texts = list(pool.map(session.cadata_from_host, [host_of(server) for server in servers] * 4))
    finally:
        for server in servers:
            server.close()
    assert pages == [b"ok"] * 24
    assert [pem_blocks(text)[-1] for text in texts] == [root.der] * 24
    assert [aia.count(f"/ca-{number}.cer") for number in range(6)] == [1] * 6


ODD_NAMES = [
    x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"), x509.NameAttribute(NameOID.COMMON_NAME, "Zoë, Ltd.")]),
    x509.Name(
        [
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Two"),
                    x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "In one"),
                ]
            ),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@example.com")]),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.SERIAL_NUMBER, "17")]),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "example")]),
            x509.RelativeDistinguishedName([x509.NameAttribute(x509.ObjectIdentifier("1.3.6.1.4.1.99999.7"), "own")]),
        ]
    ),
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_openssl_get_cert_info_says_what_the_openssl_command_says(name: x509.Name) -> None:
    if not any(os.access(os.path.join(folder, "openssl"), os.X_OK) for folder in os.get_exec_path()):
        pytest.skip("the openssl command is not here")
    urls = ["http://ca.example/1.cer", "ldap://ca.example/cn=1"]
    leaf = Authority.root(name).leaf(subject=name, aia=urls)
    command = ["openssl", "x509", "-inform", "DER", "-noout", "-issuer", "-nameopt", "utf8,sep_comma_plus"]
    said = subprocess.run(command, input=leaf.der, capture_output=True, check=True).stdout.decode()
    printed = re.fullmatch(r"issuer=(.*)\n", said)
    assert printed is not None
    info = aia_store.openssl_get_cert_info(leaf.der)
    assert info == {"issuer": printed[1], "subject": printed[1], "aia_ca_issuers": urls}


def test_openssl_get_cert_info_shows_nothing_that_steers_a_terminal() -> None:
    leaf = Authority.root().leaf(subject="red\x1b[31m\nsubject=CN=other")
    assert aia_store.openssl_get_cert_info(leaf.der)["subject"] == "CN=red�[31m�subject=CN=other"
    for rubbish in (b"", b"rubbish", leaf.der[:200]):
        with pytest.raises(AIAError, match="cannot be read"):
            aia_store.openssl_get_cert_info(rubbish)
