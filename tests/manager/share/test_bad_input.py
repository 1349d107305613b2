"""Bad input: a shelf that lies, or fails, costs one line. Nothing is lost, nothing is trusted, and programs go on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from aia_store.inside import settings as config
from aia_store.manager.share import manifest as manifests
from aia_store.manager.share import rounds
from aia_store.manager.share.opening import open_shelf
from aia_store.manager.share.taking import MOST_OF_A_ROUND, MOST_TAKEN
from tests.manager.machine import COMMAND, Machine, fingerprint
from tests.manager.revoking import by_serial, onecrl
from tests.manager.share.conftest import Join
from tests.manager.share.engines import S3, Engine, WebServer
from tests.manager.share.test_fleet import certificates_in, files, preloaded
from tests.support.clocks import at
from tests.support.listener import Listener
from tests.support.pki import Authority, Certified, der_of
from tests.support.servers import TLSServer, free_port

NO_ANCHOR = "it leads to no trust anchor of this machine"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def publish(engine: Engine, *contents: Certified, made: int | None = None, **others: bytes) -> list[str]:
    """Publish these as a hub would, verified by nobody, and `others` under false names; returns all names."""
    blobs = {fingerprint(content): der_of(content) for content in contents}
    for digest, blob in {**blobs, **others}.items():
        engine.put(f"out/{digest}.der", blob)
    list_in_manifest(engine, *blobs, *others, made=made)
    return [*blobs, *others]


def list_in_manifest(engine: Engine, *digests: str, made: int | None = None) -> None:
    """Publish a manifest with these digests."""
    manifest = manifests.Manifest(frozenset(digests), made=int(time.time()) if made is None else made)
    engine.put("out/manifest", manifests.text(manifest))


# What the shelf says is not so


def test_a_shelf_of_lies_adds_what_is_true_and_nothing_else(engine: Engine, join: Join, public: Authority) -> None:
    machine = join("machine", engine, reads=True)
    upper = public.intermediate("Upper")
    honest = [upper.intermediate("Lower, whose issuer is offered too"), upper]
    stranger = Authority.root("Stranger")
    lies: dict[str, list[Certified]] = {
        "self-signed": [Authority.root("Another Root")],
        NO_ANCHOR: [stranger.intermediate(), stranger.intermediate("Public Root")],
        "is not a CA": [public.leaf()],
        "has expired": [public.intermediate("Expired", not_after=timedelta(days=-1))],
        "signature is not valid": [Authority.root("Upper", subject_key_id=upper.key_id).intermediate("Impostor")],
        "cannot be parsed": [b"", b"no certificate", b"\x30\x82\xff\xff", honest[0].der + b"more"],
    }
    false_name = "5" * 64
    large = bytes(65_537)
    names = publish(engine, *honest, *(lie for group in lies.values() for lie in group), **{false_name: upper.der})
    engine.put(f"out/{sha256(large)}.der", large)
    list_in_manifest(engine, *names, sha256(large), "7" * 64)
    pulled = machine.json("share", "pull")
    assert preloaded(machine) == {fingerprint(one) for one in honest}
    expected = {**{reason: len(group) for reason, group in lies.items()}}
    for reason, count in {**expected, "not what its name says": 1, "larger": 1, "not there": 1}.items():
        assert sum(number for said, number in pulled["refused"].items() if reason in said) == count, pulled["refused"]
    assert sum(pulled["refused"].values()) == len(names) - 2 + 2
    again = machine.json("share", "pull")
    assert (again["taken"], again["refused"]) == (0, {}), "what was refused is not looked at again"


def test_what_was_refused_for_want_of_its_issuer_comes_with_the_issuer(
    shelf: Engine, join: Join, public: Authority
) -> None:
    machine = join("machine", shelf)
    upper = public.intermediate("Upper")
    lower = upper.intermediate("Lower")
    publish(shelf, lower)
    assert machine.json("share", "pull")["refused"] == {NO_ANCHOR: 1}
    publish(shelf, lower, upper)
    assert machine.json("share", "pull")["taken"] == 1
    assert machine.json("share", "pull")["taken"] == 1
    assert preloaded(machine) == {fingerprint(upper), fingerprint(lower)}


def test_what_was_refused_is_looked_at_again_under_other_trust_anchors(
    shelf: Engine, join: Join, public: Authority
) -> None:
    machine, other = join("machine", shelf), Authority.root("Another Root")
    publish(shelf, other.intermediate())
    assert machine.json("share", "pull")["refused"] == {NO_ANCHOR: 1}
    machine.trust(public, other)
    assert machine.json("share", "pull")["taken"] == 1


def test_what_is_revoked_here_is_not_taken(shelf: Engine, join: Join, public: Authority) -> None:
    machine, revoked = join("machine", shelf), public.intermediate()
    listed = machine.folder / "onecrl.json"
    listed.write_bytes(onecrl([by_serial(revoked)]))
    machine.json("refresh", AIA_STORE_REVOCATION_LISTS=str(listed), AIA_STORE_SHARE="")
    publish(shelf, revoked)
    assert list(machine.json("share", "pull")["refused"]) == ["it is revoked by OneCRL"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no manifest, or not whole"),
        (b"<html>", "no manifest, or not whole"),
        (manifests.text(manifests.Manifest(frozenset(["1" * 64])))[:-2], "no manifest, or not whole"),
        (bytes(manifests.LARGEST + 1), "larger than"),
        (
            manifests.text(manifests.Manifest(frozenset(f"{number:064x}" for number in range(10_001)))),
            "more than 10,000 certificates",
        ),
        (manifests.text(manifests.Manifest(frozenset(["../../etc/passwd"]))), "no SHA-256"),
    ],
    ids=["empty", "a page", "cut short", "huge", "too many names", "another name"],
)
def test_a_manifest_that_is_none_is_one_line_and_a_hub_replaces_it(
    shelf: Engine, join: Join, public: Authority, content: bytes, says: str
) -> None:
    hub, machine = join("hub", shelf), join("machine", shelf)
    hub.plant(public.intermediate())
    shelf.put("out/manifest", content)
    (note,) = machine.json("share", "pull")["notes"]
    assert says in note
    hub.json("share", "publish")
    assert machine.json("share", "pull")["taken"] == 1
    shelf.put("out/manifest", content)
    assert says in hub.json("share", "publish")["notes"][0]
    assert b"aia-store manifest 1" in shelf.get("out/manifest"), "the hub has put its own there"


def test_a_manifest_that_rolls_back_is_used_and_takes_nothing_away(
    shelf: Engine, join: Join, public: Authority
) -> None:
    machine, one, two = join("machine", shelf), public.intermediate("One"), public.intermediate("Two")
    publish(shelf, one, two)
    assert machine.json("share", "pull")["taken"] == 2
    restored = public.intermediate("Restored")
    publish(shelf, one, restored, made=1_000_000_000)
    pulled = machine.json("share", "pull")
    assert [note.rpartition(" is ")[2] for note in pulled["notes"]] == ["older than the one before"]
    assert "older than the one before" in " ".join(machine.says("share", "status").split())  # a long path wraps it
    assert preloaded(machine) == {fingerprint(one), fingerprint(two), fingerprint(restored)}


def test_a_manifest_from_the_future_does_not_make_later_ones_old(shelf: Engine, join: Join, public: Authority) -> None:
    machine, certificate = join("machine", shelf), public.intermediate()
    list_in_manifest(shelf, made=99_999_999_999)
    machine.json("share", "pull")
    publish(shelf, certificate, made=int(time.time()) + 60)
    assert machine.json("share", "pull")["notes"] == []


def test_what_is_no_regular_file_is_neither_followed_nor_waited_for(
    shelf: Engine, join: Join, public: Authority
) -> None:
    machine, linked = join("machine", shelf), public.intermediate("Behind a link")
    names = publish(shelf, public.intermediate("Good"), linked)
    file = shelf.folder / "out" / f"{fingerprint(linked)}.der"
    file.rename(shelf.folder / "elsewhere")
    file.symlink_to(shelf.folder / "elsewhere")
    os.mkfifo(shelf.folder / "out" / f"{'3' * 64}.der")
    list_in_manifest(shelf, *names, "3" * 64)
    assert machine.json("share", "pull")["taken"] == 1


# The engine fails


class Endless(Listener):
    """Answers each request with a body that does not end."""

    def serve(self, connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nLast-Modified: Thu, 26 Nov 2026 16:00:00 GMT\r\n")
        connection.sendall(b"Content-Length: 500000\r\n\r\n")
        while True:
            connection.sendall(bytes(1 << 16))


def test_an_endless_body_is_cut_off(join: Join, shelf: Engine) -> None:
    machine = join("machine", shelf)
    with Endless() as host:
        pulled = machine.json("share", "pull", AIA_STORE_SHARE=f"http://127.0.0.1:{host.port}")
    assert len(pulled["notes"]) == 1


def test_an_engine_that_is_down_is_one_line_and_nothing_else(join: Join, public: Authority, tmp_path: Path) -> None:
    with S3(tmp_path / "engine") as engine:
        machine = join("machine", engine)
        machine.plant(public.intermediate())
        engine.stop()
        assert "s3://bucket/some/prefix/out/manifest cannot be read" in machine.run("share", "pull").stderr
        refreshed = machine.json("refresh")
        assert (refreshed["kept"], len(refreshed["notes"]), refreshed["shared"]) == (1, 1, None)
        shares = machine.json("share", "status", status=1)
        assert shares["failed"]
        assert "cannot be read" in shares["message"]
        engine.start()
        assert machine.json("refresh")["shared"]["handed_in"] == 1


def test_a_bucket_that_does_not_exist_is_not_taken_for_an_empty_shelf(join: Join, tmp_path: Path) -> None:
    with S3(tmp_path / "engine") as engine:
        machine = join("machine", engine)
        for command in ("pull", "publish"):
            done = machine.run("share", command, AIA_STORE_SHARE="s3://mistyped/some/prefix")
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)
            assert "404 Not Found: NoSuchBucket" in done.stderr


@pytest.mark.parametrize(
    "variables",
    [{"AWS_ENDPOINT_URL": "minio.example.org:9000"}, {"AWS_SESSION_TOKEN": "a\nline more"}],
    ids=["endpoint without a scheme", "token of two lines"],
)
def test_variables_at_which_obstore_panics_are_an_error_like_others(
    join: Join, shelf: Engine, variables: dict[str, str]
) -> None:
    """A panic in Rust comes to Python as something that `except Exception` does not catch."""
    machine = join("machine", shelf)
    machine.environment |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", **variables}
    machine.environment["AIA_STORE_SHARE"] = "s3://bucket"
    for command in ("pull", "publish"):
        done = machine.run("share", command)
        assert done.returncode == 1
        assert "check its endpoint and credentials" in done.stderr.splitlines()[-1]
    assert "check its endpoint" in json.loads(machine.run("refresh", "--json").stdout)["notes"][0]


def test_wrong_credentials_are_one_line(join: Join, public: Authority, tmp_path: Path) -> None:
    with S3(tmp_path / "engine") as engine:
        machine = join("machine", engine)
        done = machine.run("share", "pull", AWS_SECRET_ACCESS_KEY="wrong")
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "cannot be read" in done.stderr
        assert "check its credentials and rights" in done.stderr
        assert "wrong" not in done.stderr


WRONG_USE, NO = 2, 1


@pytest.mark.parametrize(
    ("share", "status", "says"),
    [
        ("/mnt/share", WRONG_USE, "/mnt/share names no shelf; set `share` to file:///"),
        ("ftp://host/share", WRONG_USE, "names no shelf"),
        ("file://host/share", WRONG_USE, "names no shelf"),
        ("https://localhost:99999/", WRONG_USE, "is no URL of a web server's folder"),
        ("file:///nowhere/at/all", NO, "/nowhere/at/all is no folder; mount or make it"),
        (
            "https://user:secret@localhost:1/?token=secret",
            NO,
            "https://localhost:1/out/manifest cannot be read (Connection",
        ),
    ],
)
def test_a_shelf_that_cannot_be_is_one_line(join: Join, shelf: Engine, share: str, status: int, says: str) -> None:
    machine = join("machine", shelf)
    done = machine.run("share", "pull", AIA_STORE_SHARE=share)
    assert (done.returncode, done.stderr.count("\n")) == (status, 1)
    assert says in done.stderr
    assert "secret" not in done.stderr


def test_without_the_extra_one_line_says_what_to_install(join: Join, shelf: Engine) -> None:
    machine = join("machine", shelf)
    site = machine.folder.parent / "site"
    (site / "obstore.py").write_text("raise ModuleNotFoundError(\"No module named 'obstore'\", name='obstore')")
    says = "needs obstore; install `aia-store[fleet]`"
    assert says in machine.run("share", "pull", AIA_STORE_SHARE="s3://bucket").stderr
    assert machine.json("refresh", AIA_STORE_SHARE="s3://bucket")["notes"][0].endswith(says)
    assert machine.json("share", "pull")["notes"] == [], "a folder needs nothing"


def test_offline_only_a_folder_is_used(join: Join, shelf: Engine, public: Authority) -> None:
    machine = join("machine", shelf)
    publish(shelf, public.intermediate())
    done = machine.run("share", "pull", AIA_STORE_OFFLINE="1", AIA_STORE_SHARE="s3://bucket")
    assert "AIA_STORE_OFFLINE is set" in done.stderr
    assert machine.json("share", "pull", AIA_STORE_OFFLINE="1")["taken"] == 1


def test_a_shelf_that_is_read_only_for_this_machine_is_only_read(join: Join, public: Authority, tmp_path: Path) -> None:
    with WebServer(tmp_path / "web") as server:
        publish(server, public.intermediate("Theirs"))
        machine = join("machine", server, reads=True)
        machine.plant(public.intermediate("Ours"))
        shared = machine.json("refresh")["shared"]
        assert (shared["taken"], shared["handed_in"], shared["notes"]) == (1, 0, [])
        assert "can only be read" in machine.run("share", "publish").stderr


def test_a_bucket_that_refuses_writing_is_a_note(join: Join, public: Authority, shelf: Engine) -> None:
    machine = join("machine", shelf)
    publish(shelf, public.intermediate("Theirs"))
    machine.plant(public.intermediate("Ours"))
    (shelf.folder / "in").write_text("no folder")
    shared = machine.json("refresh")["shared"]
    assert (shared["taken"], shared["handed_in"]) == (1, 0)
    assert "cannot be written" in shared["notes"][0]


@pytest.mark.parametrize(("shift", "says"), [("-8y", "in the past"), ("+60y", "not one trust anchor")])
def test_under_a_clock_that_is_off_nothing_is_shared(
    join: Join, shelf: Engine, public: Authority, shift: str, says: str
) -> None:
    machine = join("machine", shelf)
    machine.plant(public.intermediate("Ours"))
    publish(shelf, public.intermediate("Theirs"))
    done = machine.execute(*at(shift), *COMMAND, "share", "pull")
    assert says in done.stderr
    assert "nothing is shared" in done.stderr
    assert preloaded(machine) == set()
    assert machine.json("share", "pull")["taken"] == 1


# Hubs


def test_a_hub_that_is_killed_between_certificates_and_manifest_loses_nothing(
    shelf: Engine, join: Join, public: Authority
) -> None:
    hub, machine = join("hub", shelf), join("machine", shelf)
    before, after = public.intermediate("Before"), public.intermediate("After")
    hub.plant(before)
    hub.json("share", "publish")
    hub.plant(after)
    killed = (
        "import os, signal, sys\n"
        "from aia_store.manager.share import folder_shelf\n"
        "put = folder_shelf.FolderShelf.put\n"
        "def dying(self, name, content):\n"
        "    if name == 'out/manifest':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    put(self, name, content)\n"
        "folder_shelf.FolderShelf.put = dying\n"
        "from aia_store.cli import main\n"
        "sys.argv[1:] = ['share', 'publish']\n"
        "main()\n"
    )
    assert hub.execute(sys.executable, "-c", killed).returncode == -signal.SIGKILL
    assert certificates_in(shelf) == files(before, after)
    assert machine.json("share", "pull")["taken"] == 1
    assert hub.json("share", "publish")["published"] == {"total": 2, "new": 0, "repaired": 0}
    assert machine.json("share", "pull")["taken"] == 1


# Very many


@pytest.fixture
def crowded(join: Join, shelf: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine in this process, with its store in memory."""
    machine = join("machine", shelf)
    with machine.store_in_memory():
        machine.enter(monkeypatch)
        yield machine


