"""Many readers, many builders, and a builder that is killed: whoever looks sees a whole bundle."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time

from tests.manager.machine import COMMAND, Machine, loaded
from tests.support.pki import Authority, pem_blocks

ROOTS = [Authority.root(f"Root {number}") for number in range(8)]
REPLACEMENTS = 200
KILLS = 30

#: Builds the bundle again and again, with the intermediates and without them in turn; says when it begins.
BUILDER = """
import os, sys
from aia_store import bundle, config
from aia_store.store import open_store
import aia_store.pki.roots, aia_store.pki.verify

settings = config.load()
print("ready", flush=True)
for number in range(int(sys.argv[1])):
    os.environ["AIA_STORE_ROOTS"] = sys.argv[2 + number % 2]
    bundle.build(config.load())
"""


def test_readers_never_see_fewer_roots(machine: Machine) -> None:
    machine.trust(*ROOTS)
    machine.build()
    other = machine.folder / "other.pem"
    other.write_text(machine.roots.read_text() + Authority.root("One More").pem)
    seen: set[int] = set()
    missing: list[int] = []
    done = threading.Event()
    needed = {root.der for root in ROOTS}

    def read() -> None:
        while not done.is_set():
            found = pem_blocks(machine.bundle_file.read_text())
            seen.add(len(found))
            if not needed <= set(found) or loaded(machine.bundle_file) < len(ROOTS):
                missing.append(len(found))
            time.sleep(0.001)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    built = machine.execute(sys.executable, "-c", BUILDER, REPLACEMENTS, machine.roots, other)
    done.set()
    for reader in readers:
        reader.join()
    assert (built.returncode, built.stderr) == (0, "")
    assert not missing
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
    old, new = (machine.store / "tmp" / name for name in ("old", "new"))
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
