"""One at a time, whoever dies; and no lock is worth waiting for beyond the deadline."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aia_store.inside.locks import Lock, LockError, acquire
from aia_store.inside.store import Folder

from .conftest import Run

HOLD = """
import sys, time
from aia_store.inside.locks import acquire
from aia_store.inside.store import Folder
lock = acquire(Folder(sys.argv[1]), "name", time.monotonic() + 10)
print("held", flush=True)
sys.stdin.read()
lock.release()
"""

EIGHT = """
import sys, time
from pathlib import Path
from aia_store.inside.locks import acquire
from aia_store.inside.store import Folder
counter = Path(sys.argv[2])
for _ in range(25):
    lock = acquire(Folder(sys.argv[1]), "name", time.monotonic() + 50)
    count = int(counter.read_text())
    time.sleep(0.0005)
    counter.write_text(str(count + 1))
    lock.release()
"""


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


def held(folder: Folder, name: str = "name") -> Lock:
    lock = acquire(folder, name, soon())
    assert lock is not None
    return lock


def holder(folder: Folder) -> subprocess.Popen[str]:
    """Another process that holds the lock until its standard input is closed."""
    command = [sys.executable, "-c", HOLD, folder.path]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "held\n"
    return process


def test_only_one_holds_it_at_a_time(folder: Folder) -> None:
    lock = held(folder)
    started = time.monotonic()
    assert acquire(folder, "name", soon(0.2)) is None
    assert 0.1 < time.monotonic() - started < 3
    lock.release()
    held(folder).release()


def test_other_names_are_other_locks(folder: Folder) -> None:
    first, second = held(folder, "a"), held(folder, "b")
    first.release()
    second.release()


def test_no_file_and_no_descriptor_stays(folder: Folder) -> None:
    for _ in range(2_000):
        held(folder).release()
    assert list(Path(folder.path, "locks").iterdir()) == []
    first = os.open(os.devnull, os.O_RDONLY)
    os.close(first)
    assert first < 1_000


def test_a_deadline_in_the_past_still_takes_a_free_lock_and_never_waits(folder: Folder) -> None:
    lock = acquire(folder, "name", time.monotonic() - 1)
    assert lock is not None
    assert acquire(folder, "name", time.monotonic() - 1) is None
    lock.release()


def test_who_waits_sleeps_as_told(folder: Folder) -> None:
    """Within a handshake the sleeping is the caller's, so that signals get through."""
    lock = held(folder)
    naps: list[float] = []
    assert acquire(folder, "name", soon(0.01), naps.append) is None
    lock.release()
    assert naps and max(naps) <= 0.05


def test_another_process_is_waited_for(folder: Folder) -> None:
    process = holder(folder)
    assert acquire(folder, "name", soon(0.1)) is None
    process.communicate("")
    held(folder).release()


@pytest.mark.skipif(os.name != "posix", reason="POSIX only")
def test_a_holder_that_is_killed_leaves_a_file_and_no_lock(folder: Folder) -> None:
    process = holder(folder)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert Path(folder.path, "locks", "name").exists()
    started = time.monotonic()
    held(folder).release()
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("contents", [b"", b"12345\n", bytes(range(100))], ids=["empty", "a number", "junk"])
def test_a_stale_file_of_a_dead_process_holds_nobody_up(folder: Folder, contents: bytes) -> None:
    Path(folder.make("locks"), "name").write_bytes(contents)
    started = time.monotonic()
    held(folder).release()
    assert time.monotonic() - started < 3


def test_eight_processes_never_hold_it_together(folder: Folder, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", EIGHT, folder.path, str(counter)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 8
    assert counter.read_text() == "200"


@pytest.mark.skipif(os.name != "posix", reason="POSIX only")
def test_a_child_that_outlives_the_holder_does_not_keep_it(folder: Folder, run: Run) -> None:
    """A forked child inherits the descriptor, and with it the lock on that file; so the next lock is on a new one."""
    code = """
import os, sys, time
from aia_store.inside.locks import acquire
from aia_store.inside.store import Folder
lock = acquire(Folder(sys.argv[1]), "name", time.monotonic() + 5)
child = os.fork()
if child == 0:
    time.sleep(30)
    os._exit(0)
lock.release()
print(acquire(Folder(sys.argv[1]), "name", time.monotonic() + 1) is not None)
os.kill(child, 9)
"""
    assert run(code, folder.path) == "True\n"


@pytest.mark.skipif(os.name != "posix", reason="POSIX only")
@pytest.mark.parametrize("kind", ["folder", "link", "dangling link"])
def test_a_lock_file_that_is_none_is_said_at_once(folder: Folder, tmp_path: Path, kind: str) -> None:
    place = Path(folder.make("locks"), "name")
    victim = tmp_path / "victim"
    if kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(victim)
        if kind == "link":
            victim.write_bytes(b"precious")
    with pytest.raises(LockError, match=re.escape(folder.path)):
        acquire(folder, "name", soon())
    assert victim.exists() is (kind == "link"), "nothing is made behind a link"


def test_where_nothing_can_be_written_that_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LockError):
        acquire(Folder(str(tmp_path / "file" / "store")), "name", soon())
