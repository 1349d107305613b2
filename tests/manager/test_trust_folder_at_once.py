"""The trust folder under readers: published again and again, by publishers that are killed, it never fails anybody.

AIA_STORE_TEST_PUBLICATIONS=all tries a thousand publications, otherwise some dozens are made.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aia_store.inside.certificate import Certificate, subject_hash
from tests.manager.machine import COMMAND, Machine
from tests.support.pki import Authority, pem, pem_blocks
from tests.support.servers import TLSServer

ROOTS = [Authority.root(f"Root {number}") for number in range(8)]
PUBLICATIONS = 1000 if os.environ.get("AIA_STORE_TEST_PUBLICATIONS") == "all" else 60

#: Publishes the folder again and again, of one set of roots and of another in turn; a line for each.
PUBLISHER = """
import itertools, os, sys
from aia_store.inside.settings import load
from aia_store.manager import bundle, published

for number in itertools.count():
    os.environ["AIA_STORE_ROOTS"] = sys.argv[1 + number % 2]
    bundle.build(load(), form=published.FOLDER)
    print(number, flush=True)
"""
PYTHON = """
import socket, ssl, sys
context = ssl.create_default_context(capath=sys.argv[1])
with socket.create_connection(("127.0.0.1", int(sys.argv[2])), 30) as tcp:
    with context.wrap_socket(tcp, server_hostname="localhost") as tls:
        print(tls.version())
"""


@pytest.fixture(autouse=True)
def in_memory(machine: Machine) -> Iterator[None]:
    with machine.store_in_memory():
        yield


class Reader(threading.Thread):
    """Reads without a pause until it is stopped; `read` says what was wrong, or nothing."""

    def __init__(self, read: Callable[[], str]) -> None:
        super().__init__()
        self._read = read
        self._stopped = threading.Event()
        self.faults: list[str] = []
        self.loops = 0

    def run(self) -> None:
        while not self._stopped.is_set():
            fault = self._read()
            self.loops += 1
            if fault:
                self.faults.append(fault)

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def by_command(machine: Machine, *command: object) -> Callable[[], str]:
    def read() -> str:
        done = machine.execute(*command)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    return read


def by_name(machine: Machine) -> Callable[[], str]:
    """Every root is found as OpenSSL finds it, and nothing is in a file but one certificate."""
    wanted = {subject_hash(Certificate(root.der).subject_key): root.der for root in ROOTS}

    def read() -> str:
        for stem, der in wanted.items():
            held = pem_blocks((machine.trust_folder / f"{stem}.0").read_text(encoding="ascii"))
            if held != [der]:
                return f"{stem}.0 holds {len(held)} certificates"
        return ""

    return read


@pytest.mark.timeout(900)
@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("curl")), reason="openssl and curl are not here")
def test_four_readers_never_fail(machine: Machine) -> None:
    machine.trust(*ROOTS)
    upper = ROOTS[-1].intermediate("Upper")
    lower = upper.intermediate("Lower")
    machine.preload(upper, lower, *(root.intermediate("I") for root in ROOTS[:1]))
    machine.build_folder()
    other = machine.folder / "other.pem"
    other.write_text(machine.roots.read_text() + Authority.root("One More").pem)
    folder = machine.trust_folder
    chance = random.Random(5)
    with TLSServer(lower.leaf()) as server:
        port = server.port
        verify = ["-verify_return_error", "-verify_hostname", "localhost", "-connect", f"127.0.0.1:{port}"]
        url = f"https://localhost:{port}/"
        readers = [
            Reader(by_command(machine, "openssl", "s_client", "-no-CAfile", "-CApath", folder, *verify)),
            Reader(
                by_command(
                    machine,
                    *("curl", "-q", "-sSf", "--noproxy", "*", "--capath", folder),
                    *("--cacert", machine.store / "one-anchor.pem", url),
                )
            ),
            Reader(by_command(machine, sys.executable, "-c", PYTHON, folder, port)),
            Reader(by_name(machine)),
        ]
        for reader in readers:
            reader.start()
        try:
            published = kills = 0
            while published < PUBLICATIONS:
                with machine.start([sys.executable, "-c", PUBLISHER, machine.roots, other]) as publisher:
                    assert publisher.stdout is not None
                    for _ in range(chance.randrange(5, 30)):
                        assert publisher.stdout.readline(), publisher.stderr and publisher.stderr.read()
                        published += 1
                    time.sleep(chance.uniform(0, 0.02))
                    publisher.kill()
                    kills += 1
        finally:
            for reader in readers:
                reader.stop()
    assert [reader.faults for reader in readers] == [[], [], [], []]
    assert all(reader.loops > 5 for reader in readers), "they were reading all the time"
    assert kills > 1
    assert set(machine.build_folder().values()) >= {root.der for root in ROOTS}
    assert len(list((machine.store / "trust-folders").iterdir())) <= 2


def test_publishers_at_once_agree(machine: Machine, root: Authority) -> None:
    machine.preload(one := root.intermediate())
    publishers = [machine.start([*COMMAND, "bundle", "--folder"]) for _ in range(4)]
    assert [one.communicate(timeout=60) for one in publishers] == [(f"{machine.trust_folder}\n", "")] * 4
    assert set(machine.in_folder().values()) == {root.der, one.der}


def test_a_reader_that_has_the_folder_open_goes_on_with_the_old_one(machine: Machine, root: Authority) -> None:
    machine.preload(root.intermediate())
    before = machine.build_folder()
    opened = os.open(machine.trust_folder, os.O_RDONLY)
    try:
        machine.trust(Authority.root("Another Root"))
        assert machine.build_folder().keys().isdisjoint(before)
        for name, der in before.items():
            with open(os.open(name, os.O_RDONLY, dir_fd=opened), encoding="ascii") as file:
                assert file.read() == pem(der)
    finally:
        os.close(opened)


def test_a_program_that_made_its_context_before_sees_the_new_folder(machine: Machine, root: Authority) -> None:
    """OpenSSL opens a file of the folder by its path, when a chain names it."""
    machine.build_folder()
    program = PYTHON.replace("with socket", "print('made', flush=True); sys.stdin.readline()\nwith socket", 1)
    late = root.intermediate()
    with (
        TLSServer(late.leaf()) as server,
        subprocess.Popen(
            [sys.executable, "-c", program, str(machine.trust_folder), str(server.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "made\n"
        machine.preload(late)
        machine.build_folder()
        child.stdin.write("go\n")
        child.stdin.flush()
        assert child.stdout.readline() == "TLSv1.3\n"


def test_it_can_be_moved_with_its_store(machine: Machine, root: Authority) -> None:
    found = machine.build_folder()
    moved = Path(shutil.move(machine.store, machine.folder / "moved"))
    assert sorted(path.name for path in (moved / "trust").iterdir()) == sorted(found)
