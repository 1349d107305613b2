"""Many readers, many builders, and a builder that is killed: every reader sees a whole bundle."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.manager.machine import COMMAND, Machine
from tests.support.pki import Authority

ROOTS = [Authority.root(f"Root {number}") for number in range(8)]
REPLACEMENTS = 1000
READERS = 4
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
KILLS = 30

#: Builds the bundle again and again, with the intermediates and without them in turn; says when it begins.
BUILDER = """
import os, sys
from aia_store.inside.settings import load
from aia_store.manager import bundle

load()
print("ready", flush=True)
for number in range(int(sys.argv[1])):
    os.environ["AIA_STORE_ROOTS"] = sys.argv[2 + number % 2]
    bundle.build(load())
"""


#: What a program does that uses the bundle, again and again until its input ends: prints how many certificates it saw.
READER = """
import os, select, ssl, sys, time
seen = set()
loops = 0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    context = ssl.create_default_context()
    seen.add(context.cert_store_stats()["x509"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(os.environ["SSL_CERT_FILE"])
    seen.add(context.cert_store_stats()["x509"])
    loops += 1
    time.sleep(0.005)  # or the builder hardly gets a turn
print(loops, *sorted(seen))
"""


@pytest.fixture
def in_memory(machine: Machine) -> Iterator[None]:
    with machine.store_in_memory():
        yield


@pytest.mark.timeout(300)
def test_readers_never_see_fewer_roots(machine: Machine, in_memory: None) -> None:
    machine.trust(*ROOTS)
    machine.build()
    other = machine.folder / "other.pem"
    other.write_text(machine.roots.read_text() + Authority.root("One More").pem)
    environment = machine.with_variables({"SSL_CERT_FILE": str(machine.bundle_file), "SSL_CERT_DIR": os.devnull})
    readers = [
        subprocess.Popen([sys.executable, "-c", READER], env=environment, **PIPES, text=True) for _ in range(READERS)
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    with machine.start([sys.executable, "-c", BUILDER, REPLACEMENTS, machine.roots, other]) as builder:
        assert builder.communicate(timeout=240) == ("ready\n", "")
    seen = set()
    for reader in readers:
        output, errors = reader.communicate("end\n", timeout=60)
        assert errors == ""
        loops, *counts = map(int, output.split())
        assert loops > 50, "it was looking all the time"
        seen.update(counts)
    assert seen == {len(ROOTS), len(ROOTS) + 1}


def test_builders_at_once_agree(machine: Machine, root: Authority) -> None:
    hung = root.intermediate()
    machine.plant(hung)
    builders = [machine.start([*COMMAND, "bundle"]) for _ in range(6)]
    assert [builder.communicate(timeout=60) for builder in builders] == [(f"{machine.bundle_file}\n", "")] * 6
    assert machine.bundled() == [root.der, hung.der]
    assert not list(machine.store.glob("locks/*"))
    assert not list(machine.store.glob("tmp/*"))


def test_a_builder_that_is_killed_leaves_a_whole_bundle(machine: Machine) -> None:
    machine.trust(*ROOTS)
    machine.build()
    other = machine.folder / "other.pem"
    other.write_text(machine.roots.read_text() + Authority.root("One More").pem)
    chance = random.Random(7)
    for _ in range(KILLS):
        with machine.start([sys.executable, "-c", BUILDER, 10_000, machine.roots, other]) as builder:
            assert builder.stdout is not None
            assert builder.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0, 0.05))
            os.kill(builder.pid, signal.SIGKILL)
        assert len(machine.bundled()) in (len(ROOTS), len(ROOTS) + 1)
    assert machine.build() == [root.der for root in ROOTS]


def test_what_a_killed_builder_left_is_swept_after_a_while(machine: Machine, root: Authority) -> None:
    machine.build()
    old, new = (machine.store / "tmp" / name for name in ("1-2-3", "4-5-6"))
    for path in (old, new):
        path.write_text("cut sho")
    os.utime(old, (0, 0))
    (machine.store / "locks").mkdir(exist_ok=True)
    (machine.store / "locks" / "bundle").touch()
    machine.says("refresh")
    assert not old.exists()
    assert new.exists()


def test_an_interrupted_builder_says_so_in_one_line(machine: Machine) -> None:
    machine.trust(*ROOTS)
    machine.plant(*(ROOTS[0].intermediate(f"Intermediate {number}") for number in range(400)))
    with machine.start([*COMMAND, "bundle"]) as builder:
        while not list(machine.store.glob("locks/*")) and builder.poll() is None:
            time.sleep(0.005)
        time.sleep(0.1)
        builder.send_signal(signal.SIGINT)
        output, errors = builder.communicate(timeout=60)
    assert (output, errors) == ("", "aia-store: stopped\n")
    assert builder.returncode != 0
    assert not machine.bundle_file.exists()
    assert not list(machine.store.glob("tmp/*"))
