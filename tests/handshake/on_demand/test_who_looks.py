"""A handshake loads what its chain names; code that looks at a context finds all of it."""

from __future__ import annotations

import gc
import socket
import ssl
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aia_store
from aia_store.inside import patch
from aia_store.inside.cafile import CAFile
from aia_store.inside.certificate import MOST_SENT
from aia_store.inside.contexts import Terms
from aia_store.inside.rehearsal import Question, refusal_in
from aia_store.inside.trusted import Given
from tests.conftest import MakeHierarchy, get, hashed_directory, refused, run_python, write_pem
from tests.handshake.on_demand.conftest import Trust
from tests.support.ca_files import large_ca_file, loaded, loaded_ders
from tests.support.pki import Authority, pem
from tests.support.servers import AIAHost, TLSServer

Look = Callable[[ssl.SSLContext], object]


def context_of(cafile: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cafile)


def test_a_handshake_loads_nothing_into_the_programs_context(hook: None, trust: Trust) -> None:
    context = context_of(trust.cafile)
    assert loaded(context) == 0
    for server in (*trust.servers, *trust.servers):
        assert get(server, context) == b"ok"
        assert loaded(context) == 0


def test_the_default_paths_are_loaded_on_demand(hook: None, trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(trust.cafile))
    context = ssl.create_default_context()
    assert loaded(context) == 0
    assert get(trust.servers[0], context) == b"ok"
    assert loaded(context) == 0


def test_a_chain_is_completed_up_to_a_root_that_is_loaded_on_demand(
    hook: None, hierarchy: MakeHierarchy, tmp_path: Path
) -> None:
    pki = hierarchy({}, {})
    context = context_of(large_ca_file(tmp_path / "large.pem", Authority.root("Another"), pki.root))
    with TLSServer(pki.leaf) as server:
        assert get(server, context) == b"ok"
    assert loaded(context) == 0


def test_a_server_that_nothing_in_the_file_verifies_is_still_refused(
    hook: None, hierarchy: MakeHierarchy, tmp_path: Path
) -> None:
    pki = hierarchy()
    others = [Authority.root("Another"), Authority.root("One More")]
    context = context_of(large_ca_file(tmp_path / "large.pem", *others))
    with TLSServer(pki.leaf, pki.intermediates) as server:
        assert refused(server, context) == "unable to get local issuer certificate"
        assert loaded(context) == 0


def test_a_refused_chain_loads_nothing_that_it_does_not_name(
    hook: None, hierarchy: MakeHierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []
    put_ours = patch._put_ours

    def note_and_put(*arguments: Any) -> None:
        held.append(loaded(arguments[-1]))
        put_ours(*arguments)

    monkeypatch.setattr(patch, "_put_ours", note_and_put)
    pki = hierarchy()
    namesake = Authority.root("Test Root")
    context = context_of(large_ca_file(tmp_path / "large.pem", Authority.root("Another"), namesake))
    with TLSServer(pki.leaf, pki.intermediates) as server:
        refused(server, context)
    assert held == [1]


def test_a_chain_that_is_too_long_for_us_is_verified_against_all(
    hook: None, aia: AIAHost, hierarchy: MakeHierarchy, tmp_path: Path
) -> None:
    pki = hierarchy()
    context = context_of(large_ca_file(tmp_path / "large.pem", Authority.root("Another"), pki.root))
    with TLSServer(pki.intermediates[0].leaf(), [pki.leaf] * MOST_SENT + pki.intermediates) as server:
        assert get(server, context) == b"ok"
    assert aia.count() == 0


@pytest.mark.parametrize("place", ["file", "directory"])
def test_a_chain_that_only_openssl_can_read_is_verified_against_all(
    hierarchy: MakeHierarchy, tmp_path: Path, place: str
) -> None:
    """OpenSSL also reads BER: here, a certificate without a length in front."""
    pki = hierarchy()
    der = pki.intermediates[0].der
    sent = [pki.leaf.der, b"\x30\x80" + der[4:] + b"\0\0"]
    roots = [Authority.root("Another"), pki.root]
    cafile = large_ca_file(tmp_path / "large.pem", *roots[: 2 if place == "file" else 1])
    context, given, terms = context_of(cafile), Given(is_complete=True), Terms(0, None)
    given.deferred = (CAFile(cafile.read_bytes()),)
    given.add(None, hashed_directory(tmp_path / "directory", *(roots if place == "directory" else [])))
    refusing = Question(sent, terms, context, given).refusing_context()
    assert refusal_in(refusing, terms, sent) is None


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda context: context.get_ca_certs(), id="get_ca_certs"),
        pytest.param(lambda context: context.get_ca_certs(binary_form=True), id="get_ca_certs in DER"),
        pytest.param(lambda context: context.cert_store_stats(), id="cert_store_stats"),
    ],
)
def test_whoever_looks_sees_all(hook: None, trust: Trust, monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    seen = look(context_of(trust.cafile))
    monkeypatch.setenv("AIA_STORE_TRUST_ON_DEMAND", "0")
    assert seen == look(context_of(trust.cafile))
    assert seen


def test_after_a_handshake_too(hook: None, trust: Trust) -> None:
    context = context_of(trust.cafile)
    assert get(trust.servers[1], context) == b"ok"
    assert context.cert_store_stats() == {"x509": 2, "crl": 0, "x509_ca": 2}
    assert get(trust.servers[0], context) == b"ok"


def test_a_connection_that_was_made_when_completion_was_off_has_all(store: Path, hook: None, trust: Trust) -> None:
    context = context_of(trust.cafile)
    aia_store.disable()
    assert get(trust.servers[0], context) == b"ok"
    assert loaded(context) == 2
    assert loaded(context_of(trust.cafile)) == 2, "nothing is put off any more"


def test_a_connection_that_waits_while_completion_goes_off_gets_what_it_needs(hook: None, trust: Trust) -> None:
    context = context_of(trust.cafile)
    tcp = socket.create_connection(("127.0.0.1", trust.servers[0].port), 30)
    with context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False) as tls:
        aia_store.disable()
        tls.do_handshake()


