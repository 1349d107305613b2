"""The stream: what one machine learns, the daemons of the others have at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from aia_store.inside import settings as config
from aia_store.inside.store import Folder
from aia_store.manager.share import listening as listening_module
from aia_store.manager.share import memory as memories
from aia_store.manager.share import stream as streams
from tests.daemon.running import Daemon, is_alive, wait_until
from tests.manager.machine import Machine, fingerprint
from tests.manager.share.conftest import Join
from tests.manager.share.engines import Engine, Valkey
from tests.manager.share.test_bad_input import publish
from tests.manager.share.test_fleet import preloaded
from tests.support.listener import Listener
from tests.support.pki import Authority, Leaf
from tests.support.servers import AIAHost, TLSServer, free_port

#: Starts the command after it, a daemon. It makes one round over the shelf, and connects again without much ado.
DAEMON = """
import sys
from aia_store.manager.daemon import fleet
fleet.FIRST_ROUND_AFTER, fleet.LONGEST_RECONNECT = 3600.0, 0.1
sys.argv[1:] = sys.argv[4:]
from aia_store.cli import main
sys.exit(main())
"""


class Listening(Protocol):
    """A machine with a daemon that listens to the stream."""

    def __call__(self, name: str, url: str) -> tuple[Machine, Daemon]: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path / "valkey") as found:
        yield found


@pytest.fixture
def listening(join: Join, shelf: Engine) -> Iterator[Listening]:
    with contextlib.ExitStack() as started:

        def start(name: str, url: str) -> tuple[Machine, Daemon]:
            machine = join(name, shelf)
            machine.environment["AIA_STORE_SHARE_NOTIFY"] = url
            return machine, started.enter_context(Daemon(machine, sys.executable, "-c", DAEMON))

        yield start


def state(machine: Machine) -> str:
    """What the machine says of the stream."""
    return str(machine.json("share", "status")["stream"])


def wait_for_listening(*machines: Machine) -> None:
    for machine in machines:
        wait_until(lambda machine=machine: "listening since" in state(machine))  # type: ignore[misc]


def test_what_one_machine_learns_the_others_have_at_once(
    listening: Listening,
    server: Valkey,
    public: Authority,
    aia: AIAHost,
) -> None:
    issuer = public.intermediate(aia=[aia.publish("/root.cer", public.der)])
    leaf = issuer.leaf(aia=[aia.publish("/issuer.cer", issuer.der)])
    machines = [listening(name, server.url)[0] for name in ("first", "second", "third")]
    wait_for_listening(*machines)
    first, *others = machines
    with TLSServer(leaf) as tls:
        first.learn(tls.port)
        fetches = aia.count()
        for machine in others:
            wait_until(lambda machine=machine: preloaded(machine) == {fingerprint(issuer)})  # type: ignore[misc]
            machine.learn(tls.port)
    assert aia.count() == fetches
    assert others[0].json("share", "status")["counts"]["taken by the stream"] == 1


def test_after_an_outage_a_machine_goes_on_from_where_it_was(
    listening: Listening,
    server: Valkey,
    shelf: Engine,
    public: Authority,
) -> None:
    machine, daemon = listening("machine", server.url)
    wait_for_listening(machine)
    server.stop()
    daemon.wait_for("listen", "cannot be used")
    lost = public.intermediate("Only on the shelf, because the stream lost it")
    publish(shelf, lost)
    server.start()
    wait_until(lambda: preloaded(machine) == {fingerprint(lost)})
    pushed = public.intermediate("Pushed later")
    streams_to(server, pushed)
    wait_until(lambda: preloaded(machine) == {fingerprint(lost), fingerprint(pushed)})


def streams_to(server: Valkey, *certificates: Authority) -> None:
    """Send these, as any machine may."""
    with streams.Stream(server.url) as stream:
        stream.send(certificate.der for certificate in certificates)


def test_where_the_stream_was_trimmed_the_shelf_has_the_rest(
    listening: Listening,
    server: Valkey,
    shelf: Engine,
    public: Authority,
) -> None:
    machine, daemon = listening("machine", server.url)
    wait_for_listening(machine)
    seen, trimmed, there = (public.intermediate(name) for name in ("Seen", "Trimmed", "There"))
    streams_to(server, seen)
    wait_until(lambda: preloaded(machine) == {fingerprint(seen)})
    daemon.end()
    streams_to(server, trimmed, there)
    server.ask("XTRIM", streams.KEY, "MAXLEN", 1)
    publish(shelf, trimmed)
    listening("machine again", server.url)  # another machine is not in the way
    with Daemon(machine, sys.executable, "-c", DAEMON):
        wait_until(lambda: preloaded(machine) == {fingerprint(one) for one in (seen, trimmed, there)})


def test_a_flood_and_what_no_machine_would_send_do_not_keep_an_honest_one_away(
    listening: Listening,
    server: Valkey,
    public: Authority,
) -> None:
    machine, daemon = listening("machine", server.url)
    wait_for_listening(machine)
    stranger = Authority.root("Stranger").intermediate().der
    for number in range(400):
        server.ask("XADD", streams.KEY, "*", "der", stranger[:-2] + number.to_bytes(2, "big"))
    server.ask("XADD", streams.KEY, "*", "another", "field")
    server.ask("XADD", streams.KEY, "*", "der", bytes(65_537))
    honest = public.intermediate("Honest")
    streams_to(server, honest)
    wait_until(lambda: preloaded(machine) == {fingerprint(honest)})
    huge, later = bytes(8 << 20), public.intermediate("Later")
    server.ask("XADD", streams.KEY, "*", "der", huge)
    daemon.wait_for("listen", "larger than")
    wait_until(lambda: "listening since" in state(machine))
    streams_to(server, later)
    wait_until(lambda: preloaded(machine) == {fingerprint(honest), fingerprint(later)})


def test_at_most_so_many_entries_are_examined_in_a_time_whatever_they_are(
    join: Join, shelf: Engine, server: Valkey, public: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of what is known, or no certificate at all: to look at it costs something, too."""
    machine = join("machine", shelf)
    machine.environment["AIA_STORE_SHARE_NOTIFY"] = server.url
    machine.enter(monkeypatch)
    monkeypatch.setattr(listening_module, "MOST_EXAMINED", 100)
    ended, end = os.pipe()
    listener = threading.Thread(target=listening_module.listen, args=(config.load(), ended), daemon=True)
    listener.start()
    try:
        wait_for_listening(machine)
        for _ in range(300):
            server.ask("XADD", streams.KEY, "*", "another", "field")
        home = Folder(str(machine.store))
        wait_until(lambda: read_entries(server, memories.read(home).position) >= 100)
        time.sleep(1.0)
        assert 100 <= read_entries(server, memories.read(home).position) < 100 + streams.MOST_READ
    finally:
        os.write(end, b"x")
        listener.join(10)
    assert not listener.is_alive()


