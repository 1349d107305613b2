"""A failure is one line in the log, and is tried again: a full disk, a read-only store, no events, no hand-ins."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.conftest import Start
from tests.daemon.running import wait_until
from tests.manager.machine import COMMAND, Machine
from tests.support import seccomp
from tests.support.holder import started
from tests.support.pki import Authority, pem_blocks

OTHER = Authority.root("Other Root")
_HOLD = 'mount -t tmpfs -o size=256k,mode=755 none "$1" && echo ready && exec sleep 600'


#: Runs another program, whose memory can never be both writable and executable.
_TAKE_MEMORY_RIGHTS = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN: since Linux 6.3
os.execvp(sys.argv[1], sys.argv[1:])
"""


LIMITS = [("max_inotify_instances", 0), ("max_inotify_watches", 0), ("max_inotify_watches", 3)]

#: Watches a folder under a limit of inotify, then without it. Arguments: the limit's name, how much is left, and
#: the folder.
_ROOM_AGAIN = """
import pathlib, sys, threading
from aia_store.manager.daemon import watching
from aia_store.manager.daemon.parent_folders import plan
limit, folder = pathlib.Path("/proc/sys/user", sys.argv[1]), pathlib.Path(sys.argv[3])
seen = threading.Event()
watching.TRIED_AGAIN_EVERY = 0.0
limit.write_text(sys.argv[2])
watcher = watching.Watcher(seen.set, lambda: None, lambda line: print(line.partition(" (")[0]))
places = plan([str(folder / "changed")])
for _ in range(3):
    watcher.watch(places)
print(watcher.method)
limit.write_text("1000")
assert watcher.watch(places), "nobody knows what changed meanwhile"
assert not watcher.watch(places)
print(watcher.method)
seen.clear()
(folder / "changed").touch()
print("seen" if seen.wait(10) else "not seen")
watcher.stop()
"""


def bundled(machine: Machine, *certificates: Authority) -> bool:
    return pem_blocks(machine.bundle_file.read_text()) == [certificate.der for certificate in certificates]


def works(before: list[object]) -> bool:
    """Whether a program can be started like this."""
    return subprocess.run([*map(str, before), "true"], capture_output=True, check=False).returncode == 0


class SmallDisk:
    """A file system of 256 KiB at a machine's store, in a mount namespace of its own."""

    def __init__(self, machine: Machine) -> None:
        if os.geteuid() != 0 or shutil.which("unshare") is None:
            pytest.skip("only root can mount a file system")
        machine.store.mkdir()
        try:
            self._holder = started(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", _HOLD, "sh", machine.store]
            )
        except OSError as error:
            pytest.skip(f"nothing can be mounted here: {error}")
        self.inside = ("nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--")
        self.path = Path(f"/proc/{self._holder.pid}/root{machine.store}")
        self._store = machine.store

    def run(self, *command: object) -> None:
        subprocess.run([*self.inside, *map(str, command)], check=True, capture_output=True)

    def fill(self) -> None:
        with (self.path / "filler").open("wb", buffering=0) as file:
            try:
                for _ in range(1024):
                    file.write(bytes(1024))
            except OSError:
                return
        pytest.fail("it never was full")

    def protect(self) -> None:
        """Make it read-only for everybody who uses its path, by a mount over it."""
        self.run("mount", "--bind", self._store, self._store)
        self.run("mount", "-o", "remount,ro,bind", self._store)

    def free(self) -> None:
        """Undo that."""
        self.run("umount", self._store)

    def bundle(self) -> list[bytes]:
        return pem_blocks((self.path / "bundle.pem").read_text())

    def close(self) -> None:
        self._holder.terminate()
        self._holder.communicate()


@pytest.fixture
def disk(machine: Machine) -> Iterator[SmallDisk]:
    made = SmallDisk(machine)
    yield made
    made.close()


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_store_that_cannot_be_written_for_a_while(
    machine: Machine, root: Authority, start: Start, disk: SmallDisk, fault: str
) -> None:
    daemon = start(*disk.inside)
    assert disk.bundle() == [root.der]
    disk.fill() if fault == "full" else disk.protect()
    machine.trust(root, OTHER)
    wait_until(lambda: any(event["level"] == "error" for event in daemon.events), 5)
    assert disk.bundle() == [root.der]
    assert len([event for event in daemon.events if event["level"] == "error"]) == 1
    failed = next(event for event in daemon.events if event["level"] == "error")
    assert str(machine.store) in failed["message"]
    (disk.path / "filler").unlink() if fault == "full" else disk.free()
    wait_until(lambda: disk.bundle() == [root.der, OTHER.der], 10, lambda: daemon.lines)


