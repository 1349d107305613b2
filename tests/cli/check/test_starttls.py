"""STARTTLS in eight protocols, chosen names and addresses, and hostile servers."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable

import pytest

from aia_store.check.asked import Target
from aia_store.check.connection import ProbeError, look
from aia_store.check.host import probe
from aia_store.check.starttls import PROTOCOLS, StartTLSError, start
from aia_store.check.witness import seeing_context
from aia_store.inside import settings as config
from aia_store.inside.certificate import Certificate
from tests.cli.check.dialogues import DECLINING, SERVERS, TALKS, Talker
from tests.manager.machine import Machine
from tests.support.listener import Listener
from tests.support.pki import Authority, Leaf
from tests.support.servers import TLSServer
from tests.support.tls import TLSListener


@pytest.fixture
def leaf(root: Authority) -> Leaf:
    """A leaf directly below the machine's trust anchor."""
    return root.leaf()


@pytest.fixture
def anchors(machine: Machine, root: Authority, monkeypatch: pytest.MonkeyPatch) -> list[Certificate]:
    """The machine's trust anchors, for a probe within this process."""
    machine.enter(monkeypatch)
    return [Certificate(root.der)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol(leaf: Leaf, anchors: list[Certificate], protocol: str) -> None:
    servers: list[Callable[[Leaf], TLSListener]] = [SERVERS[protocol]] if protocol in SERVERS else []
    if protocol in TALKS:
        servers.append(lambda leaf: Talker(leaf, TALKS[protocol]))
    for make in servers:
        with make(leaf) as server:
            (finding,) = probe(Target("localhost", server.port, starttls=protocol), config.load(), anchors)
            assert finding.faults == []


@pytest.mark.parametrize("protocol", DECLINING)
def test_a_server_that_does_not_offer_it(leaf: Leaf, anchors: list[Certificate], protocol: str) -> None:
    with Talker(leaf, DECLINING[protocol]) as server, pytest.raises(ProbeError) as raised:
        probe(Target("localhost", server.port, starttls=protocol), config.load(), anchors)
    assert str(raised.value).startswith(f"localhost:{server.port} does not offer TLS (it said ")


class Saying(Listener):
    """Sends the same to every client, at once and then as long as it listens."""

    def __init__(self, first: bytes, again: bytes = b"", pause: float = 0) -> None:
        self._first, self._again, self._pause = first, again, pause
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Talk to one client."""
        connection.sendall(self._first)
        while self._again:
            connection.sendall(self._again)
            self._closed.wait(self._pause)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


#: What a hostile server sends first, and what it then keeps sending.
HOSTILE = [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""),
    (b"", b""),
    (b"", b"x" * 60_000),
    (b"220-\r\n", b"220-x\r\n* y\r\n"),
    (b"\x1b]0;x\x07\r\n" * 10, b""),
    (b"\x30\x84\x7f\xff\xff\xff", b"\0"),
    (b"\xff\xff\xff\x00\x0a", b"\0" * 1000),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_hostile_servers(machine: Machine, leaf: Leaf, protocol: str) -> None:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Saying(*words)) for words in HOSTILE]
        hosts = [f"localhost:{server.port}" for server in servers]
        done = machine.run("check", "--starttls", protocol, *hosts)
    assert (done.returncode, done.stdout) == (2, "7 hosts: 7 could not be checked.\n")
    for host, line in zip(hosts, done.stderr.splitlines(), strict=True):
        assert line.isprintable()
        assert re.match(f"aia-store: {host} (does not speak|closed the connection|sends too much)", line), line


def test_a_server_that_drips_is_given_up(leaf: Leaf) -> None:
    with (
        Saying(b"", b"x", pause=0.05) as server,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
        pytest.raises((StartTLSError, TimeoutError)),
    ):
        start("smtp", connection, "localhost", time.monotonic() + 0.5)


def test_a_server_that_agrees_and_says_no_more(leaf: Leaf) -> None:
    """The port is right, and so is the protocol."""
    with Saying(b"S", b"\x16", pause=60) as server, pytest.raises(StartTLSError, match="agrees to TLS, but then"):
        target = Target("localhost", server.port, starttls="postgres")
        look(target, seeing_context(), config.load(), seconds=0.5)


def test_bytes_that_come_with_the_consent_are_no_tls(machine: Machine, leaf: Leaf) -> None:
    """What an attacker injects after the server's go-ahead is not taken for the server's."""
    dialogue = (*TALKS["smtp"][:-1], b"220 go ahead\r\n250 injected\r\n")
    with Talker(leaf, dialogue) as server:
        line = machine.complains("check", "--starttls", "smtp", f"localhost:{server.port}", status=2)
    assert "does not speak TLS" in line


def test_a_port_that_mostly_wants_it(machine: Machine, root: Authority) -> None:
    line = machine.complains("check", "127.0.0.1:25", status=2)
    assert line.endswith("try --starttls smtp")


def test_the_port_of_each_protocol(machine: Machine, root: Authority) -> None:
    ports = {"smtp": 25, "imap": 143, "pop3": 110, "ftp": 21, "ldap": 389, "postgres": 5432, "mysql": 3306}
    assert {name: protocol.port for name, protocol in PROTOCOLS.items()} == {**ports, "xmpp": 5222}
    answers = machine.run("check", "--starttls", "ldap", "--connect", "127.0.0.1:1", "--json", "example.test").stdout
    assert '"port": 389' in answers


def test_another_name_and_another_address(machine: Machine, root: Authority) -> None:
    with TLSServer(root.leaf("www.example.test")) as server:
        there = f"localhost:{server.port}"
        (found,) = machine.json("check", "www.example.test", "--connect", there)
        assert (found["host"], found["port"], found["servername"]) == ("www.example.test", 443, "www.example.test")
        assert found["connected_to"] == {
            "host": "localhost",
            "port": server.port,
            "address": "127.0.0.1",
            "proxy": None,
        }
        (found,) = machine.json("check", there, "--servername", "www.example.test")
        assert (found["host"], found["servername"]) == ("localhost", "www.example.test")
        shown = machine.says("check", "other.example.test", "--connect", there, status=1)
    assert f"at localhost:{server.port}" in shown
    assert "valid for other.example.test; this one is for www.example.test" in shown


def test_the_remedy_is_a_command_that_asks_in_the_same_way(machine: Machine, root: Authority) -> None:
    intermediate = root.intermediate()
    machine.plant(intermediate)
    with Talker(intermediate.leaf("mail.example.test"), TALKS["imap"]) as server:
        options = ["--starttls", "imap", "--connect", f"localhost:{server.port}"]
        shown = machine.says("check", "mail.example.test", *options, status=1)
    assert "mail.example.test:143  STARTTLS (imap), at localhost" in shown
    assert f"aia-store check mail.example.test:143 {' '.join(options)} --fullchain FILE" in shown


def test_a_name_in_another_script(machine: Machine, root: Authority) -> None:
    with TLSServer(root.leaf("xn--bcher-kva.example")) as server:
        assert "Complete" in machine.says("check", "bücher.example", "--connect", f"localhost:{server.port}")