def test_ten_thousand_hostile_certificates_are_refused_within_the_caps_and_an_honest_one_arrives(
    crowded: Machine, public: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        engine = Engine(Path(folder))
        monkeypatch.setenv("AIA_STORE_SHARE", engine.url)
        honest, stranger = public.intermediate("Honest"), Authority.root("Stranger").intermediate().der
        hostile = {}
        for number in range(MOST_TAKEN - 1):
            content = stranger[:-4] + number.to_bytes(4, "big")  # a certificate with a garbage signature
            hostile[sha256(content)] = content
        publish(engine, honest, **hostile)
        settings = config.load()
        refused = made = 0
        while preloaded(crowded) == set() or refused < len(hostile):
            done = rounds.pull(settings)
            assert done.taken + sum(done.refused.values()) <= MOST_OF_A_ROUND
            refused += sum(done.refused.values())
            made += 1
            assert made <= MOST_TAKEN // MOST_OF_A_ROUND
        assert preloaded(crowded) == {fingerprint(honest)}
        assert not done.more
        assert rounds.pull(settings).refused == {}


@pytest.mark.parametrize("kind", [Engine, S3], ids=["folder", "s3"])
def test_of_very_many_names_each_is_looked_at_at_some_time(
    kind: type[Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a million names that somebody adds keep no honest one away. Here are 200, of which a listing has 50."""
    with kind(tmp_path / "engine") as engine:
        for name, value in engine.environment.items():
            monkeypatch.setenv(name, value)
        there = {f"{sha256(bytes([number]))}.der" for number in range(200)}
        for name in there:
            engine.put(f"in/{name}", b"")
        monkeypatch.setenv("AIA_STORE_SHARE", engine.url)
        shelf, seen = open_shelf(config.load()), set()
        for _ in range(200):
            found = shelf.names("in", 50)
            assert len(found) == len(set(found)) == 50
            seen.update(found)
        assert seen == there


def test_no_more_than_ten_thousand_are_kept(crowded: Machine, shelf: Engine, public: Authority) -> None:
    from aia_store.manager.share import taking
    from aia_store.manager.share.memory import Remembered

    full = Remembered(taken={f"{number:064x}" for number in range(MOST_TAKEN)})
    assert taking.choose(["f" * 64], set(), full, time.time()) == taking.Choice([], 0)
    nearly = Remembered(taken={f"{number:064x}" for number in range(MOST_TAKEN - 1)})
    assert len(taking.choose(["f" * 64, "e" * 64], set(), nearly, time.time()).get) == 1


@pytest.mark.parametrize(
    "damage",
    [
        {"refused": {"1" * 64: "text"}},
        {"handed_in": {"1" * 64: [1]}},
        {"counts": {"taken": float("inf")}},
        {"reasons": {"reason": float("nan")}},
        {"at": float("inf")},
        {"taken": 5},
        {"unlinked": []},
    ],
    ids=str,
)
def test_a_memory_that_was_damaged_is_made_anew(
    shelf: Engine, join: Join, public: Authority, damage: dict[str, object]
) -> None:
    machine = join("machine", shelf)
    publish(shelf, b"rubbish")
    machine.json("share", "pull")
    noted = machine.store / "share.json"
    noted.write_text(json.dumps({**json.loads(noted.read_text()), **damage}))
    assert machine.json("share", "status")["at"] == 0
    assert machine.json("share", "pull")["refused"] == {"it cannot be parsed": 1}


# Programs


def test_programs_never_notice(shelf: Engine, join: Join, public: Authority) -> None:
    machine = join("machine", shelf)
    issuer = public.intermediate()
    machine.plant(issuer)
    publish(shelf, Authority.root("Stranger").intermediate(), b"rubbish")
    machine.run("share", "pull")
    with TLSServer(issuer.leaf()) as server:
        machine.learn(server.port)


def test_rounds_at_the_same_time_wait_for_each_other(shelf: Engine, join: Join, public: Authority) -> None:
    machine = join("machine", shelf)
    names = publish(shelf, *(public.intermediate(f"Number {number}") for number in range(20)))
    running = [machine.start([*COMMAND, "share", "pull"]) for _ in range(4)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert {error for _, error in outputs} == {""}
    assert preloaded(machine) == set(names)
    assert sum(int(output.split()[0]) for output, _ in outputs) == 20


def test_a_manifest_of_rubbish_does_not_make_machines_busy(join: Join, public: Authority, tmp_path: Path) -> None:
    """It names packs that hold nothing of what they should, and certificates that are not there."""
    with WebServer(tmp_path / "web") as server:
        machine = join("machine", server, reads=True)
        digests = [f"{number:064x}" for number in range(1_000)]
        members = {sha256(bytes([number])): frozenset(digests[number * 40 :][:40]) for number in range(24)}
        for pack in members:
            server.put(f"out/{pack}.pack", b"rubbish")
        manifest = manifests.Manifest(frozenset(digests), made=int(time.time()), packs=members)
        server.put("out/manifest", manifests.text(manifest))
        asked = []
        for _ in range(3):
            server.requests.clear()
            shared = machine.json("refresh")["shared"]
            assert not shared["more"]
            asked.append(list(server.requests))
        assert max(map(len, asked)) <= 1 + 4 + 16
        packs = [path for requests in asked for path in requests if path.endswith(".pack")]
        assert len(packs) == len(set(packs)), "a bad pack is not asked for again"


def test_the_engine_is_reached_as_the_setting_for_proxies_says(join: Join, public: Authority, tmp_path: Path) -> None:
    with WebServer(tmp_path / "web") as server:
        publish(server, public.intermediate())
        machine, dead = join("machine", server, reads=True), f"http://127.0.0.1:{free_port()}"
        assert "through the proxy 127.0.0.1:" in machine.run("share", "pull", AIA_STORE_PROXY=dead).stderr
        assert machine.run("share", "pull", http_proxy=dead).returncode == 1
        assert machine.json("share", "pull", http_proxy=dead, AIA_STORE_PROXY="none")["taken"] == 1
        for exempt in ("127.0.0.0/8", "example.com 127.0.0.1", "*"):
            assert machine.run("share", "pull", AIA_STORE_PROXY=dead, no_proxy=exempt).returncode == 0, exempt
