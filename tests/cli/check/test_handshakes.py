"""Handshakes that fail although the chain is right, and servers that only some clients can talk to."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest

from aia_store.check import connection
from aia_store.check.asked import Target
from aia_store.check.witness import tolerant_context
from aia_store.inside import settings
from tests.cli.check.clients import CLIENTS
from tests.manager.machine import Machine
from tests.support.listener import Listener
from tests.support.openssl import WEAK, OpenSSLServer, small_key
from tests.support.pki import Authority
from tests.support.relay import Cut, OtherCertificates
from tests.support.servers import TLSServer, Version

_CURL = "curl, git with OpenSSL"


def connects(machine: Machine, port: int, view: str = _CURL) -> set[bool]:
    """Whether real clients of this kind connect, all of them or none."""
    return {bool(ask(machine, machine.roots, [port])) for _, ask in CLIENTS[view]}


def test_a_connection_that_is_cut_after_the_certificates(machine: Machine, root: Authority) -> None:
    with TLSServer(root.leaf(), (), "1.2") as server, Cut(server.port) as cut:
        host = f"localhost:{cut.port}"
        shown = machine.says("check", host, status=1)
        (found,) = machine.json("check", host, status=1)
        assert connects(machine, cut.port) == {False}
    assert "the handshake fails: the server closes the connection" in shown
    assert "Complete" not in shown
    assert (found["result"], found["faults"]) == ("broken", ["handshake"])
    assert found["handshake"] == {"failure": "the server closes the connection", "asks_client": False}
    assert not any(view["works"] for view in found["views"])


def test_a_key_that_is_not_the_certificate_s(machine: Machine, root: Authority) -> None:
    with TLSServer(root.leaf(), (), "1.2") as server, OtherCertificates(server.port, [root.leaf()]) as wrong:
        host = f"localhost:{wrong.port}"
        shown = machine.says("check", host, status=1)
        (found,) = machine.json("check", host, status=1)
        assert connects(machine, wrong.port) == {False}
    assert "the server's key is not that of its certificate (OpenSSL: bad signature)" in shown
    assert found["faults"] == ["handshake"]


def test_a_handshake_that_fails_is_no_reason_to_forget_the_chain(machine: Machine, root: Authority) -> None:
    leaf = root.intermediate("Lower CA").leaf()
    with TLSServer(leaf, (), "1.2") as server, Cut(server.port) as cut:
        (found,) = machine.json("check", f"localhost:{cut.port}", status=1)
    assert found["faults"] == ["handshake", "no-path"]


def test_threads_that_make_their_contexts_at_once_see_the_same(
    root: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then each may have a context of its own, although the function caches it."""
    monkeypatch.setattr(connection, "tolerant_context", tolerant_context.__wrapped__)
    with OpenSSLServer(root.leaf(key="rsa"), (), WEAK["TLS 1.1 only"]) as server:
        (seen,) = connection.looks(Target("localhost", server.port), settings.load())
    assert (seen.weaknesses, seen.failure) == (("old-version",), "tlsv1 alert protocol version")


def test_every_form_of_output_says_it(machine: Machine, root: Authority) -> None:
    page, metrics = machine.folder / "page.html", machine.folder / "check.prom"
    with TLSServer(root.leaf(), (), "1.2") as server, Cut(server.port) as cut:
        host = f"localhost:{cut.port}"
        machine.run("check", host, "--html", page, "--prometheus", metrics)
    assert "the handshake fails" in page.read_text(encoding="utf-8")
    assert f'aia_store_check_complete{{host="localhost",port="{cut.port}"}} 0\n' in metrics.read_text(encoding="utf-8")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_failure_is_forgiven_where_a_client_s_certificate_was_asked_for(
    machine: Machine, root: Authority, version: Version
) -> None:
    with TLSServer(root.leaf(), (), version, client_ca=Authority.root("Client Root")) as server:
        host = f"localhost:{server.port}"
        shown = machine.says("check", host)
        (found,) = machine.json("check", host)
    assert "The server asks clients for a certificate; what it does with one was not checked." in shown
    assert (found["result"], found["handshake"]) == ("complete", {"failure": None, "asks_client": True})


