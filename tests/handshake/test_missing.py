"""Servers that send only a part of their chain, as most broken ones do."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

import aia_store
from tests.conftest import (
    CONNECT_ONCE,
    MakeHierarchy,
    get,
    hashed_directory,
    hooked,
    refused,
    run_python,
    trusting,
    whole_package,
)
from tests.support.pki import Authority, Options
from tests.support.servers import AIAHost, TLSServer, Version

NO_ISSUER = "unable to get local issuer certificate"

versions = pytest.mark.parametrize("version", ["1.2", "1.3"])


def levels(count: int) -> list[Options]:
    """The options of so many intermediates."""
    return [{}] * count


@versions
@pytest.mark.parametrize("missing", [1, 2, 3])
def test_one_connection_and_one_fetch_each(
    store: Path, aia: AIAHost, hierarchy: MakeHierarchy, missing: int, version: Version
) -> None:
    pki = hierarchy(*levels(missing))
    with TLSServer(pki.leaf, (), version) as server:
        assert refused(server, trusting(pki.root)) == NO_ISSUER
        assert aia.count() == 0
        with hooked():
            assert get(server, trusting(pki.root)) == b"ok"
        assert (server.connections, server.handshakes) == (2, 1)
    assert [request.path for request in aia.requests] == [f"/{level}.cer" for level in range(missing)]


@versions
@pytest.mark.parametrize("missing", [1, 2, 3])
def test_other_processes_need_no_fetch(
    store: Path, aia: AIAHost, hierarchy: MakeHierarchy, missing: int, version: Version
) -> None:
    pki = hierarchy(*levels(missing))
    with TLSServer(pki.leaf, (), version) as server:
        once = (CONNECT_ONCE, server.port, pki.cafile)
        assert NO_ISSUER in run_python(*once, hook=False).stderr
        assert NO_ISSUER in run_python(*once, env={"AIA_STORE_OFFLINE": "1"}).stderr
        assert run_python(*once).stdout == "ok\n"
        assert aia.count() == missing
        assert run_python(*once).stdout == "ok\n"
        assert run_python(*once, env={"AIA_STORE_OFFLINE": "1"}).stdout == "ok\n"
        assert aia.count() == missing
        aia.close()
        assert run_python(*once).stdout == "ok\n"
        assert server.connections == 6


def test_the_debug_log_shows_each_completion(store: Path, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    accepted, debug = "aia-store: OpenSSL accepts a path of 3 certificates\n", {"AIA_STORE_LOG": "debug"}
    with TLSServer(pki.leaf) as server:
        fetched = run_python(CONNECT_ONCE, server.port, pki.cafile, env=debug).stderr
        from_disk = run_python(CONNECT_ONCE, server.port, pki.cafile, env=debug).stderr
    assert fetched == f"aia-store: fetching {aia.url('/0.cer')}\n{accepted}"
    assert from_disk == accepted


@pytest.mark.parametrize("sent", [[0], [1], [2], [0, 1], [0, 2], [1, 2]], ids=str)
def test_a_part_of_the_chain_is_sent(hook: None, aia: AIAHost, hierarchy: MakeHierarchy, sent: list[int]) -> None:
    pki = hierarchy(*levels(3))
    with TLSServer(pki.leaf, [pki.intermediates[level] for level in sent]) as server:
        assert get(server, trusting(pki.root)) == b"ok"
    assert [request.path for request in aia.requests] == [f"/{level}.cer" for level in range(3) if level not in sent]


def test_many_connections_of_one_context(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    context = trusting(pki.root)
    with TLSServer(pki.leaf) as server:
        for _ in range(5):
            assert get(server, context) == b"ok"
    assert aia.count() == 1
    assert context.get_ca_certs(True) == [pki.root.der]


@whole_package
def test_a_context_made_before_the_hook(store: Path, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    code = """
import ssl, sys, socket
context = ssl.create_default_context(cafile=sys.argv[2])
import aia_store
aia_store.enable()
tcp = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(context.wrap_socket(tcp, server_hostname="localhost").version())
"""
    with TLSServer(pki.leaf) as server:
        done = run_python(code, server.port, pki.cafile, hook=False)
    assert (done.stdout, done.stderr) == ("TLSv1.3\n", "")


def test_complete_is_for_one_context(store: Path, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    context = trusting(pki.root)
    with TLSServer(pki.leaf) as server:
        assert aia_store.complete(context) is context
        assert get(server, context) == b"ok"
        assert refused(server, trusting(pki.root)) == NO_ISSUER


def test_complete_outlasts_disable(store: Path, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    context = aia_store.complete(trusting(pki.root))
    with TLSServer(pki.leaf) as server:
        with hooked():
            pass
        assert get(server, context) == b"ok"


def test_create_default_context_takes_the_same_arguments(store: Path, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    with TLSServer(pki.leaf) as server:
        for context in (
            aia_store.create_default_context(cafile=str(pki.cafile)),
            aia_store.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=pki.root.pem),
        ):
            assert get(server, context) == b"ok"
        assert refused(server, ssl.create_default_context(cafile=pki.cafile)) == NO_ISSUER


@whole_package
@pytest.mark.parametrize(
    "make",
    ["aia_store.complete(ssl.create_default_context(cafile=path))", "aia_store.create_default_context(cafile=path)"],
)
def test_one_context_in_a_program_without_the_hook(store: Path, hierarchy: MakeHierarchy, make: str) -> None:
    pki = hierarchy()
    code = f"""
