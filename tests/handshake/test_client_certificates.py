"""For servers that ask for it, context by context, the chains of clients are completed, just as strictly."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

import aia_store
from aia_store.inside import client_certificates as clientside
from aia_store.inside.certificate import Certificate
from aia_store.inside.client_certificates import Allowance
from aia_store.inside.store import Folder, IntermediateStore
from tests.conftest import FLAGS, Hierarchy, MakeHierarchy, get, trusting, whole_package, write_pem
from tests.support.mutual import ACCEPTED, MutualServer, call, client_context
from tests.support.pki import Authority, Leaf, Options
from tests.support.servers import AIAHost, TLSServer, server_context

if TYPE_CHECKING:
    from typing import Unpack  # Python 3.11

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
NO_ISSUER = "unable to get local issuer certificate"
SITE = Authority.root("Site Root").leaf()  # the server's own certificate; the clients here do not look at it

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
version_of = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


@pytest.fixture(autouse=True)
def allowance(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has just begun, with a store of its own."""
    fresh = Allowance(clientside.SECONDS, clientside.LEAST_SECONDS)
    monkeypatch.setattr(clientside, "allowance", fresh)


@pytest.fixture
def clients(hierarchy: MakeHierarchy) -> MakeHierarchy:
    """Make a `Hierarchy` whose leaf is a client's, and in which no certificate expires after those above it."""

    def make(*intermediates: Options, **leaf: Unpack[Options]) -> Hierarchy:
        ending: list[Options] = [{"not_after": timedelta(days=60 + level)} for level in range(len(intermediates))]
        options: list[Options] = [{**end, **given} for end, given in zip(ending, intermediates)]
        usual: Options = {"eku": [CLIENT]}
        return hierarchy(*options, **{**usual, **leaf})

    return make


@pytest.fixture
def pki(clients: MakeHierarchy) -> Hierarchy:
    return clients({})


def plain(root: Authority, flags: int | None = None, *, optional: bool = False) -> ssl.SSLContext:
    """A server's context, as programs make it, for clients below this root."""
    context = server_context(SITE, client_ca=root)
    if flags is not None:
        context.verify_flags = ssl.VerifyFlags(flags)
    if optional:
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def completed(root: Authority, flags: int | None = None, *, optional: bool = False) -> ssl.SSLContext:
    return aia_store.complete(plain(root, flags, optional=optional), client_certificates=True)


def verdict(context: ssl.SSLContext, client: ssl.SSLContext) -> str:
    with MutualServer(context) as server:
        return server.verdict(client)


@flags_of
@version_of
@pytest.mark.parametrize("optional", [False, True], ids=["required", "optional"])
def test_a_clients_chain_is_completed(
    pki: Hierarchy,
    aia: AIAHost,
    monkeypatch: pytest.MonkeyPatch,
    flags: int,
    version: ssl.TLSVersion,
    optional: bool,
) -> None:
    client = client_context(pki.leaf, version=version)
    assert verdict(plain(pki.root, flags, optional=optional), client) == NO_ISSUER
    with MutualServer(completed(pki.root, flags, optional=optional)) as server:
        assert server.verdict(client) == ACCEPTED
        assert server.verdict(client) == ACCEPTED
    assert aia.count() == 1
    monkeypatch.setenv("AIA_STORE_OFFLINE", "1")
    assert verdict(completed(pki.root, flags, optional=optional), client) == ACCEPTED, "from disk"
    assert aia.count() == 1


def test_several_are_missing(clients: MakeHierarchy, aia: AIAHost) -> None:
    pki = clients({}, {}, {})
    assert verdict(completed(pki.root), client_context(pki.leaf)) == ACCEPTED
    assert aia.count() == 3


@version_of
def test_a_server_of_asyncio(pki: Hierarchy, aia: AIAHost, version: ssl.TLSVersion) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"ok")
        writer.close()

    async def serve() -> bytes:
        async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=completed(pki.root)) as server:
            port = server.sockets[0].getsockname()[1]
            return await asyncio.to_thread(call, port, client_context(pki.leaf, version=version))

    assert asyncio.run(serve()) == b"ok"
    assert aia.count() == 1


