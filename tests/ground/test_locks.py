"""Locks are exclusive, even if their holder dies; and nobody waits for one beyond the deadline."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aia_store.inside.locks import Lock, LockError, acquire, acquire_in_process
from aia_store.inside.store import Folder

from ..conftest import run_python
from ..support import seccomp
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


@pytest.mark.skipif(os.name != "posix", reason="Windows removes no file that is open")
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


def test_a_wait_uses_the_given_sleep(folder: Folder) -> None:
    """Within a handshake, the caller does the sleeping, so that signals get through."""
    lock = held(folder)
    naps: list[float] = []
    assert acquire(folder, "name", soon(0.01), naps.append) is None
    lock.release()
    assert naps and max(naps) <= 0.05


def test_nobody_waits_for_ever_where_a_program_stops_the_clock(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = held(folder)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    sleeps: list[float] = []
    assert acquire(folder, "name", now + 0.2, sleeps.append) is None
    assert 0.1 < sum(sleeps) <= 0.2
    lock.release()


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
def test_a_stale_file_of_a_dead_process_delays_nobody(folder: Folder, contents: bytes) -> None:
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
def test_a_false_lock_file_is_reported_at_once(folder: Folder, tmp_path: Path, kind: str) -> None:
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


def test_a_release_leaves_the_lock_that_another_has_made_anew(folder: Folder) -> None:
    """Somebody removed the store meanwhile."""
    lost = held(folder)
    shutil.rmtree(folder.path)
    theirs = held(folder)
    lost.release()
    assert acquire(folder, "name", 0) is None
    theirs.release()


def test_where_nothing_can_be_written_that_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LockError):
        acquire(Folder(str(tmp_path / "file" / "store")), "name", soon())


# File systems without locks

FAILING = """
import errno, sys, time
from aia_store.inside.locks import LockError, acquire
from aia_store.inside.store import Folder
from tests.support.seccomp import flock_fails_with
flock_fails_with(getattr(errno, sys.argv[2]))
started = time.monotonic()
try:
    print(acquire(Folder(sys.argv[1]), "name", time.monotonic() + 0.5))
except LockError as error:
    print("none:", error)
print("at once" if time.monotonic() - started < 0.4 else "waited")
"""

needs_seccomp = pytest.mark.skipif(not seccomp.supported, reason="no seccomp filter is known for this machine")


@needs_seccomp
@pytest.mark.parametrize("name", ["ENOLCK", "ENOSYS", "EOPNOTSUPP", "EINVAL", "EIO"])
def test_a_folder_without_locks_is_reported_at_once(folder: Folder, name: str) -> None:
    done = run_python(FAILING, folder.path, name, hook=False)
    assert done.stdout.splitlines() == [
        f"none: {folder.path} knows no file locks ({os.strerror(getattr(errno, name))})",
        "at once",
    ], done.stderr
    assert list(Path(folder.path, "locks").iterdir()) == []


@needs_seccomp
@pytest.mark.parametrize("name", ["EWOULDBLOCK", "EACCES"])
def test_a_lock_that_another_holds_is_waited_for(folder: Folder, name: str) -> None:
    done = run_python(FAILING, folder.path, name, hook=False)
    assert done.stdout == "None\nwaited\n", done.stderr


# Forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_child_holds_nothing_and_cannot_release_its_parents_lock(folder: Folder) -> None:
    lock = held(folder)
    place = Path(folder.path, "locks", "name")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        open_files = {os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")}
        lock.release()
        os.write(writer, b"open" if str(place) in open_files else b"closed")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 16) == b"closed"
    assert place.exists()
    assert acquire(folder, "name", soon(0.05)) is None, "the parent still holds it"
    lock.release()
    held(folder).release()


def test_a_release_unlocks_the_file_even_if_a_child_has_it_open(folder: Folder, tmp_path: Path) -> None:
    """A child that was forked at a bad moment shares the open file, and with it the lock."""
    fcntl = pytest.importorskip("fcntl")
    lock = held(folder)
    os.link(Path(folder.path, "locks", "name"), tmp_path / "same")
    shared = os.dup(lock._descriptor)
    lock.release()
    with open(tmp_path / "same", "rb") as same:
        fcntl.flock(same, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(shared)


# If no file can be locked


def test_in_a_process_only_one_thread_has_a_turn_at_a_time() -> None:
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(50):
            turn = acquire_in_process("name", soon(30))
            assert turn is not None
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.0002)
            inside[0] -= 1
            turn.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_thread_waits_for_anothers_turn_until_the_deadline() -> None:
    turn, other = acquire_in_process("name", soon()), acquire_in_process("other", soon())
    assert turn is not None
    assert other is not None
    assert acquire_in_process("name", soon(0.05)) is None
    turn.release()
    again = acquire_in_process("name", time.monotonic() - 1)
    assert again is not None
    again.release()
    other.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent(run: Run) -> None:
    code = """
import os, threading, time
from aia_store.inside.locks import acquire_in_process
taken = threading.Event()
def work():
    acquire_in_process("name", time.monotonic() + 5)
    taken.set()
    time.sleep(30)
threading.Thread(target=work, daemon=True).start()
taken.wait()
child = os.fork()
if child == 0:
    os._exit(0 if acquire_in_process("name", time.monotonic() + 1) is not None else 1)
print(os.waitpid(child, 0)[1], flush=True)
os._exit(0)
"""
    assert run(code) == "0\n"