def test_a_failure_is_not_forgiven_before_the_client_has_answered(machine: Machine, root: Authority) -> None:
    with OpenSSLServer(root.leaf(key="rsa"), (), [*WEAK["a small DH group"], "-verify", "1"]) as server:
        (found,) = machine.json("check", f"localhost:{server.port}", status=1)
    assert found["faults"] == ["handshake"]


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, dict[str, OpenSSLServer]]]:
    """A server of each weak kind, and a machine that trusts their root."""
    machine = Machine(tmp_path_factory.mktemp("weak") / "machine")
    root = Authority.root("Weak Root")
    machine.trust(root)
    leaf = root.leaf(key="rsa")
    with contextlib.ExitStack() as stack:
        yield (
            machine,
            {kind: stack.enter_context(OpenSSLServer(leaf, (), options)) for kind, options in WEAK.items()}
            | {"Ed25519": stack.enter_context(OpenSSLServer(root.leaf(key="ed25519")))}
            | {"RSA 1,024": stack.enter_context(OpenSSLServer(root.leaf(key=small_key())))},
        )


@pytest.mark.parametrize(
    ("kind", "weakness", "cause", "remedy"),
    [
        ("TLS 1.0 only", "old-version", "it speaks no TLS newer than 1.1", "switch on TLS 1.2"),
        ("TLS 1.1 only", "old-version", "it speaks no TLS newer than 1.1", "switch on TLS 1.2"),
        ("static RSA only", "static-rsa", "static RSA only", "cipher suites with ECDHE"),
        ("SHA-1 signatures only", "sha1-signature", "with SHA-1 only", "signatures with SHA-256"),
        ("a small DH group", "small-dh", "Diffie-Hellman group is too small", "group of 2,048 bits"),
        ("SHA-1 suites only", "sha1-suites", "cipher suites with SHA-1 only", "suites with AES-GCM or ChaCha20"),
        ("DHE with SHA-1 only", "sha1-suites", "cipher suites with SHA-1 only", "suites with AES-GCM or ChaCha20"),
        ("DHE with SHA-1 only", "sha1-suites", "by DHE only", "cipher suites with ECDHE"),
        ("Camellia only", "rare-suites", "that hardly any client knows", "suites with AES-GCM or ChaCha20"),
        ("RSA 1,024", "small-key", "EE certificate key too weak", "a larger key"),
    ],
)
def test_the_cause_is_named(
    weak: tuple[Machine, dict[str, OpenSSLServer]], kind: str, weakness: str, cause: str, remedy: str
) -> None:
    machine, servers = weak
    host = f"localhost:{servers[kind].port}"
    shown = machine.says("check", host, status=1)
    (found,) = machine.json("check", host, status=1)
    page = machine.folder / "page.html"
    machine.run("check", host, "--html", page)
    for text in (shown, found["verdict"], page.read_text(encoding="utf-8")):
        assert cause in text
        assert remedy in text
    assert "localhost  sent" in shown, "the chain is drawn"
    assert "◆ Weak Root" in shown
    assert "No path" not in shown
    assert (found["result"], found["weakness"]) == ("broken", weakness)
    assert found["faults"] == (["refused"] if kind == "RSA 1,024" else ["handshake"])
    assert found["reached"][-1]["subject"] == "CN=Weak Root"


@pytest.mark.parametrize(
    ("kind", "weakness", "fails_in", "remedy"),
    [
        ("CBC suites only", "cbc-suites", "Chrome, Edge", "should allow cipher suites with AES-GCM or ChaCha20"),
        ("DHE only", "dhe-only", "Go", "should allow cipher suites with ECDHE"),
        ("Ed25519", "ed25519-key", "Firefox", "needs a certificate with an RSA key, or an ECDSA key"),
    ],
)
def test_whom_a_complete_chain_does_not_help_is_said(
    weak: tuple[Machine, dict[str, OpenSSLServer]], kind: str, weakness: str, fails_in: str, remedy: str
) -> None:
    machine, servers = weak
    host = f"localhost:{servers[kind].port}"
    shown = machine.says("check", host)
    (found,) = machine.json("check", host)
    assert "Complete, but not for every client that trusts the root.\nIt fails in " in shown
    assert f"Its owner {remedy}" in shown
    assert (found["result"], found["weakness"]) == ("complete", weakness)
    page = machine.run("check", host, f"localhost:{servers['TLS 1.0 only'].port}", "--html", "-").stdout
    assert f'1 host is complete for most clients<td><a href="#host-1">{host}</a>' in page
    works = {view["client"]: view["works"] for view in found["views"]}
    assert not works[fails_in]
    assert works["Python from 3.13"]


