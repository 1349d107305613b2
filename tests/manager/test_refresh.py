"""Refresh drops what is no longer valid, keeps the rest, leaves alone what is not ours, and rebuilds the bundle."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from aia_store.inside.certificate import Certificate
from tests.manager.machine import COMMAND, Machine, fingerprint
from tests.support.pki import Authority, Certified, der_of, pem
from tests.support.servers import TLSServer

STRANGER = Authority.root("Stranger")


def unreadable_time(authority: Authority) -> bytes:
    """An intermediate whose notBefore is no time."""
    der = authority.intermediate("Unreadable").der
    at = der.index(b"\x17\x0d") + 2
    return der[:at] + b"XX" + der[at + 2 :]


def dropped(machine: Machine) -> dict[str | None, str]:
    """What a refresh drops: fingerprint and reason."""
    return {item["sha256"]: item["reason"] for item in machine.json("refresh")["dropped"]}


def test_what_is_valid_stays(machine: Machine, root: Authority) -> None:
    upper = root.intermediate("Upper")
    planted = [upper, upper.intermediate("Lower"), root.intermediate("Other")]
    files = machine.plant(*planted)
    before = {file: file.stat().st_mtime_ns for file in files}
    nothing: dict[str, object] = {"dropped": [], "left": [], "renewed": [], "notes": [], "doubt": None, "shared": None}
    nothing["handed_in"] = {"kept": 0, "refused": 0}
    assert machine.json("refresh") == {"kept": 3, "preloaded": 0, "bundle": str(machine.bundle_file), **nothing}
    assert {file: file.stat().st_mtime_ns for file in files} == before
    assert set(machine.bundled()) == {root.der, *map(der_of, planted)}
    assert "3 intermediates kept" in machine.says("refresh")


def test_what_expires_is_dropped_the_moment_it_does(machine: Machine, root: Authority) -> None:
    short = root.intermediate("Short-lived", not_after=timedelta(seconds=5))  # a busy machine takes long to start
    machine.plant(short)
    ends = Certificate(short.der).validity[1]
    report = machine.json("refresh")
    if time.time() < ends:
        assert report["kept"] == 1
    time.sleep(max(0.0, ends + 1.1 - time.time()))
    assert "expired" in dropped(machine)[fingerprint(short)]
    assert machine.kept() == set()


def test_what_lost_its_root_is_dropped(machine: Machine, root: Authority) -> None:
    other = Authority.root("Other Root")
    machine.trust(root, other)
    upper = other.intermediate("Upper")
    lost, stays = [upper, upper.intermediate("Lower")], root.intermediate("Stays")
    machine.plant(*lost, stays)
    assert len(machine.build()) == 5
    machine.trust(root)
    assert dropped(machine).keys() == {*map(fingerprint, lost)}
    assert machine.kept() == {stays.der}
    assert machine.bundled() == [root.der, stays.der]


@pytest.mark.parametrize(
    ("planted", "word"),
    [
        (STRANGER.intermediate(), "trust anchor"),
        (STRANGER, "self-signed"),
        (STRANGER.leaf(), "not a CA"),
        (STRANGER.intermediate(not_after=timedelta(seconds=-1)), "expired"),
    ],
    ids=["orphan", "self-signed", "leaf", "expired"],
)
def test_what_was_planted_is_dropped_with_its_reason(
    machine: Machine, root: Authority, planted: Certified, word: str
) -> None:
    sound = root.intermediate("Sound")
    machine.plant(sound, planted)
    assert word in dropped(machine)[fingerprint(planted)]
    assert machine.kept() == {sound.der}


def test_what_is_not_yet_valid_is_left_and_stays_out_of_the_bundle(machine: Machine, root: Authority) -> None:
    sound, early = root.intermediate("Sound"), root.intermediate("Early", not_before=timedelta(hours=1))
    file = machine.plant(sound, early)[1]
    report = machine.json("refresh")
    assert report["dropped"] == []
    assert [(item["path"], item["reason"]) for item in report["left"]] == [(str(file), "it is not yet valid")]
    assert machine.kept() == {sound.der, early.der}
    assert set(machine.bundled()) == {root.der, sound.der}


def age(file: Path, days: float) -> None:
    """Make a file of the store look as if it was last used so long ago."""
    os.utime(file, (time.time() - days * 86_400,) * 2)


def test_what_nobody_used_is_dropped(machine: Machine, root: Authority) -> None:
    used, unused = root.intermediate("Used"), root.intermediate("Unused")
    files = machine.plant(used, unused)
    age(files[0], 89)
    age(files[1], 89)
    assert dropped(machine) == {}
    age(files[1], 91)
    assert dropped(machine) == {fingerprint(unused): "it was unused for 90 days"}
    assert machine.kept() == {used.der}
    assert set(machine.bundled()) == {root.der, used.der}
    assert "0 intermediates kept, 1 dropped" in machine.says("refresh", AIA_STORE_UNUSED_DAYS="80")


def test_what_a_used_one_leads_through_is_used(machine: Machine, root: Authority) -> None:
    upper = root.intermediate("Upper")
    lower = upper.intermediate("Lower")
    for file, days in zip(machine.plant(upper, lower), (300, 1), strict=True):
        age(file, days)
    assert dropped(machine) == {}
    assert machine.kept() == {upper.der, lower.der}


def test_a_handshake_is_a_use(machine: Machine, root: Authority) -> None:
    intermediate = root.intermediate()
    file = machine.plant(intermediate)[0]
    age(file, 200)
    with TLSServer(intermediate.leaf()) as server:
        machine.learn(server.port)
    assert dropped(machine) == {}
    assert machine.kept() == {intermediate.der}


def test_a_last_use_in_the_future_drops_nothing(machine: Machine, root: Authority) -> None:
    file = machine.plant(root.intermediate())[0]
    age(file, -4000)
    assert dropped(machine) == {}


def test_many_dropped_ones_are_listed_in_few_lines(machine: Machine, root: Authority) -> None:
    machine.plant(*(STRANGER.intermediate(f"Orphan {number}") for number in range(30)))
    lines = machine.says("refresh").splitlines()
    assert len(lines) == 22
    assert "and 10 more" in lines
    assert "0 intermediates kept, 30 dropped" in lines[-1]


def test_one_of_which_a_field_cannot_be_read_is_dropped(machine: Machine, root: Authority) -> None:
    sound = root.intermediate("Sound")
    machine.plant(sound, unreadable_time(root))
    assert machine.build() == [root.der, sound.der]
    assert len(dropped(machine)) == 1
    assert machine.kept() == {sound.der}


def test_an_impostor_is_dropped(machine: Machine, root: Authority) -> None:
    impostor = root.intermediate(signed_by=STRANGER.key)
    machine.plant(impostor)
    assert "signature" in dropped(machine)[fingerprint(impostor)]


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 100, os.urandom(300), pem(STRANGER.intermediate()).encode()[:200], pem(STRANGER).encode(), None],
    ids=["empty", "zeros", "random", "cut", "another certificate", "link"],
)
def test_a_corrupt_file_is_dropped(machine: Machine, root: Authority, content: bytes | None) -> None:
    sound, corrupt = root.intermediate("Sound"), root.intermediate("Corrupt")
    file = machine.plant(sound, corrupt)[1]
    if content is None:
        elsewhere = machine.folder / "elsewhere.pem"
        file.rename(elsewhere)
        file.symlink_to(elsewhere)
    else:
        file.write_bytes(content)
    assert list(dropped(machine)) == [None]
    assert not file.is_symlink()
    assert not file.exists()
    assert machine.kept() == {sound.der}
    assert content is not None or (machine.folder / "elsewhere.pem").exists()


def directory(path: Path) -> None:
    path.mkdir()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this user may not make devices")


@pytest.mark.parametrize("make", [directory, fifo, device])
def test_what_is_no_file_is_left_alone(machine: Machine, root: Authority, make: Callable[[Path], None]) -> None:
    sound = root.intermediate("Sound")
    foreign = machine.plant(sound)[0].with_name("0" * 64 + ".pem")
    make(foreign)
    kind = stat.S_IFMT(foreign.lstat().st_mode)
    done = machine.run("refresh")
    assert done.returncode == 0
    assert f"left alone {foreign}" in done.stderr
    assert "1 intermediate" in done.stdout
    assert machine.json("refresh")["left"][0]["path"] == str(foreign)
    assert stat.S_IFMT(foreign.lstat().st_mode) == kind
    assert machine.kept() == {sound.der}


def test_names_of_planted_files_do_not_steer_the_terminal(machine: Machine, root: Authority) -> None:
    file = machine.plant(root.intermediate())[0]
    (file.parent / "evil\x1b[31m\u202ename.pem").write_text("")
    (file.parent / "evil\x1b[31m\u202efolder").mkdir()
    done = machine.run("refresh")
    assert done.stderr.count("evil") == 2
    assert "\x1b" not in done.stdout + done.stderr
    assert "\u202e" not in done.stdout + done.stderr


def test_twice_at_once(machine: Machine, root: Authority) -> None:
    good = [root.intermediate(f"Good {number}") for number in range(20)]
    machine.plant(*good, *(STRANGER.intermediate(f"Orphan {number}") for number in range(20)))
    both = [machine.start([*COMMAND, "refresh"]) for _ in range(2)]
    for one in both:
        output, errors = one.communicate(timeout=60)
        assert (one.returncode, errors) == (0, "")
        assert "20 intermediates kept" in output
    assert machine.kept() == {*map(der_of, good)}
    assert set(machine.bundled()) == {root.der, *map(der_of, good)}


def test_it_learns_of_new_roots(machine: Machine, root: Authority) -> None:
    machine.build()
    other = Authority.root("New Root")
    machine.trust(root, other)
    machine.says("refresh")
    assert machine.bundled() == [root.der, other.der]


def test_an_empty_store_is_no_obstacle(machine: Machine, root: Authority) -> None:
    assert "0 intermediates kept" in machine.says("refresh")
    assert machine.bundled() == [root.der]


def test_nothing_is_dropped_where_no_roots_can_be_read(machine: Machine, root: Authority) -> None:
    machine.plant(root.intermediate())
    machine.roots.write_text("")
    assert str(machine.roots) in machine.complains("refresh")