import aia_store, socket, ssl, sys
path = sys.argv[2]
tcp = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print({make}.wrap_socket(tcp, server_hostname="localhost").version())
"""
    with TLSServer(pki.leaf) as server:
        done = run_python(code, server.port, pki.cafile, hook=False)
    assert (done.stdout, done.stderr) == ("TLSv1.3\n", "")


def test_create_default_context_with_a_hashed_directory(store: Path, hierarchy: MakeHierarchy, tmp_path: Path) -> None:
    """As the first thing of ours that a program does."""
    pki = hierarchy()
    code = """
import aia_store, socket, sys
context = aia_store.create_default_context(capath=sys.argv[2])
tcp = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(context.wrap_socket(tcp, server_hostname="localhost").version())
"""
    with TLSServer(pki.leaf) as server:
        done = run_python(code, server.port, hashed_directory(tmp_path / "roots", pki.root), hook=False)
    assert (done.stdout, done.stderr) == ("TLSv1.3\n", "")


def test_disable_stops(store: Path, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    with TLSServer(pki.leaf) as server:
        with hooked():
            context = trusting(pki.root)
        assert refused(server, context) == NO_ISSUER
        assert refused(server, trusting(pki.root)) == NO_ISSUER
        assert aia.count() == 0
        with hooked():
            assert get(server, context) == b"ok"
            aia_store.disable()
            assert refused(server, trusting(pki.root)) == NO_ISSUER


def test_disable_stops_a_context_in_use(store: Path, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    other = pki.root.intermediate("Another", aia=[aia.url("/root.cer")])
    leaf = other.leaf(aia=[aia.publish("/another.cer", other.der)])
    with TLSServer(pki.leaf) as server, TLSServer(leaf) as second:
        with hooked():
            context = trusting(pki.root)
            assert get(server, context) == b"ok"
        assert refused(second, context) == NO_ISSUER
    assert aia.count("/another.cer") == 0


def by_argument(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(capath=folder)
    return context


def by_environment(_: Path) -> ssl.SSLContext:
    return ssl.create_default_context()


@pytest.mark.parametrize("make", [by_argument, by_environment])
@pytest.mark.parametrize("sends", [[], [0], [0, 1]], ids=["sends none", "sends one", "sends all"])
def test_a_root_in_a_hashed_directory(
    hook: None,
    aia: AIAHost,
    hierarchy: MakeHierarchy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: object,
    sends: list[int],
) -> None:
    pki = hierarchy({}, {})
    folder = hashed_directory(tmp_path / "roots", Authority.root("Another Root"), pki.root)
    monkeypatch.setenv("SSL_CERT_DIR", str(folder) if make is by_environment else "")
    monkeypatch.setenv("SSL_CERT_FILE", "")
    assert callable(make)
    with TLSServer(pki.leaf, [pki.intermediates[level] for level in sends]) as server:
        assert get(server, make(folder)) == b"ok"
    assert aia.count() == 2 - len(sends)


def test_several_hashed_directories(hook: None, hierarchy: MakeHierarchy, tmp_path: Path) -> None:
    pki = hierarchy()
    first = hashed_directory(tmp_path / "first", Authority.root("Another Root"))
    second = hashed_directory(tmp_path / "second", pki.root)
    with TLSServer(pki.leaf) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(capath=f"{first}:{second}")
        assert get(server, context) == b"ok"


@whole_package
def test_the_default_directory_of_a_context_made_before_the_hook(
    store: Path, hierarchy: MakeHierarchy, tmp_path: Path
) -> None:
    pki = hierarchy()
    folder = hashed_directory(tmp_path / "roots", pki.root)
    code = """
import ssl, sys, socket
context = ssl.create_default_context()
import aia_store
aia_store.enable()
tcp = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(context.wrap_socket(tcp, server_hostname="localhost").version())
"""
    with TLSServer(pki.leaf) as server:
        done = run_python(code, server.port, env={"SSL_CERT_DIR": str(folder), "SSL_CERT_FILE": ""}, hook=False)
    assert (done.stdout, done.stderr) == ("TLSv1.3\n", "")


def test_a_root_that_the_context_learns_later(hook: None, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    context = trusting(Authority.root("Another Root"))
    with TLSServer(pki.leaf) as server:
        refused(server, context)
        context.load_verify_locations(cadata=pki.root.pem)
        assert get(server, context) == b"ok"


def test_one_program_knows_the_root_and_another_does_not(hook: None, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    with TLSServer(pki.leaf) as server:
        refused(server, trusting(Authority.root("Another Root")))
        assert get(server, trusting(pki.root)) == b"ok"


def test_a_session_is_resumed(hook: None, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    context = trusting(pki.root)
    session: ssl.SSLSession | None = None
    reused = []
    with TLSServer(pki.leaf, (), "1.2") as server:
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", server.port)) as tcp,
                context.wrap_socket(tcp, server_hostname="localhost", session=session) as tls,
            ):
                session = tls.session
                reused.append(tls.session_reused)
    assert reused == [False, True]
