"""Hubs in long and unlucky lives: they are killed, others damage what they published, and their shelves grow old."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import pytest

from aia_store.inside import settings as config
from aia_store.manager.share import manifest as manifests
from aia_store.manager.share import rounds, taking
from tests.manager.machine import fingerprint
from tests.manager.share.conftest import Join
from tests.manager.share.engines import Engine
from tests.manager.share.test_bad_input import list_in_manifest, sha256
from tests.manager.share.test_fleet import certificates_in, files, preloaded
from tests.support.pki import Authority


def test_a_new_hub_leaves_in_the_manifest_what_it_has_not_looked_at_yet(
    shelf: Engine, join: Join, public: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before is lost, and one round looks at a part only. What was handed in may have expired long ago."""
    published = [public.intermediate(f"Number {number}") for number in range(9)]
    lost = join("lost", shelf)
    lost.plant(*published)
    lost.json("share", "publish")
    before = manifests.parse(shelf.get("out/manifest"))
    hub, learned = join("hub", shelf), public.intermediate("Learned")
    hub.plant(learned)
    hub.enter(monkeypatch)
    monkeypatch.setenv("AIA_STORE_SHARE_PRIVATE", "1")  # this process has certifi's roots
    monkeypatch.setattr(taking, "MOST_OF_A_ROUND", 3)
    done = rounds.run(config.load(), publishes=True)
    assert (done.taken, done.more) == (3, True)
    assert done.published is not None
    assert done.published.total == 10
    after = manifests.parse(shelf.get("out/manifest"))
    assert after.digests == before.digests | {fingerprint(learned)}
    assert after.packs == before.packs, "whoever lacks several still gets them in one file"
    list_in_manifest(shelf, *after.digests, "7" * 64)
    while rounds.run(config.load(), publishes=True).more:
        pass
    assert manifests.parse(shelf.get("out/manifest")).digests == after.digests, "what is not there goes"


def test_one_command_publishes_all_there_is(shelf: Engine, join: Join, public: Authority) -> None:
    """A hub that keeps nothing, as in a container, would else begin anew each time."""
    hub = join("hub", shelf)
    for number in range(9):
        certificate = public.intermediate(f"Number {number}")
        shelf.put(f"in/{fingerprint(certificate)}.der", certificate.der)
    done = json.loads(hub.execute(sys.executable, "-c", IN_PARTS, "share", "publish", "--json").stdout)
    assert (done["taken"], done["published"]) == (9, {"total": 9, "new": 9, "repaired": 0})


#: Runs the command after it, for which a round is smaller.
IN_PARTS = """
import sys
from aia_store.manager.share import taking
taking.MOST_OF_A_ROUND = 4
from aia_store.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("damage", [b"", b"rubbish", bytes(70_000)], ids=["empty", "another content", "too large"])
def test_what_somebody_damaged_is_put_right(engine: Engine, join: Join, public: Authority, damage: bytes) -> None:
    hub, machine, certificate = join("hub", engine), join("machine", engine, reads=True), public.intermediate()
    hub.plant(certificate)
    hub.json("share", "publish")
    engine.put(f"out/{fingerprint(certificate)}.der", damage)
    assert machine.json("share", "pull")["taken"] == 0
    assert hub.json("share", "publish")["published"] == {"total": 1, "new": 0, "repaired": 1}
    assert engine.get(f"out/{fingerprint(certificate)}.der") == certificate.der
    refused = json.loads((machine.store / "share.json").read_text())["refused"]
    assert refused[fingerprint(certificate)] < time.time() + 86_400, "the machine looks again, long before 30 days"


def test_a_pack_that_somebody_damaged_is_put_right(shelf: Engine, join: Join, public: Authority) -> None:
    hub = join("hub", shelf)
    hub.plant(*(public.intermediate(f"Number {number}") for number in range(5)))
    hub.json("share", "publish")
    (pack,) = (name for name in shelf.names("out") if name.endswith(".pack"))
    shelf.put(f"out/{pack}", b"rubbish")
    assert hub.json("share", "publish")["published"]["repaired"] == 1
    assert sha256(shelf.get(f"out/{pack}")) == pack.removesuffix(".pack")


def test_what_is_handed_in_is_published_also_if_the_hub_has_preloaded_it(
    shelf: Engine, join: Join, public: Authority
) -> None:
    """A hub may have preloaded all that the CCADB knows; not all of that is published."""
    hub, handed_in, other = join("hub", shelf), public.intermediate("Handed in"), public.intermediate("Other")
    hub.preload(handed_in, other)
    shelf.put(f"in/{fingerprint(handed_in)}.der", handed_in.der)
    assert hub.json("share", "publish")["published"]["total"] == 1
    assert certificates_in(shelf) == files(handed_in)


#: Makes a hub's round, which is killed when it wants to remember what it took.
DYING = """
import os, signal, sys
from aia_store.manager.share import memory
write = memory.write
def dying(home, remembered):
    if remembered.taken:
        os.kill(os.getpid(), signal.SIGKILL)
    write(home, remembered)