def test_a_certificate_asked_for_after_the_handshake(pki: Hierarchy, aia: AIAHost) -> None:
    """TLS 1.3 lets a server ask when it likes (RFC 8446, 4.6.2)."""

    class AsksLater(MutualServer):
        def greet(self, tls: ssl.SSLSocket) -> None:
            tls.verify_client_post_handshake()
            tls.sendall(b"?")
            tls.recv(1)
            assert tls.getpeercert(True) == pki.leaf.der

    client = client_context(pki.leaf)
    client.post_handshake_auth = True
    context = completed(pki.root)
    context.post_handshake_auth = True
    with (
        AsksLater(context) as server,
        socket.create_connection(("127.0.0.1", server.port), 30) as tcp,
        client.wrap_socket(tcp) as tls,
    ):
        assert tls.recv(1) == b"?"
        tls.sendall(b"!")
        assert server.outcome() == ACCEPTED
    assert aia.count() == 1


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy calls us for the first context only")
def test_a_context_chosen_by_server_name(pki: Hierarchy, aia: AIAHost) -> None:
    context = plain(Authority.root("Another"))
    chosen = completed(pki.root)

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = chosen

    context.sni_callback = choose
    assert verdict(context, client_context(pki.leaf)) == ACCEPTED
    assert aia.count() == 1


