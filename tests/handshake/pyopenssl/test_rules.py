"""What a context of pyOpenSSL trusts stays unchanged; and which connections are left alone."""

from __future__ import annotations

import gc
import signal
import weakref
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aia_store.inside.pyopenssl.hooked import install
from tests.conftest import PARTIAL_CHAIN, Hierarchy, MakeHierarchy, hooked, run_python, start_python, wait_until
from tests.handshake.test_interrupts import OUTCOME, ends
from tests.handshake.test_wrong_servers import MISSING, WHOLE, Sends
from tests.support.pki import Authority, Leaf, Options, pem
from tests.support.servers import AIAHost, TLSServer

from .client import SSL, STRICT, Client, connected
from .test_clients import PYOPENSSL

OTHER = Authority.root("Other Root")
OTHER_CA = OTHER.intermediate("Other CA")
GOOD, EVIL = "localhost", "other.example"
NO_ISSUER = 20  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
NOT_PERMITTED = 47  # X509_V_ERR_PERMITTED_VIOLATION

flags_of = pytest.mark.parametrize("flags", [0, PARTIAL_CHAIN | STRICT], ids=["plain", "partial and strict"])


# What servers send.


@pytest.mark.parametrize(("count", "sends"), MISSING.values(), ids=MISSING.keys())
def test_a_wrong_server(hook: None, aia: AIAHost, hierarchy: MakeHierarchy, count: int, sends: Sends) -> None:
    pki = hierarchy({}, {})
    with TLSServer(pki.leaf, sends(pki)) as server:
        client = Client(pki.root)
        assert client.get(server) == b"ok"
        assert client.get(server) == b"ok"
        assert client.errors == []
    assert aia.count() == count


@pytest.mark.parametrize("sends", WHOLE.values(), ids=WHOLE.keys())
def test_a_right_server(hook: None, store: Path, aia: AIAHost, hierarchy: MakeHierarchy, sends: Sends) -> None:
    pki = hierarchy({}, {})
    with TLSServer(pki.leaf, sends(pki)) as server:
        client = Client(pki.root)
        assert client.get(server) == b"ok"
    assert client.holds() == 1
    assert aia.connections == 0
    assert not store.exists()