def test_a_store_that_cannot_be_written_at_the_start(machine: Machine, root: Authority, disk: SmallDisk) -> None:
    disk.protect()
    done = machine.execute(*disk.inside, *COMMAND, "daemon")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr
    assert "AIA_STORE_DIR" in done.stderr


def test_a_store_that_is_not_safe(machine: Machine, root: Authority) -> None:
    machine.store.mkdir()
    machine.store.chmod(0o777)
    assert "can be written by everyone" in machine.complains("daemon")


def test_a_refresh_that_has_much_to_say(machine: Machine, root: Authority, start: Start) -> None:
    """Text from certificates is cut, so that the outcome of the work still reaches the daemon."""
    machine.plant(*(root.intermediate(f"CA {number}", crl=[f"ldap://{'x' * 50_000}"]) for number in range(3)))
    daemon = start()
    daemon.send(signal.SIGUSR1)
    assert "3 kept" in daemon.wait_for("refresh", " kept", seconds=60)["message"]
    assert not [event for event in daemon.events if event["level"] == "error"]


@pytest.mark.parametrize(("limit", "left"), LIMITS)
def test_polling_where_inotify_is_exhausted(
    machine: Machine, root: Authority, start: Start, limit: str, left: int
) -> None:
    script = f'echo {left} > /proc/sys/user/{limit} && exec "$@"'
    before: list[object] = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]
    if shutil.which("unshare") is None or not works(before):
        pytest.skip("no user namespace with a limit of its own can be made here")
    daemon = start(*before)
    assert "polling" in daemon.wait_for("watch")["message"]
    assert f"by {'events and ' if left else ''}polling" in daemon.named("start")[0]["message"]
    assert len(daemon.named("watch")) == 1
    for anchors in [(root, OTHER), (OTHER,)]:
        beside = machine.folder / "beside"
        beside.write_text("".join(anchor.pem for anchor in anchors))
        beside.replace(machine.roots)
        wait_until(lambda anchors=anchors: bundled(machine, *anchors), 8, lambda: daemon.lines)  # type: ignore[misc]
    assert daemon.end()[1] < 1


@pytest.mark.parametrize(("limit", "left"), LIMITS)
def test_events_are_used_again_once_inotify_has_room(tmp_path: Path, limit: str, left: int) -> None:
    """Whoever used it up may have ended long ago, and polling wakes the machine every few seconds."""
    before: list[object] = ["unshare", "--user", "--map-root-user"]
    if shutil.which("unshare") is None or not works([*before, "sh", "-c", f"echo 0 > /proc/sys/user/{limit}"]):
        pytest.skip("no user namespace with a limit of its own can be made here")
    done = subprocess.run(
        [*map(str, before), sys.executable, "-c", _ROOM_AGAIN, limit, str(left), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    lack, room = "the system offers no more change events", "the system offers change events again"
    polled = f"{'events and ' if left else ''}polling"
    assert done.stdout.splitlines() == [lack, polled, room, "events", "seen"], done.stderr


@pytest.mark.skipif(not seccomp.supported, reason="needs a seccomp filter")
def test_no_thread_can_be_started(machine: Machine, root: Authority, start: Start) -> None:
    """As if a limit of tasks was reached. It does not end, and leaves no child behind."""
    daemon = start(*seccomp.WITHOUT_THREADS)
    assert "no process can be started" in daemon.named("build")[0]["message"]
    daemon.wait_for("build", count=2)
    assert not daemon.works()
    assert daemon.end()[0] == 0


def test_without_w_xor_x_without_privileges_and_with_a_read_only_system(
    machine: Machine, root: Authority, start: Start
) -> None:
    """Most restrictions of the systemd unit, because systemd itself cannot run here."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None or shutil.which("unshare") is None:
        pytest.skip("only root can take so much away")
    machine.store.mkdir()
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind / && exec "$@"'
    before: list[object] = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, machine.store]
    before += ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    if not works(before):
        pytest.skip("no mount namespace can be made here")
    daemon = start(*before, sys.executable, "-c", _TAKE_MEMORY_RIGHTS)
    machine.trust(root, OTHER)
    wait_until(lambda: bundled(machine, root, OTHER), 5, lambda: daemon.lines)
    assert "by events" in daemon.named("start")[0]["message"]
    assert not [event for event in daemon.events if event["level"] == "error"]
