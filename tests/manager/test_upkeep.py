"""What is removed from a store: temporary files, locks of dead processes, old failures; but nothing that is in use."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from aia_store.inside.locks import acquire
from aia_store.inside.pauses import Failures
from aia_store.inside.store import Folder
from tests.manager.machine import Machine
from tests.support.pki import Authority


@pytest.fixture
def folder(machine: Machine, root: Authority) -> Folder:
    machine.build()
    return Folder(str(machine.store))


def old(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.utime(path, (time.time() - 7200,) * 2)
    return path


def test_locks_of_the_dead_are_removed_and_those_of_the_living_are_not(machine: Machine, folder: Folder) -> None:
    stale, held = old(machine.store / "locks" / ("0" * 64)), machine.store / "locks" / ("1" * 64)
    lock = acquire(folder, held.name, 0)
    assert lock is not None
    old(held)
    machine.says("refresh")
    assert not stale.exists()
    assert held.exists()
    assert acquire(folder, held.name, 0) is None
    lock.release()


def test_failures_long_past_are_forgotten(machine: Machine, folder: Folder) -> None:
    failures = Failures(folder)
    failures.failed("http://lately.example/")
    failures.failed("http://once.example/")
    lately, once = sorted(machine.store.glob("failures/*"), key=lambda path: path.stat().st_mtime_ns)
    digest, count, until = once.read_text().split()
    once.write_text(f"{digest} {count} {int(until) - 86_500}\n")
    ahead = machine.store / "failures" / "fff"
    ahead.write_text(f"{'f' * 64} 3 {time.time() + 10 * 365 * 86_400:.0f}\n")
    machine.says("refresh")
    assert set(machine.store.glob("failures/*")) == {lately}
    assert failures.paused("http://lately.example/")


@pytest.mark.parametrize("content", [b"", b"\0" * 50, b"x" * 5000, b"abc 1 nan\n", b"fff 1 99999999999999999999\n"])
def test_what_is_no_note_is_removed(machine: Machine, folder: Folder, content: bytes) -> None:
    for name in ("abc", "fff"):
        old(machine.store / "failures" / name).write_bytes(content)
    machine.says("refresh")
    assert not list(machine.store.glob("failures/*"))


def test_what_is_no_file_is_left_alone(machine: Machine, folder: Folder) -> None:
    for name in ("tmp", "locks", "failures"):
        (machine.store / name).mkdir(exist_ok=True)
        os.mkfifo(machine.store / name / "fifo")
        (machine.store / name / "link").symlink_to(machine.roots)
        (machine.store / name / "folder").mkdir()
    machine.says("refresh")
    assert machine.roots.exists()
    for name in ("tmp", "locks", "failures"):
        assert {path.name for path in (machine.store / name).iterdir()} == {"fifo", "link", "folder"}