def read_entries(server: Valkey, position: str) -> int:
    """How many entries there are up to this position."""
    entries = server.ask("XRANGE", streams.KEY, "-", position) if position else []
    assert isinstance(entries, list)
    return len(entries)


def test_a_stream_to_which_nothing_can_be_appended_is_made_anew(server: Valkey, public: Authority) -> None:
    """Whoever may write can use up the positions."""
    last = 2**64 - 1
    server.ask("XADD", streams.KEY, f"{last}-{last}", "der", b"the last one")
    certificate = public.intermediate()
    streams_to(server, certificate)
    with streams.Stream(server.url) as stream:
        assert [entry.der for entry in stream.read(streams.START, _never()) or ()] == [certificate.der]
        after = listening_module._after_silence
        assert after(stream, f"{last}-{last}") == streams.START, "who waits for what comes after that, begins anew"
        assert after(stream, streams.END) == streams.END
        newest = stream.ends()
        assert newest is not None
        assert after(stream, newest[1]) == newest[1]


class Answering(Listener):
    """Answers each command with the same reply; the first ones, of the connection, with OK."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        while command := connection.recv(65_536):
            is_ours = any(word in command for word in (b"XREAD", b"XRANGE", b"XREVRANGE", b"XADD"))
            connection.sendall(self._reply if is_ours else b"+OK\r\n" * command.count(b"*"))


@pytest.mark.parametrize(
    "reply",
    [
        b":1\r\n",
        b"+OK\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\n*2\r\n$3\r\nkey\r\n:1\r\n",
        b"*1\r\n*2\r\n$3\r\nkey\r\n*1\r\n*2\r\n$3\r\n1_0\r\n*0\r\n",
        b"*1\r\n*2\r\n$3\r\nkey\r\n*1\r\n*2\r\n$5\r\n1-2-3\r\n*0\r\n",
        b"?\r\n",
        b"-ERR no\x1b[31m\r\n",
    ],
)
def test_a_reply_that_is_none_is_one_line(reply: bytes) -> None:
    with Answering(reply) as server, streams.Stream(f"valkey://127.0.0.1:{server.port}") as stream:
        with pytest.raises(streams.StreamError, match="valkey://127"):
            stream.read(streams.START, _never(), 1.0)
        with pytest.raises(streams.StreamError, match="valkey://127"):
            stream.ends()


def test_a_position_that_is_none_does_not_keep_a_machine_from_the_stream(
    listening: Listening, server: Valkey, public: Authority
) -> None:
    machine, daemon = listening("machine", server.url)
    wait_for_listening(machine)
    daemon.end()
    noted = machine.store / "share.json"
    noted.write_text(json.dumps({**json.loads(noted.read_text()), "position": "rubbish", "stream": ""}))
    with Daemon(machine, sys.executable, "-c", DAEMON):
        wait_for_listening(machine)


def test_the_listener_ends_with_the_daemon_however_that_ends(listening: Listening, server: Valkey) -> None:
    machine, daemon = listening("machine", server.url)
    wait_for_listening(machine)
    children = {
        int(child) for file in Path(f"/proc/{daemon.pid}/task").glob("*/children") for child in file.read_text().split()
    }
    assert children
    os.kill(daemon.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, children)))


def with_tls(folder: Path, root: Authority, leaf: Leaf) -> tuple[Valkey, str]:
    """A server with this certificate, and its URL with the root and the password."""
    port = free_port()
    for name, text in {"cert": leaf.pem, "key": leaf.key_pem, "ca": root.pem}.items():
        (folder / name).write_text(text)
    options = ["--tls-port", port, "--tls-cert-file", folder / "cert", "--tls-key-file", folder / "key"]
    options += ["--tls-ca-cert-file", folder / "ca", "--tls-auth-clients", "no", "--requirepass", "a secret"]
    url = f"valkeys://:a%20secret@localhost:{port}?ssl_ca_certs={folder / 'ca'}"
    return Valkey(folder / "valkey", *options), url


def test_the_password_goes_to_no_server_with_a_certificate_for_another_host(tmp_path: Path, public: Authority) -> None:
    server, url = with_tls(tmp_path, public, public.leaf("other.test"))
    with server:
        with pytest.raises(streams.StreamError, match="certificate is not valid for 'localhost'"):
            streams.Stream(url)
        with streams.Stream(f"{url}&ssl_cert_reqs=none") as stream:
            assert stream.ends() is None


def test_tls_and_a_password(tmp_path: Path, public: Authority) -> None:
    server, url = with_tls(tmp_path, public, public.leaf())
    with server:
        with streams.Stream(url) as stream:
            stream.send([b"content"])
            assert [entry.der for entry in stream.read(streams.START, _never()) or ()] == [b"content"]
        with pytest.raises(streams.StreamError, match="valkeys://localhost") as raised:
            streams.Stream(url.replace("secret", "wrong"))
        assert "wrong" not in str(raised.value)


def _never() -> int:
    """A descriptor from which nothing can be read."""
    return os.pipe()[0]


def test_a_stream_that_cannot_be_used_is_one_line(join: Join, shelf: Engine, public: Authority) -> None:
    machine = join("machine", shelf)
    machine.plant(public.intermediate())
    shared = machine.json("refresh", AIA_STORE_SHARE_NOTIFY=f"valkey://:secret@127.0.0.1:{free_port()}")["shared"]
    assert shared["handed_in"] == 1, "the shelf has it"
    (note,) = shared["notes"]
    assert "cannot be used" in note
    assert "secret" not in note
    site = machine.folder.parent / "site"
    (site / "valkey.py").write_text("raise ModuleNotFoundError(\"No module named 'valkey'\", name='valkey')")
    machine.plant(public.intermediate("Another"))
    (note,) = machine.json("refresh", AIA_STORE_SHARE_NOTIFY="valkey://127.0.0.1")["shared"]["notes"]
    assert note == "valkey://127.0.0.1 needs valkey; install `aia-store[valkey]`"
