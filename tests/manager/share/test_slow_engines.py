"""Engines that are slow or broken in part: nothing waits for them for ever, and what they can give arrives."""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from aia_store.inside import settings as config
from aia_store.inside.store import Folder
from aia_store.manager.share import engine_shelf, rounds
from aia_store.manager.share import memory as memories
from aia_store.manager.share import stream as streams
from aia_store.manager.share.opening import open_shelf
from aia_store.manager.share.shelf import ShelfError
from tests.daemon.running import wait_until
from tests.manager.machine import COMMAND, fingerprint
from tests.manager.share.conftest import Join
from tests.manager.share.engines import Engine, Valkey, WebServer
from tests.manager.share.test_bad_input import publish
from tests.manager.share.test_fleet import preloaded
from tests.support.listener import Listener
from tests.support.pki import Authority, pem
from tests.support.servers import free_port

BEGINS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nLast-Modified: Thu, 26 Nov 2026 16:00:00 GMT\r\n\r\n"


class Dripping(Listener):
    """Answers each request with the beginning of a reply, and then with a byte now and then, for some seconds."""

    def __init__(self, begins: bytes, seconds: float = 30.0) -> None:
        self._begins = begins
        self._seconds = seconds
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(self._begins)
        until = time.monotonic() + self._seconds
        while time.monotonic() < until and not self._closed.wait(0.1):
            connection.sendall(b"x")


