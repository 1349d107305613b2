"""gevent and eventlet: many green threads in one thread, and waits inside OpenSSL's callback."""

from __future__ import annotations

import hashlib
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from aia_store.inside.locks import acquire
from aia_store.inside.store import Folder
from tests.clients.environments import Environments, NotInstallable
from tests.clients.table import PROGRAMS
from tests.conftest import MakeHierarchy, wait_until
from tests.manager.machine import Machine
from tests.support.servers import AIAHost, TLSServer

CROWD = 200

#: Runs a program, `-c WATCHED program port cafile`, and prints how often a greenlet switched inside our callback.
WATCHED = """
import runpy, sys
import greenlet

switches = []

def see(event, greenlets):
    frame = greenlets[0].gr_frame
    while frame is not None:
        if frame.f_code.co_name == "_see_message":
            switches.append(event)
        frame = frame.f_back

greenlet.settrace(see)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
greenlet.settrace(None)
print(len(switches), "switches")
"""


@dataclass(frozen=True)
class Crowd:
    """A program whose green threads connect at once, each with a context of its own, and print ok."""

    machine: Machine
    python: Path
    library: str

    def visit(self, server: TLSServer, cafile: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Let them connect to this server, with our hook."""
        program = PROGRAMS / f"{self.library}_crowd.py"
        return self.machine.execute(
            self.python, "-c", WATCHED, program, server.port, cafile, PYTHONPATH=None, **variables
        )


@pytest.fixture(params=["gevent", "eventlet"])
def crowd(request: pytest.FixtureRequest, machine: Machine, environments: Environments) -> Crowd:
    """One program for gevent, and one for eventlet."""
    try:
        return Crowd(machine, environments.python(["gevent", "eventlet"]), request.param)
    except NotInstallable as error:
        pytest.skip(f"{request.param} cannot be installed here: {error}")


@pytest.mark.parametrize("has_disk", [True, False], ids=["with a disk", "without a disk"])
def test_a_crowd_through_a_cold_cache_fetches_once(
    crowd: Crowd, hierarchy: MakeHierarchy, aia: AIAHost, has_disk: bool
) -> None:
    pki = hierarchy()
    aia.publish("/0.cer", pki.intermediates[0].der, delay=0.5)
    with TLSServer(pki.leaf) as server:
        done = crowd.visit(server, pki.cafile, **({} if has_disk else {"AIA_STORE_DIR": "/proc/nowhere"}))
    assert done.stdout == "ok\n0 switches\n", done.stderr
    assert (server.connections, server.handshakes) == (CROWD, CROWD)
    assert aia.count() == 1


def test_a_crowd_waits_for_another_process_without_switching(
    crowd: Crowd, machine: Machine, hierarchy: MakeHierarchy, aia: AIAHost
) -> None:
    pki = hierarchy()
    name = hashlib.sha256(pki.urls(aia)[0].encode()).hexdigest()
    lock = acquire(Folder(str(machine.store)), name, time.monotonic() + 5)
    assert lock is not None
    with TLSServer(pki.leaf) as server:

        def release() -> None:
            wait_until(lambda: server.connections == CROWD)
            time.sleep(1)
            assert aia.count() == 0
            lock.release()

        other = threading.Thread(target=release)
        other.start()
        done = crowd.visit(server, pki.cafile)
        other.join()
    assert done.stdout == "ok\n0 switches\n", done.stderr
    assert server.handshakes == CROWD
    assert aia.count() == 1


def test_a_crowd_before_a_dead_host_waits_for_one_fetch(crowd: Crowd, hierarchy: MakeHierarchy, aia: AIAHost) -> None:
    pki = hierarchy()
    url = aia.publish("/silent.cer", pki.intermediates[0].der, delay=30)
    with TLSServer(pki.intermediates[0].leaf(aia=[url])) as server:
        done = crowd.visit(server, pki.cafile)
    assert "certificate verify failed" in done.stderr.lower()
    assert (server.connections, server.handshakes) == (CROWD, 0)
    assert aia.count() == 1


def test_a_waiting_connection_shows_the_context_that_the_program_set(
    crowd: Crowd, hierarchy: MakeHierarchy, aia: AIAHost
) -> None:
    pki = hierarchy()
    aia.publish("/0.cer", pki.intermediates[0].der)
    with TLSServer(pki.leaf) as server:
        done = crowd.machine.execute(
            crowd.python, PROGRAMS / "green_contexts.py", crowd.library, server.port, pki.cafile, PYTHONPATH=None
        )
    assert done.stdout == "shook hands; seen: the program's context\n", done.stderr
    assert aia.count() == 1