memory.write = dying
sys.argv[1:] = ["share", "publish"]
from aia_store.cli import main
sys.exit(main())
"""


def test_a_hub_that_is_killed_before_it_remembers_what_it_took_publishes_it_later(
    shelf: Engine, join: Join, public: Authority
) -> None:
    hub, handed_in = join("hub", shelf), public.intermediate()
    shelf.put(f"in/{fingerprint(handed_in)}.der", handed_in.der)
    assert hub.execute(sys.executable, "-c", DYING).returncode == -signal.SIGKILL
    assert preloaded(hub) == {fingerprint(handed_in)}
    assert hub.json("share", "publish")["published"]["total"] == 1
    assert fingerprint(handed_in).encode() in shelf.get("out/manifest")


#: Runs the command after it and a folder; it is killed when it has written a file there, and has not renamed it yet.
CUT_SHORT = """
import os, signal, sys
replace, folder = os.replace, sys.argv.pop(1)
def dying(source, target):
    if f"/shelf/{folder}/" in str(target):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = dying
from aia_store.cli import main
sys.exit(main())
"""


def test_what_cannot_be_read_because_of_what_it_is_does_not_stop_a_hub(
    shelf: Engine, join: Join, public: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write to a folder can put sockets there, too."""
    hub, handed_in = join("hub", shelf), public.intermediate()
    shelf.put(f"in/{fingerprint(handed_in)}.der", handed_in.der)
    monkeypatch.chdir(shelf.folder / "in")  # the path of a socket is short
    for number in range(20):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"{number:064x}.der")
    published = hub.json("share", "publish")
    assert (published["taken"], published["notes"]) == (1, [])
    assert certificates_in(shelf) == files(handed_in)


def test_what_a_killed_writer_leaves_is_removed_a_day_later(shelf: Engine, join: Join, public: Authority) -> None:
    hub, machine = join("hub", shelf), join("machine", shelf)
    hub.plant(public.intermediate("Ours"))
    machine.plant(public.intermediate("Theirs"))
    assert machine.execute(sys.executable, "-c", CUT_SHORT, "in", "refresh").returncode == -signal.SIGKILL
    assert hub.execute(sys.executable, "-c", CUT_SHORT, "out", "share", "publish").returncode == -signal.SIGKILL
    left = list(shelf.folder.glob("*/.*.tmp"))
    assert len(left) == 2
    others = [shelf.folder / "out" / name for name in (".report.abcdefgh.tmp", "manifest.tmp")]
    for path in others:
        path.write_bytes(b"of somebody else")
    hub.json("share", "publish")
    assert all(path.exists() for path in [*left, *others]), "somebody may be about to rename it"
    for path in [*left, *others]:
        os.utime(path, (time.time() - 90_000,) * 2)
    hub.json("share", "publish")
    assert [path.exists() for path in [*left, *others]] == [False, False, True, True]


def test_what_a_shelf_has_gathered_over_the_years_is_not_published_again(join: Join, public: Authority) -> None:
    """Nobody deletes what has expired, and a manifest alone may name 10,000."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        shelf = Engine(Path(folder))
        for number in range(10_050):
            shelf.put(f"out/{number:064x}.der", b"")
        hub = join("hub", shelf)
        hub.plant(*(public.intermediate(f"Number {number}") for number in range(40)))
        assert hub.json("share", "publish")["published"]["new"] == 40
        before = shelf.get("out/manifest")
        assert hub.json("share", "publish")["published"] == {"total": 40, "new": 0, "repaired": 0}
        assert shelf.get("out/manifest") == before


def test_what_is_not_yet_valid_is_looked_at_again_soon(shelf: Engine, join: Join, public: Authority) -> None:
    """The machine's clock may be slow by hours."""
    machine = join("machine", shelf)
    early = public.intermediate("Early", not_before=timedelta(hours=2))
    shelf.put(f"out/{fingerprint(early)}.der", early.der)
    shelf.put("out/manifest", manifests.text(manifests.Manifest(frozenset([fingerprint(early)]), made=1_700_000_000)))
    assert machine.json("share", "pull")["refused"] == {"it is not yet valid": 1}
    refused = json.loads((machine.store / "share.json").read_text())["refused"]
    assert refused[fingerprint(early)] < time.time() + 86_400
