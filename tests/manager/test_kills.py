"""kill -9 while learning, refreshing or publishing: the store opens, nothing is lost, the bundle is whole."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from tests.manager.machine import Machine
from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

KILLS = 200
LONGEST = 0.06  # seconds until the kill

#: Forks a process for every line "action delay", which repeats the action, and kills it after the delay.
#: Forked, not started, so that the delay falls into the action and not into the start of an interpreter.
DRIVER = """
import os, signal, socket, ssl, sys, time
from aia_store.inside import settings as config, startup
from aia_store.manager import bundle, refresh
from aia_store.inside.certificate import Certificate, pem_certificates
from aia_store.inside.store import Folder
import aia_store.manager.verify
from aia_store.inside import aia, fetch, rehearsal, search, verification
startup.attach()
port, roots, other, learned, orphan = sys.argv[1:]
settings = config.load()
folder = Folder(settings.dir)
learned, orphan = (Certificate(next(pem_certificates(open(path, "rb").read()))) for path in (learned, orphan))

def learn():
    context = ssl.create_default_context(cafile=roots)
    with socket.create_connection(("localhost", int(port)), 30) as tcp:
        context.wrap_socket(tcp, server_hostname="localhost").close()
    folder.remove(folder.path_of(learned))

def refreshing():
    folder.keep(orphan)
    refresh.run(settings)

def publish():
    for settings.roots in (other, roots):
        bundle.build(settings)

def forever(action):
    while True:
        try:
            action()
        except FileNotFoundError:
            pass  # what the last one was killed over is gone already

actions = {"learn": learn, "refresh": refreshing, "publish": publish}
print("ready", flush=True)
for line in sys.stdin:
    action, delay = line.split()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, b".")
            forever(actions[action])
        except BaseException as error:
            sys.stderr.write(f"{action}: {error!r}\\n")
        os._exit(1)
    os.read(reading, 1)
    time.sleep(float(delay))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


def written(path: Path, *certificates: Authority) -> Path:
    path.write_text("".join(certificate.pem for certificate in certificates))
    return path


def test_killed_at_any_moment(machine: Machine, root: Authority, aia: AIAHost) -> None:
    another, stranger = Authority.root("Another Root"), Authority.root("Stranger")
    machine.trust(root, *(Authority.root(f"Root {number}") for number in range(8)))
    other = machine.folder / "other.pem"
    other.write_text(machine.roots.read_text() + another.pem)
    upper, learned, orphan = root.intermediate("Upper"), root.intermediate("Learned"), stranger.intermediate("Orphan")
    held = {one.der for one in (upper, upper.intermediate("Lower"), *(root.intermediate(f"{n}") for n in range(4)))}
    machine.plant(*held)
    machine.build()
    comes_and_goes = {learned.der, orphan.der}
    chance = random.Random(11)
    files = (written(machine.folder / "learned.pem", learned), written(machine.folder / "orphan.pem", orphan))
    with TLSServer(learned.leaf(aia=[aia.publish("/learned.cer", learned.der)])) as server:
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(server.port), machine.roots, other, *files],
            env=machine.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert driver.stdin is not None
        assert driver.stdout is not None
        assert driver.stderr is not None
        with driver:
            assert driver.stdout.readline() == "ready\n"
            for number in range(KILLS):
                action = ("learn", "refresh", "publish")[number % 3]
                driver.stdin.write(f"{action} {chance.uniform(0, LONGEST)}\n")
                driver.stdin.flush()
                assert driver.stdout.readline() == "-9\n", driver.stderr.read()
                assert held <= machine.kept() <= held | comes_and_goes
                assert held | {root.der} <= set(machine.bundled())
            driver.stdin.close()
            assert (driver.wait(30), driver.stderr.read()) == (0, "")
        assert aia.count("/learned.cer") > 10, "there was learning to kill"
    machine.json("refresh")
    assert held <= machine.kept() <= held | {learned.der}
    assert set(machine.bundled()) >= held | {root.der}
    assert "Lower" in machine.says("list")
    for leftover in (*machine.store.glob("tmp/*"), *machine.store.glob("locks/*")):
        assert leftover.stat().st_size < 100_000
    assert len(machine.json("list")) == len(machine.kept())