def test_a_context_for_both_sides(clients: MakeHierarchy, aia: AIAHost, tmp_path: Path) -> None:
    pki = clients({}, eku=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS)
    file = write_pem(tmp_path / "site.pem", SITE)
    file.write_text(SITE.key_pem + file.read_text())
    context.load_cert_chain(file)
    context.load_verify_locations(cadata=pki.root.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    aia_store.complete(context, client_certificates=True)
    assert verdict(context, client_context(pki.leaf)) == ACCEPTED
    with TLSServer(pki.leaf) as server:
        assert get(server, context) == b"ok"
    assert aia.count() == 1


def test_a_crowd_of_clients(clients: MakeHierarchy, aia: AIAHost) -> None:
    pki = clients({})
    aia.publish("/0.cer", pki.intermediates[0].der, delay=0.3)
    said: list[bytes] = []
    with MutualServer(completed(pki.root)) as server:
        client = client_context(pki.leaf)
        threads = [threading.Thread(target=lambda: said.append(call(server.port, client))) for _ in range(15)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert said == [b"ok"] * 15
    assert aia.count() == 1


@pytest.mark.usefixtures("hook")
def test_only_a_context_that_asked_for_it(pki: Hierarchy, aia: AIAHost) -> None:
    client = client_context(pki.leaf)
    assert verdict(plain(pki.root), client) == NO_ISSUER
    assert verdict(aia_store.complete(plain(pki.root)), client) == NO_ISSUER
    assert aia.connections == 0
    assert verdict(completed(pki.root), client) == ACCEPTED
    assert verdict(plain(pki.root), client) == NO_ISSUER, "what is known on disk is for those that asked, too"


@pytest.mark.parametrize("variable", ["AIA_STORE_DISABLE", "AIA_STORE_OFFLINE"])
def test_the_administrator_can_forbid_it(
    pki: Hierarchy, aia: AIAHost, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    assert verdict(completed(pki.root), client_context(pki.leaf)) == NO_ISSUER
    assert aia.connections == 0


def test_a_client_that_sends_all_costs_nothing(pki: Hierarchy, aia: AIAHost, store: Path) -> None:
    context = completed(pki.root)
    assert verdict(context, client_context(pki.leaf, *pki.intermediates)) == ACCEPTED
    assert context.get_ca_certs(True) == [pki.root.der]
    assert aia.connections == 0
    assert not store.exists()


def test_a_client_without_a_certificate(pki: Hierarchy) -> None:
    assert verdict(completed(pki.root, optional=True), client_context(None)) == ACCEPTED
    assert "did not return a certificate" in verdict(completed(pki.root), client_context(None))


Case = tuple[list[Options], Options]
EXPIRED = timedelta(days=-1)

#: The intermediates, the leaf's issuer first, and the leaf; and whether plain OpenSSL accepts it from who sends all.
CASES: dict[str, tuple[bool, Case]] = {
    "an EKU for clients": (True, ([{"eku": [CLIENT]}], {})),
    "an EKU for both": (True, ([{"eku": [SERVER, CLIENT]}], {})),
    "a leaf for anything": (True, ([{}], {"eku": None})),
    "names that are permitted": (True, ([{"permitted": ["localhost"]}], {})),
    "path lengths that suffice": (True, ([{"path_length": 0}, {"path_length": 1}], {})),
    "an RSA key": (True, ([{"key": "rsa"}], {"key": "rsa"})),
    "an Ed25519 key": (True, ([{}], {"key": "ed25519"})),
    "an EKU for servers": (False, ([{"eku": [SERVER]}], {})),
    "an EKU for servers further up": (False, ([{}, {"eku": [SERVER]}], {})),
    "a leaf for servers": (False, ([{}], {"eku": [SERVER]})),
    "names that are not permitted": (False, ([{"permitted": ["example.com"]}], {})),
    "names that are excluded": (False, ([{"excluded": ["localhost"]}], {})),
    "names that are not permitted further up": (False, ([{}, {"permitted": ["example.com"]}], {})),
    "an expired intermediate": (False, ([{"not_after": EXPIRED}], {})),
    "an expired leaf": (False, ([{}], {"not_after": EXPIRED})),
    "no CA": (False, ([{"ca": False}], {})),
    "no keyCertSign": (False, ([{"no_cert_sign": True}], {})),
    "a path that is too long": (False, ([{}, {"path_length": 0}], {})),
    "a forged signature": (False, ([{}], {"signed_by": SITE.key})),
}


@flags_of
@pytest.mark.parametrize(("accepts", "case"), CASES.values(), ids=CASES)
def test_what_is_accepted_is_what_openssl_accepts_from_a_client_that_sends_all(
    clients: MakeHierarchy, flags: int, accepts: bool, case: Case
) -> None:
    intermediates, leaf = case
    pki = clients(*intermediates, **leaf)
    everything = verdict(plain(pki.root, flags), client_context(pki.leaf, *pki.intermediates))
    assert (everything == ACCEPTED) is accepts
    context = completed(pki.root, flags)
    assert (verdict(context, client_context(pki.leaf)) == ACCEPTED) is accepts
    assert context.get_ca_certs(True) == [pki.root.der]
    # From clients that send everything, even if it is wrong, with what was learned meanwhile.
    assert verdict(context, client_context(pki.leaf, *pki.intermediates)) == everything


@flags_of
def test_another_root_refuses(pki: Hierarchy, flags: int) -> None:
    assert verdict(completed(pki.root, flags), client_context(pki.leaf)) == ACCEPTED
    context = completed(Authority.root("Another"), flags)
    assert verdict(context, client_context(pki.leaf)) == NO_ISSUER
    assert len(context.get_ca_certs()) == 1


@flags_of
def test_what_was_completed_makes_no_anchor_for_a_chosen_context(clients: MakeHierarchy, flags: int) -> None:
    """A connection that an SNI callback brings keeps the flags that it began with, which may be other ones."""
    pki = clients({}, {"permitted": ["localhost"]})
    issuer = pki.intermediates[0]
    outside = issuer.leaf("outside.example", eku=[CLIENT])
    chosen = completed(pki.root, FLAGS["flags of 3.11"])
    verdict(chosen, client_context(pki.leaf))
    context = plain(Authority.root("Another"), flags)

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = chosen

    context.sni_callback = choose
    assert verdict(context, client_context(outside, *pki.intermediates)) == "permitted subtree violation"
    assert verdict(context, client_context(outside)) != ACCEPTED


@flags_of
def test_an_intermediate_that_outlives_its_root(clients: MakeHierarchy, flags: int) -> None:
    """It is no anchor, and so it need not be fit to be one."""
    pki = clients({"not_after": timedelta(days=9_000)})
    context = completed(pki.root, flags)
    assert verdict(context, client_context(pki.leaf, *pki.intermediates)) == ACCEPTED
    assert verdict(context, client_context(pki.leaf)) == ACCEPTED


@whole_package
def test_what_is_learned_of_clients_is_kept_but_not_exported_unless_servers_have_it_too(
    clients: MakeHierarchy, store: Path
) -> None:
    from aia_store.manager.export_rules import Export

    learned = []
    for eku in ([CLIENT], [CLIENT, SERVER]):
        pki = clients({"eku": eku})
        assert verdict(completed(pki.root), client_context(pki.leaf)) == ACCEPTED
        kept = IntermediateStore([Folder(str(store))])
        assert pki.intermediates[0].der in [c.der for c in kept.find(Certificate(pki.intermediates[0].der).subject_key)]
        export = Export([Certificate(pki.root.der)], kept)
        learned.append(export.objection(Certificate(pki.intermediates[0].der)))
    assert learned == ["OpenSSL says: unsuitable certificate purpose", None]


def test_a_reply_that_is_useless_for_a_client_is_fetched_again_for_a_server(
    clients: MakeHierarchy, aia: AIAHost
) -> None:
    pki = clients({}, eku=[SERVER])
    assert verdict(completed(pki.root), client_context(pki.leaf)) == NO_ISSUER
    with TLSServer(pki.leaf) as server:
        assert get(server, aia_store.complete(trusting(pki.root))) == b"ok"
    assert aia.count("/0.cer") == 2


# What a hostile client can try.


def stranger(*urls: str) -> Leaf:
    """A certificate that anybody can make: its issuer is unknown."""
    return Authority.root("Stranger").intermediate("Nobody knows it").leaf(eku=[CLIENT], aia=urls)


def test_a_url_of_the_servers_own_network_is_not_fetched(
    pki: Hierarchy, aia: AIAHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIA_STORE_ALLOWED_NETWORKS")
    assert verdict(completed(pki.root), client_context(pki.leaf)) == NO_ISSUER
    assert aia.connections == 0


def test_a_failure_is_remembered(pki: Hierarchy, aia: AIAHost) -> None:
    gone, rubbish = stranger(aia.url("/gone.cer")), stranger(aia.publish("/rubbish.cer", b"rubbish"))
    for _ in range(2):
        for leaf in (gone, rubbish):
            assert verdict(completed(pki.root), client_context(leaf)) == NO_ISSUER
    assert aia.count() == 2


def test_many_strangers_cause_few_requests(pki: Hierarchy, aia: AIAHost, store: Path) -> None:
    most = int(clientside.SECONDS / clientside.LEAST_SECONDS)
    with MutualServer(completed(pki.root)) as server:
        for number in range(2 * most):
            assert server.verdict(client_context(stranger(aia.url(f"/{number}")))) == NO_ISSUER
        assert most <= aia.count() <= most + 4
        assert not list(store.glob("certificates/**/*.pem"))
        assert server.verdict(client_context(pki.leaf, *pki.intermediates)) == ACCEPTED


def test_a_crowd_of_strangers_shares_one_allowance(pki: Hierarchy, aia: AIAHost) -> None:
    most = int(clientside.SECONDS / clientside.LEAST_SECONDS)
    strangers = [
        client_context(stranger(aia.publish(f"/{number}", b"rubbish", delay=0.5))) for number in range(2 * most)
    ]
    with MutualServer(completed(pki.root)) as server:
        threads = [threading.Thread(target=call, args=(server.port, client)) for client in strangers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 1 < aia.count() <= most + 4


def test_strangers_delay_a_server_for_seconds_only(pki: Hierarchy, aia: AIAHost) -> None:
    with MutualServer(completed(pki.root)) as server:
        started = time.monotonic()
        urls = [aia.silent(f"/{number}") for number in range(10)]
        for url in urls:
            assert server.verdict(client_context(stranger(url))) == NO_ISSUER
        assert time.monotonic() - started < 2 * clientside.SECONDS + 2, "the last one may overdraw it"
    assert aia.count() <= 2