def test_a_weakness_beside_a_fault_of_the_chain_is_said_too(machine: Machine, root: Authority) -> None:
    """Or its owner mends the one, and browsers still fail."""
    unsent = root.intermediate("Not Sent")
    machine.plant(unsent)
    with OpenSSLServer(unsent.leaf(key="rsa"), (), WEAK["DHE only"]) as server:
        shown = machine.says("check", f"localhost:{server.port}", status=1)
    assert "Its owner should install the full chain" in shown
    assert (
        "Besides, it exchanges keys by DHE only, without elliptic curves, which not every client accepts. "
        "Its owner should allow cipher suites with ECDHE.\n"
    ) in shown


@pytest.mark.parametrize(
    "suites",
    [
        "ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
        "DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
        "DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA",
    ],
)
def test_what_a_server_merely_prefers_is_no_weakness(machine: Machine, root: Authority, suites: str) -> None:
    options = ("-tls1_2", "-serverpref", "-cipher", f"{suites}:@SECLEVEL=0")
    with OpenSSLServer(root.leaf(key="rsa"), (), options) as server:
        (found,) = machine.json("check", f"localhost:{server.port}")
    assert found["weakness"] is None
    assert all(view["works"] for view in found["views"])


def test_of_weak_suites_those_of_browsers_count(machine: Machine, root: Authority) -> None:
    """Whatever the server prefers, Chrome connects by the second suite."""
    options = ("-tls1_2", "-serverpref", "-cipher", "DHE-RSA-AES128-SHA:ECDHE-RSA-AES128-SHA:@SECLEVEL=0")
    with OpenSSLServer(root.leaf(key="rsa"), (), options) as server:
        (found,) = machine.json("check", f"localhost:{server.port}", status=1)
    assert found["weakness"] == "sha1-suites"
    assert {view["client"] for view in found["views"] if not view["works"]} == {
        f"Python {versions}{hook}" for versions in ("to 3.12", "from 3.13") for hook in ("", " with the hook")
    }


class Rude(Listener):
    """Answers a ClientHello with some bytes, such as an alert (RFC 8446, 6), or without any resets the connection."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Answer one client."""
        connection.recv(4096)
        if self._answer:
            connection.sendall(self._answer)
            connection.recv(4096)
        else:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        (40, "; it has no TLS version, cipher suite or curve in common with clients of today"),
        (80, "alert internal error); its log may say more"),
        (112, "unrecognized name); it may know another name: try --servername NAME"),
        (120, "alert no application protocol); its log may say more"),
        (None, " resets the connection; is the port right?"),
    ],
)
def test_a_server_that_sends_no_certificate(machine: Machine, root: Authority, alert: int | None, said: str) -> None:
    with Rude(bytes((21, 3, 3, 0, 2, 2, alert)) if alert is not None else b"") as server:
        complaint = machine.complains("check", f"localhost:{server.port}", status=2)
        assert connects(machine, server.port) == {False}
    assert complaint.endswith(said)
    assert "ssl.c" not in complaint
    assert ("is the port right?" in complaint) is (alert is None), "who sends an alert speaks TLS"


def test_hosts_that_share_an_address(machine: Machine, root: Authority) -> None:
    """A client names no address to the server, which sends the certificate of its first host."""
    with TLSServer(root.leaf("www.example.org")) as server:
        shown = machine.says("check", f"127.0.0.1:{server.port}", status=1)
        by_name = machine.says("check", f"127.0.0.1:{server.port}", "--servername", "www.example.org")
    assert "If hosts share the address, check one by its name: --servername NAME." in shown
    assert "Complete: every client" in by_name
