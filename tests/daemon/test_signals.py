"""Signals, the configuration, and two at once."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

import aia_store
from tests.daemon.conftest import Start
from tests.daemon.running import is_alive, wait_until
from tests.manager.machine import COMMAND, Machine
from tests.support.pki import Authority, pem, pem_blocks

OTHER = Authority.root("Other Root")
ENDS_WITHIN = 5.0  # seconds, on a busy machine too


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_when_idle(machine: Machine, root: Authority, start: Start, number: signal.Signals) -> None:
    daemon = start()
    status, seconds = daemon.end(number)
    assert (status, daemon.events[-1]["event"]) == (0, "stop")
    assert seconds < ENDS_WITHIN
    assert not list(machine.store.glob("locks/*"))


@pytest.mark.parametrize("moment", [0.0, 0.2, 0.5])
def test_it_ends_at_once_in_the_middle_of_a_refresh(
    machine: Machine, root: Authority, start: Start, moment: float
) -> None:
    planted = [root.intermediate(f"Intermediate {number}") for number in range(60)]
    machine.plant(*planted)
    daemon = start()
    before = machine.bundle_file.read_bytes()
    daemon.send(signal.SIGUSR1)
    wait_until(daemon.works)
    time.sleep(moment)
    status, seconds = daemon.end()
    assert (status, seconds < ENDS_WITHIN) == (0, True)
    assert daemon.events[-1]["event"] == "stop"
    assert machine.bundle_file.read_bytes() == before
    assert machine.kept() == {certificate.der for certificate in planted}
    assert not list(machine.store.glob("tmp/*"))
    assert not list(machine.store.glob("locks/*"))


def test_killed_it_leaves_a_store_that_the_next_one_takes(machine: Machine, root: Authority, start: Start) -> None:
    daemon = start()
    daemon.end(signal.SIGKILL)
    assert "not running" in machine.says("status", status=1)
    start()
    assert machine.bundled() == [root.der]


def test_refresh_at_once(machine: Machine, root: Authority, start: Start) -> None:
    orphan = OTHER.intermediate()
    daemon = start()
    machine.plant(orphan)
    daemon.send(signal.SIGUSR1)
    told = daemon.wait_for("refresh", "1 dropped")
    assert told["level"] == "info"
    assert any("trust anchor" in event["message"] for event in daemon.named("refresh"))
    assert machine.kept() == set()


def test_a_refresh_that_is_asked_for_during_another(machine: Machine, root: Authority, start: Start) -> None:
    """The one that runs may have read the store before."""
    machine.plant(*(root.intermediate(f"Intermediate {number}") for number in range(10)))
    daemon = start()
    daemon.send(signal.SIGUSR1)
    wait_until(lambda: daemon.workers("refresh"))
    [worker] = daemon.workers("refresh")
    os.kill(worker, signal.SIGSTOP)
    daemon.send(signal.SIGUSR1)
    time.sleep(0.2)
    os.kill(worker, signal.SIGCONT)
    daemon.wait_for("refresh", count=2)


def configure(machine: Machine, text: str) -> None:
    machine.config.parent.mkdir(parents=True, exist_ok=True)
    machine.config.write_text(text)


@pytest.mark.parametrize("signalled", [True, False], ids=["SIGHUP", "by itself"])
def test_the_configuration_is_read_again(machine: Machine, root: Authority, start: Start, signalled: bool) -> None:
    first, second = machine.folder / "first.pem", machine.folder / "second.pem"
    first.write_text(pem(root))
    second.write_text(pem(OTHER))
    if signalled:
        configure(machine, f'roots = "{first}"')
    daemon = start(AIA_STORE_ROOTS=None if signalled else str(first))
    assert machine.bundled() == [root.der]
    if signalled:
        configure(machine, f'roots = "{second}"')
        daemon.send(signal.SIGHUP)
        daemon.wait_for("reload", "read again")
        wait_until(lambda: pem_blocks(machine.bundle_file.read_text()) == [OTHER.der])
        second.write_text(pem(root, OTHER))  # which is watched now
        wait_until(lambda: pem_blocks(machine.bundle_file.read_text()) == [root.der, OTHER.der])
    else:
        configure(machine, "refresh_hours = 5")  # the folder is new, too
        daemon.wait_for("reload", "read again")


def test_a_configuration_that_cannot_be_used_changes_nothing(machine: Machine, root: Authority, start: Start) -> None:
    daemon = start()
    configure(machine, "refresh_hours = 'often'")
    failed = daemon.wait_for("reload", "refresh_hours")
    assert failed["level"] == "error"
    assert "stay as they were" in failed["message"]
    machine.trust(root, OTHER)
    wait_until(lambda: pem_blocks(machine.bundle_file.read_text()) == [root.der, OTHER.der])


def test_the_configuration_is_read_again_while_an_update_has_removed_the_package(
    machine: Machine, root: Authority, start: Start, tmp_path: Path
) -> None:
    package = shutil.copytree(Path(aia_store.__file__).parent, tmp_path / "installed" / "aia_store")
    daemon = start(PYTHONPATH=os.pathsep.join([str(package.parent), *filter(None, sys.path)]))
    shutil.rmtree(package)
    configure(machine, "refresh_hours = 5")
    daemon.wait_for("reload", "read again")


def test_it_does_not_begin_with_a_configuration_that_cannot_be_used(machine: Machine, root: Authority) -> None:
    configure(machine, "refresh_hours = 0")
    assert "refresh_hours" in machine.complains("daemon", status=2)


def test_a_reload_may_move_the_store(machine: Machine, root: Authority, start: Start) -> None:
    first, second = machine.folder / "first", machine.folder / "second"
    configure(machine, f'dir = "{first}"')
    daemon = start(AIA_STORE_DIR=None)
    assert (first / "bundle.pem").exists()
    configure(machine, f'dir = "{second}"')
    daemon.send(signal.SIGHUP)
    wait_until((second / "bundle.pem").exists)
    assert not list(first.glob("locks/*"))
    assert "running since" in machine.says("status", status=1, AIA_STORE_DIR=str(second))
    assert "not running" in machine.says("status", status=1, AIA_STORE_DIR=str(first))


def test_one_at_a_time(machine: Machine, root: Authority, start: Start) -> None:
    first = start()
    done = machine.run("daemon")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"aia-store: process {first.pid} already manages the store in {machine.store}; `aia-store status` says more\n"
    )
    assert is_alive(first.pid)
    first.end()
    start()


def test_the_store_is_removed_under_it(machine: Machine, root: Authority, start: Start) -> None:
    """It makes the lock anew, and nobody else can take it."""
    daemon = start()
    shutil.rmtree(machine.store)
    os.utime(machine.folder)
    machine.trust(root, OTHER)
    wait_until(machine.bundle_file.exists, 10, lambda: daemon.lines)
    assert machine.bundled() == [root.der, OTHER.der]
    assert "already" in machine.run("daemon").stderr
    assert "running since" in machine.says("status", status=1)


def test_the_store_is_removed_under_it_and_taken_by_another(machine: Machine, root: Authority, start: Start) -> None:
    """What it learns of its work afterwards does not become the state of the other one."""
    first = start()
    first.send(signal.SIGUSR1)
    wait_until(lambda: first.workers("refresh"))
    [worker] = first.workers("refresh")
    first.send(signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    shutil.rmtree(machine.store)
    second = start()
    first.send(signal.SIGCONT)
    assert first.process.wait(10) == 1
    assert f"process {second.pid} already manages the store" in first.said
    assert f"process {second.pid}" in machine.run("daemon").stderr


def test_the_log_is_one_line_an_event(machine: Machine, root: Authority) -> None:
    with machine.start([*COMMAND, "daemon"]) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        lines += process.communicate(timeout=20)[1].splitlines(keepends=True)
    assert [line.split()[1:3] for line in lines] == [["info", "start:"], ["info", "build:"], ["info", "stop:"]]
    assert all(line.endswith("\n") for line in lines)


def test_it_goes_on_if_nobody_reads_its_log(machine: Machine, root: Authority, start: Start) -> None:
    full = "/dev/full"
    if not os.path.exists(full):
        pytest.skip("no device that is always full")
    with machine.start(["sh", "-c", f'exec "$@" 2>{full}', "sh", *COMMAND, "daemon"]) as process:
        wait_until(machine.bundle_file.exists)
        machine.trust(root, OTHER)
        wait_until(lambda: pem_blocks(machine.bundle_file.read_text()) == [root.der, OTHER.der])
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0


def test_a_log_that_was_closed_does_not_go_into_another_file(machine: Machine, root: Authority) -> None:
    """What a process opens first takes the number of a descriptor that its parent closed."""
    with machine.start(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *COMMAND, "daemon"]) as process:
        wait_until(machine.bundle_file.exists)
        locks = {path.name: path.read_bytes() for path in machine.store.glob("locks/*")}
        process.terminate()
        assert process.wait(20) == 0
    assert locks["daemon"] == b""