def test_what_verifies_nothing_has_all(hook: None, trust: Trust) -> None:
    context = context_of(trust.cafile)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    assert get(trust.servers[0], context) == b"ok"
    assert loaded(context) == 2
    context.verify_mode = ssl.CERT_REQUIRED
    assert get(trust.servers[0], context) == b"ok"


class Wrapper:
    """Another library's own connection, which hides the C object."""

    def __init__(self, context: Any, server: TLSServer) -> None:
        self.tcp = socket.create_connection(("127.0.0.1", server.port), 30)
        self.hidden = context._wrap_socket(self.tcp, False, "localhost", owner=self)


class Bare:
    """No owner at all: OpenSSL's callback then gets the socket."""

    def __init__(self, context: Any, server: TLSServer) -> None:
        self.tcp = socket.create_connection(("127.0.0.1", server.port), 30)
        self.hidden = context._wrap_socket(self.tcp, False, "localhost")


class Taken:
    """The C object was taken from the connection to which it belongs."""

    def __init__(self, context: Any, server: TLSServer) -> None:
        self.tcp = socket.create_connection(("127.0.0.1", server.port), 30)
        self.owner = context.wrap_socket(self.tcp, server_hostname="localhost", do_handshake_on_connect=False)
        self.hidden, self.owner._sslobj = self.owner._sslobj, None
        self.tcp = self.owner


@pytest.mark.parametrize("kind", [Wrapper, Bare, Taken])
def test_a_connection_whose_c_object_is_out_of_reach_has_all(
    hook: None, trust: Trust, kind: Callable[[ssl.SSLContext, TLSServer], Any]
) -> None:
    context = context_of(trust.cafile)
    assert get(trust.servers[0], context) == b"ok"
    connection = kind(context, trust.servers[1])
    with connection.tcp:
        connection.hidden.do_handshake()
        assert connection.hidden.context is context
    assert loaded(context) == len(trust.roots)


def test_a_servers_context_loads_at_once(hook: None, trust: Trust) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(trust.cafile)
    assert loaded(context) == 2
    if sys.version_info >= (3, 10):  # before, that one is a context of both sides
        assert loaded(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=trust.cafile)) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_context_of_both_sides_loads_when_it_serves(hook: None, trust: Trust) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS)
    context.load_verify_locations(trust.cafile)
    context.verify_mode = ssl.CERT_REQUIRED
    assert get(trust.servers[0], context) == b"ok"
    assert loaded(context) == 0
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert loaded(context) == 2


@pytest.mark.parametrize("before", [True, False], ids=["verified before", "accepted everybody before"])
def test_a_context_that_a_connection_is_moved_to_trusts_the_same(hook: None, trust: Trust, before: bool) -> None:
    other = context_of(trust.cafile)
    context = ssl.create_default_context() if before else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not before:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", trust.servers[0].port), 30) as tcp,
        context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False) as tls,
    ):
        tls.context = other
        assert tls.context is other
        tls.do_handshake()
        assert tls.context is other
    assert loaded(other) == (0 if before else 2)