def test_a_right_server_costs_no_import(store: Path, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    with TLSServer(pki.leaf, pki.intermediates) as server:
        done = run_python(
            PYOPENSSL + "print(*(name for name in sys.modules if name.split('.')[0] in ('aia_store', 'ssl', '_ssl')))",
            server.port,
            pki.cafile,
        )
    reply, modules = done.stdout.splitlines()
    assert reply == "ok"
    assert set(modules.split()) <= {
        "aia_store",
        "aia_store.inside.startup",
        "aia_store.inside",
        "aia_store.inside.settings",
        "aia_store.inside.certificate",
        "aia_store.inside.pyopenssl",
        "aia_store.inside.pyopenssl.bindings",
        "aia_store.inside.pyopenssl.hooked",
    }


@flags_of
def test_an_unrelated_root(hook: None, store: Path, hierarchy: MakeHierarchy, flags: int) -> None:
    pki = hierarchy()
    client = Client(OTHER, flags=flags)
    with TLSServer(pki.leaf) as bare, TLSServer(pki.leaf, [*pki.intermediates, pki.root]) as whole:
        client.refused(bare)
        client.refused(whole)
        client.refused(bare)
    assert client.holds() == 1
    assert not list(store.glob("certificates/*/*/*"))


@flags_of
def test_a_root_that_is_offered_is_not_trusted(hook: None, aia: AIAHost, flags: int) -> None:
    root = Authority.root("Offered Root")
    leaf = root.leaf(aia=[aia.publish("/root.cer", root.der)])
    client = Client(OTHER, flags=flags)
    with TLSServer(leaf) as server:
        for _ in range(2):
            client.refused(server)
    assert aia.count() == 1
    assert client.holds() == 1


@flags_of
@pytest.mark.parametrize(
    "options",
    [
        {"not_after": timedelta(hours=-1)},
        {"ca": False},
        {"no_cert_sign": True},
        {"permitted": [EVIL]},
        {"signed_by": OTHER.key},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_intermediate_that_openssl_refuses(
    hook: None, store: Path, hierarchy: MakeHierarchy, flags: int, options: Options
) -> None:
    pki = hierarchy(options)
    client = Client(pki.root, flags=flags)
    with TLSServer(pki.leaf) as server:
        for _ in range(2):
            client.refused(server)
    assert client.holds() == 1
    assert not list(store.glob("certificates/*/*/*"))


# Partial chains.


def ending(days: int) -> Options:
    return {"not_after": timedelta(days=days)}


@pytest.fixture
def constrained(hierarchy: MakeHierarchy) -> tuple[Hierarchy, Leaf]:
    """The lower intermediate may only sign for GOOD, but only the upper one says so; and a leaf for EVIL below it."""
    pki = hierarchy({}, {"permitted": [GOOD]}, san=[GOOD])
    return pki, pki.intermediates[0].leaf(EVIL)


@flags_of
def test_what_is_above_is_verified(hook: None, constrained: tuple[Hierarchy, Leaf], flags: int) -> None:
    pki, evil = constrained
    client = Client(pki.root, flags=flags)
    with TLSServer(pki.leaf) as server, TLSServer(evil) as violator, TLSServer(evil, pki.intermediates) as whole:
        for _ in range(2):
            assert client.get(server) == b"ok"
            client.refused(violator)
        assert client.refused(whole) == [NOT_PERMITTED]
    assert client.holds() == 1


@pytest.mark.parametrize("flags", [0, PARTIAL_CHAIN], ids=["plain", "partial"])
def test_a_limited_depth_is_not_undercut(hook: None, hierarchy: MakeHierarchy, flags: int) -> None:
    pki = hierarchy(ending(70), ending(80))
    client = Client(pki.root, flags=flags)
    client.context.set_verify_depth(1)
    with TLSServer(pki.leaf, pki.intermediates) as whole, TLSServer(pki.leaf) as server:
        client.refused(whole)
        client.refused(server)


def test_the_flag_set_later_makes_no_anchor(hook: None, constrained: tuple[Hierarchy, Leaf]) -> None:
    pki, evil = constrained
    with TLSServer(pki.leaf) as server, TLSServer(evil) as violator, TLSServer(OTHER_CA.leaf()) as of_pinned:
        client = Client(pki.root, OTHER_CA)
        assert client.get(server) == b"ok"
        client.set_flags(PARTIAL_CHAIN)
        client.refused(violator)
        assert client.get(server) == b"ok"
        # The program's own pin is an anchor now.
        assert client.get(of_pinned) == b"ok"


@flags_of
def test_flags_set_later_count(hook: None, hierarchy: MakeHierarchy, flags: int) -> None:
    """With the lower intermediate as an anchor, nobody would see that the upper one is not strictly right."""
    pki = hierarchy(ending(70), {"authority_key_id": False, **ending(80)})
    client = Client(pki.root, flags=flags & PARTIAL_CHAIN)
    with TLSServer(pki.leaf) as server, TLSServer(pki.leaf, pki.intermediates) as whole:
        assert client.get(server) == b"ok"
        client.set_flags(STRICT)
        client.refused(whole)
        client.refused(server)


def test_a_pinned_intermediate_stays_an_anchor(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy({}, {})
    client = Client(pki.intermediates[1], flags=PARTIAL_CHAIN)
    with TLSServer(pki.leaf, [pki.intermediates[0]]) as server:
        assert client.get(server) == b"ok"
    assert aia.connections == 0


def test_a_path_ends_at_a_pinned_intermediate(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy({}, {}, {})
    pinned, unpinned = Client(pki.intermediates[2], flags=PARTIAL_CHAIN), Client(pki.intermediates[2])
    with TLSServer(pki.leaf) as server:
        assert pinned.get(server) == b"ok"
        unpinned.refused(server)
    assert aia.count("/2.cer") <= 1
    assert pinned.holds() == 1


# What is left alone.


def test_a_context_that_verifies_nothing(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    client = Client(pki.root)
    client.context.set_verify(SSL.VERIFY_NONE)
    with TLSServer(pki.leaf) as server:
        assert client.get(server) == b"ok"
    assert aia.connections == 0
    assert client.holds() == 1


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["1.2", "1.3"])
def test_a_server_fetches_nothing_for_its_clients(
    hook: None, aia: AIAHost, hierarchy: MakeHierarchy, tmp_path: Path, version: int
) -> None:
    pki = hierarchy(eku=None)
    shown = OTHER_CA.leaf()
    accepting = Client(pki.root)
    accepting.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, accepting._callback)
    calling = Client(OTHER)
    calling.context.set_max_proto_version(version)
    for client, leaf, chain in ((accepting, shown, [OTHER_CA]), (calling, pki.leaf, [])):
        file = tmp_path / "chain.pem"
        file.write_text(leaf.key_pem + pem(leaf, *chain))
        client.context.use_certificate_chain_file(str(file))
        client.context.use_privatekey_file(str(file))
    server = SSL.Connection(accepting.context, None)
    server.set_accept_state()
    with pytest.raises(SSL.Error):
        _join(connected(calling.context, None), server)
    assert calling.errors == []
    assert accepting.errors == [NO_ISSUER]
    assert aia.connections == 0


def _join(client: Any, server: Any) -> None:
    """Let two connections in memory talk until both are done; the server's error is raised."""
    for _ in range(6):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error:
                if one is server:
                    raise
            try:
                other.bio_write(one.bio_read(1 << 16))
            except SSL.WantReadError:
                pass


def test_a_context_made_before_the_hook(store: Path, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    late = PYOPENSSL.replace("tcp =", "import aia_store; aia_store.enable()\ntcp =")
    with TLSServer(pki.leaf) as server:
        assert "certificate verify failed" in run_python(late, server.port, pki.cafile, hook=False).stderr
        early = PYOPENSSL.replace("context =", "import aia_store; aia_store.enable()\ncontext =")
        assert aia.connections == 0
        assert run_python(early, server.port, pki.cafile, hook=False).stdout == "ok\n"


def test_what_is_imported_after_disable_does_not_enable_again(store: Path) -> None:
    program = """
import aia_store, sys
aia_store.enable()
aia_store.disable()
assert "OpenSSL" not in sys.modules
import OpenSSL.SSL
from aia_store import inside as handshake
from aia_store.inside.pyopenssl.hooked import _hooked
print(handshake.enabled, OpenSSL.SSL.Context in _hooked)
aia_store.enable()
print(handshake.enabled)
"""
    assert run_python(program, hook=False).stdout == "False True\nTrue\n"


def test_disable(store: Path, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    with hooked():
        client = Client(pki.root)
    with TLSServer(pki.leaf) as server:
        assert client.refused(server) == [NO_ISSUER]
        assert aia.connections == 0
        with hooked():
            assert client.get(server) == b"ok"


def test_bindings_without_the_callback() -> None:
    """As in cryptography before 39."""
    old = SimpleNamespace(_lib=SimpleNamespace(), Context=type("Context", (), {}))
    install(old)  # type: ignore[arg-type]
    assert "__init__" not in vars(old.Context)


def test_a_context_is_released(hook: None, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    client = Client(pki.root)
    with TLSServer(pki.leaf) as server:
        assert client.get(server) == b"ok"
    context, ssl_ctx = weakref.ref(client.context), weakref.ref(client.context._context)
    del client
    gc.collect()
    assert context() is None
    assert ssl_ctx() is None


def test_nothing_is_left_in_opensslls_queue_of_errors(hook: None, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    client = Client(OTHER, pki.root)
    with TLSServer(pki.leaf) as server:
        assert client.get(server) == b"ok"
    assert SSL._lib.ERR_peek_error() == 0


# Signals.

DO_HANDSHAKE = """
import signal, socket, sys
from OpenSSL import SSL

def handshake():
    context = SSL.Context(SSL.TLS_METHOD)
    context.load_verify_locations(sys.argv[2])
    context.set_verify(SSL.VERIFY_PEER)
    connection = SSL.Connection(context, socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
    connection.set_connect_state()
    connection.do_handshake()
"""


@pytest.mark.parametrize("step", ["do_handshake()", "send(b'GET')", "recv(1)"])
@pytest.mark.parametrize(
    ("number", "status", "says"),
    [
        (signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt  None True\n"),
        (signal.SIGALRM, 1, "Alarm ring None True\n"),
        (signal.SIGTERM, 7, "SystemExit 7 None True\n"),
    ],
    ids=["SIGINT", "SIGALRM", "SIGTERM"],
)
def test_a_signal_during_a_fetch(
    store: Path, aia: AIAHost, hierarchy: MakeHierarchy, step: str, number: signal.Signals, status: int, says: str
) -> None:
    pki = hierarchy()
    aia.silent("/0.cer")
    with TLSServer(pki.leaf) as server:
        program = DO_HANDSHAKE.replace("do_handshake()", step) + OUTCOME
        process = start_python(program, server.port, pki.cafile)
        wait_until(lambda: aia.count() == 1)
        assert ends(process, number)[:2] == (status, says)