def test_a_stream_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, so that only a limit for the whole reply helps."""
    monkeypatch.setattr(streams, "_SECONDS_OF_A_REPLY", 1.0, raising=False)
    with Dripping(b"+", seconds=4.0) as server, pytest.raises(streams.StreamError, match="cannot be used") as raised:
        streams.Stream(f"valkey://127.0.0.1:{server.port}")
    assert "closed" not in str(raised.value), "the server had not ended yet"


def test_a_slow_engine_does_not_delay_the_bundle(join: Join, shelf: Engine, public: Authority) -> None:
    machine, issuer = join("machine", shelf), public.intermediate()
    machine.plant(issuer)
    with Dripping(BEGINS) as server:
        refreshing = machine.start([*COMMAND, "refresh"], AIA_STORE_SHARE=f"http://127.0.0.1:{server.port}")
        try:
            wait_until(lambda: server.connections > 0)
            assert refreshing.poll() is None
            assert pem(issuer) in machine.bundle_file.read_text()
        finally:
            refreshing.kill()
            refreshing.communicate()


def test_the_trust_folder_has_at_once_what_a_refresh_took(join: Join, shelf: Engine, public: Authority) -> None:
    machine, theirs = join("machine", shelf), public.intermediate()
    assert theirs.der not in machine.build_folder().values()
    publish(shelf, theirs)
    assert machine.json("refresh")["shared"]["taken"] == 1
    assert theirs.der in machine.in_folder().values()


def test_one_file_that_cannot_be_read_keeps_nothing_else_away(join: Join, public: Authority, tmp_path: Path) -> None:
    with WebServer(tmp_path / "web") as server:
        hub, machine = join("hub", server), join("machine", server, reads=True)
        certificates = [public.intermediate(f"Number {number}") for number in range(5)]
        hub.plant(*certificates)
        hub.json("share", "publish")
        server.broken.update([".pack", fingerprint(certificates[0])])
        pulled = machine.json("share", "pull")
        assert (pulled["taken"], pulled["refused"]) == (4, {"it cannot be read": 1})
        assert len(pulled["notes"]) == 1
        assert "cannot be read" in pulled["notes"][0]
        assert preloaded(machine) == {fingerprint(one) for one in certificates[1:]}
        server.broken.clear()
        assert machine.json("share", "pull")["taken"] == 1, "it is asked for again, and a hub would not forget it"


def test_an_engine_that_fails_in_the_middle_of_a_round_is_asked_no_longer(
    join: Join, public: Authority, tmp_path: Path
) -> None:
    with WebServer(tmp_path / "web") as server:
        machine = join("machine", server, reads=True)
        names = publish(server, *(public.intermediate(f"Number {number}") for number in range(30)))
        server.broken.update(names)
        assert "cannot be read" in machine.run("share", "pull").stderr
        assert len(server.requests) <= 1 + 2 * 8, "each is tried twice"
        noted = json.loads((machine.store / "share.json").read_text())
        assert noted["refused"] == {}, "this is not the certificates' fault"
        server.broken.clear()
        assert machine.json("share", "pull")["taken"] == 30


@pytest.mark.parametrize("protocol", ["s3", "http"])
def test_files_that_an_engine_refuses_to_give_do_not_count_as_failures_of_it(
    join: Join, public: Authority, tmp_path: Path, protocol: str
) -> None:
    """As S3 does with what was written under a key of the writer's, by status 400: anybody can hand in such files."""
    with WebServer(tmp_path / "web") as server:
        machine = join("machine", server, reads=True)
        names = publish(server, *(public.intermediate(f"Number {number}") for number in range(20)))
        server.broken.update(names[1:])
        server.breaks_with(400)
        if protocol == "s3":
            machine.environment |= {"AWS_ENDPOINT_URL": server.reading, "AIA_STORE_SHARE": "s3://out"}
            machine.environment |= {"AWS_SKIP_SIGNATURE": "true", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false"}
            (server.folder / "out" / "out").symlink_to(server.folder / "out")  # the bucket is a folder, too
        pulled = machine.json("share", "pull")
        assert (pulled["taken"], pulled["refused"]) == (1, {"it cannot be read": 19})
        assert json.loads((machine.store / "share.json").read_text())["refused"].keys() == set(names[1:])


#: A page of a listing in S3's words, after which there is always another one.
ENDLESS = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><KeyCount>0</KeyCount>
<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken></ListBucketResult>"""


class EndlessListing(Listener):
    """Says to each request that there is more, for some seconds."""

    def serve(self, connection: socket.socket) -> None:
        until = time.monotonic() + 10.0
        while time.monotonic() < until and connection.recv(65_536):
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(ENDLESS)}\r\n\r\n"
            connection.sendall(head.encode() + ENDLESS)


def test_a_listing_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_shelf, "_LISTS_FOR", 1.0, raising=False)
    with EndlessListing() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AIA_STORE_SHARE", "s3://bucket/prefix")
        shelf = open_shelf(config.load())
        with pytest.raises(ShelfError, match="timed out"):
            shelf.names("in", 100)


#: Lists a shelf that cannot be reached, and ends at once, without letting another thread run that wants to.
LISTING = """
import contextlib, sys
from aia_store.inside import settings
from aia_store.manager.share.opening import open_shelf
from aia_store.manager.share.shelf import ShelfError
shelf = open_shelf(settings.load())
sys.setswitchinterval(100)
with contextlib.suppress(ShelfError):
    shelf.names("in", 100)
"""


def test_a_process_that_has_listed_a_shelf_ends_well(join: Join, shelf: Engine) -> None:
    machine = join("machine", shelf)
    engine = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}", "AWS_ACCESS_KEY_ID": "key"}
    for _ in range(6):
        done = machine.execute(
            sys.executable,
            "-c",
            LISTING,
            **engine,
            AWS_SECRET_ACCESS_KEY="secret",
            AIA_STORE_SHARE="s3://bucket/prefix",
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_what_comes_and_goes_by_the_stream_does_not_wait_for_a_slow_round(
    join: Join, shelf: Engine, public: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, ours, theirs = join("machine", shelf), public.intermediate("Ours"), public.intermediate("Theirs")
    machine.enter(monkeypatch)
    monkeypatch.setenv("AIA_STORE_SHARE_PRIVATE", "1")  # this process has certifi's roots
    with Dripping(BEGINS) as slow, Valkey(tmp_path / "valkey") as server:
        monkeypatch.setenv("AIA_STORE_SHARE", f"http://127.0.0.1:{slow.port}")
        monkeypatch.setenv("AIA_STORE_SHARE_NOTIFY", server.url)
        round_ = machine.start([*COMMAND, "share", "pull"], AIA_STORE_SHARE=f"http://127.0.0.1:{slow.port}")
        try:
            wait_until(lambda: slow.connections > 0)
            rounds.receive(config.load(), {fingerprint(theirs): theirs.der}, "1-1")
            machine.plant(ours)
            assert rounds.hand_in(config.load()).handed_in == 1
            assert round_.poll() is None
        finally:
            round_.kill()
            round_.communicate()
        assert server.ask("XLEN", streams.KEY) == 1
    assert preloaded(machine) == {fingerprint(theirs)}
    assert memories.read(Folder(str(machine.store))).position == "1-1"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="there is no /proc to count in")
def test_many_rounds_leave_nothing_open(
    join: Join, public: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebServer(tmp_path / "web") as server:
        publish(server, public.intermediate(), b"rubbish")
        join("machine", server, reads=True).enter(monkeypatch)
        settings = config.load()
        rounds.pull(settings)
        before = opened()
        for _ in range(60):
            rounds.pull(settings)
        assert opened() <= before + 5


def opened() -> int:
    """How many descriptors and threads this process has."""
    gc.collect()
    return sum(len(os.listdir(f"/proc/self/{kind}")) for kind in ("fd", "task"))