def test_a_program_that_looks_at_messages_itself(hook: None, trust: Trust) -> None:
    context = context_of(trust.cafile)
    seen: list[object] = []
    context._msg_callback = lambda *message: seen.append(message)  # type: ignore[attr-defined]
    assert get(trust.servers[0], context) == b"ok"
    assert seen


def test_a_directory_beside_the_file(hook: None, trust: Trust, tmp_path: Path) -> None:
    third = Authority.root("Root Three")
    context = ssl.create_default_context(cafile=trust.cafile, capath=hashed_directory(tmp_path / "hashed", third))
    with TLSServer(third.leaf()) as server:
        assert get(server, context) == b"ok"
    assert loaded_ders(context) <= {third.der}
    assert get(trust.servers[0], context) == b"ok"
    assert loaded_ders(context) <= {third.der}


@pytest.mark.parametrize("name", [".1", ".0"], ids=["after a gap", "in DER"])
def test_what_openssl_finds_in_a_default_directory_only(
    hook: None, trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The store loader of OpenSSL 3.0 takes more from SSL_CERT_DIR than from a `capath`; that of 3.5 does not."""
    third = Authority.root("Root Three")
    folder = hashed_directory(tmp_path / "hashed", third)
    (link,) = folder.glob("*.0")
    link.unlink()
    link.with_suffix(name).write_bytes(third.der if name == ".0" else pem(third).encode())
    monkeypatch.setenv("SSL_CERT_FILE", str(trust.cafile))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    seen = []
    with TLSServer(third.leaf()) as server:
        for on_demand in "110":
            monkeypatch.setenv("AIA_STORE_TRUST_ON_DEMAND", on_demand)
            try:
                seen.append(get(server, ssl.create_default_context()))
            except ssl.SSLCertVerificationError as error:
                seen.append(error.verify_message.encode())
    assert seen == [seen[-1]] * 3
    assert ssl.OPENSSL_VERSION_INFO >= (3, 2) or seen[-1] == b"ok"


def test_several_files_and_certificates_at_once(hook: None, trust: Trust, tmp_path: Path) -> None:
    roots = [Authority.root(f"Further Root {number}") for number in range(3)]
    context = ssl.create_default_context(cafile=trust.cafile, cadata=pem(roots[0]))
    context.load_verify_locations(write_pem(tmp_path / "small.pem", roots[1]))
    context.load_verify_locations(large_ca_file(tmp_path / "large.pem", roots[2]))
    assert loaded_ders(context) == {roots[0].der}
    for root in roots:
        with TLSServer(root.leaf()) as server:
            assert get(server, context) == b"ok"
    assert get(trust.servers[0], context) == b"ok"
    assert loaded_ders(context) == {roots[0].der}


def test_two_roots_of_one_name_come_together(hook: None, tmp_path: Path) -> None:
    one, two, spelled = twins = [Authority.root(name) for name in ("Twin", "Twin", "TWIN")]
    context = context_of(large_ca_file(tmp_path / "large.pem", one, Authority.root("Another"), two, spelled))
    for twin in twins:
        with TLSServer(twin.leaf()) as server:
            assert get(server, context) == b"ok"


def test_many_threads_and_one_new_context(hook: None, trust: Trust) -> None:
    context = context_of(trust.cafile)
    start, replies = threading.Barrier(16), []

    def meet(number: int) -> None:
        start.wait()
        replies.append(get(trust.servers[number % 2], context))

    threads = [threading.Thread(target=meet, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [b"ok"] * 16


def test_contexts_are_freed_when_unused(hook: None, trust: Trust) -> None:
    context = context_of(trust.cafile)
    assert get(trust.servers[0], context) == b"ok"
    gone = weakref.ref(context)
    del context
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("environment", "is_put_off"),
    [({}, True), ({"AIA_STORE_TRUST_ON_DEMAND": "0"}, False), ({"AIA_STORE_DISABLE": "1"}, False)],
    ids=["by default", "switched off", "disabled"],
)
def test_the_setting(store: Path, trust: Trust, environment: dict[str, str], is_put_off: bool) -> None:
    code = (
        "import ssl, sys, _ssl\n"
        "context = ssl.create_default_context(cafile=sys.argv[1])\n"
        "print(_ssl._SSLContext.cert_store_stats(context)['x509'], len(context.get_ca_certs()))\n"
    )
    done = run_python(code, trust.cafile, env=environment)
    assert (done.stdout.split(), done.stderr) == (["0" if is_put_off else "2", "2"], "")


def test_nothing_is_written(store: Path, hook: None, trust: Trust) -> None:
    assert get(trust.servers[0], context_of(trust.cafile)) == b"ok"
    assert not store.exists()
