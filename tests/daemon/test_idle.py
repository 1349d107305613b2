"""An idle daemon sleeps: neither reading by others nor its own publishing wakes it. And it is small."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.conftest import Start
from tests.daemon.running import Daemon, wait_until
from tests.manager.machine import Machine
from tests.support.pki import Authority, pem

MOST_MEMORY = 60_000_000  # bytes


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine outside of /tmp, because files that others make in /tmp would wake the daemon."""
    folder = tempfile.mkdtemp(dir="/var/tmp")
    yield Machine(Path(folder) / "machine")
    shutil.rmtree(folder)


def settled(daemon: Daemon) -> None:
    """Everything that was started has ended, and its effects were noticed."""
    wait_until(lambda: not daemon.works())
    time.sleep(1.5)


def test_nothing_wakes_it(machine: Machine, root: Authority, start: Start) -> None:
    daemon = start()
    settled(daemon)
    wakes = daemon.wakes()
    for _ in range(50):
        machine.roots.read_bytes()
        os.listdir(machine.folder)
        machine.bundle_file.read_bytes()
    time.sleep(1)
    assert daemon.wakes() == wakes
    beside = machine.folder / "beside"
    beside.write_text(machine.roots.read_text() + pem(Authority.root("One More")))
    beside.replace(machine.roots)
    daemon.wait_for("build", count=2)
    settled(daemon)
    wakes = daemon.wakes()
    time.sleep(1)
    assert daemon.wakes() == wakes
    assert len(daemon.named("build")) == 2


def test_it_takes_no_cpu_and_little_memory(machine: Machine, root: Authority, start: Start) -> None:
    machine.plant(*(root.intermediate(f"Intermediate {number}") for number in range(50)))
    daemon = start()
    settled(daemon)
    ticks = daemon.cpu_ticks()
    time.sleep(3)
    assert daemon.cpu_ticks() - ticks <= 1  # of 300
    assert daemon.memory() < MOST_MEMORY
