"""Signals that arrive while the hook waits: the handshake raises what their handlers raise, unchanged."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import CONNECT_ONCE, Hierarchy, MakeHierarchy, start_python, wait_until
from tests.support.servers import AIAHost, TLSServer

SOON = 2.0  # seconds; a silent host takes five

BY_SOCKET = """
import signal, socket, ssl, sys

def handshake():
    context = ssl.create_default_context(cafile=sys.argv[2])
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as tcp:
        tls = context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False)
        tls.do_handshake()
"""

BY_WRAP_SOCKET = """
import signal, socket, ssl, sys

def handshake():
    context = ssl.create_default_context(cafile=sys.argv[2])
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as tcp:
        context.wrap_socket(tcp, server_hostname="localhost")
"""

BY_OBJECT = """
import signal, socket, ssl, sys

def handshake():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=sys.argv[2])
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as tcp:
        while True:
            try:
                return tls.do_handshake()
            except ssl.SSLWantReadError:
                tcp.sendall(outgoing.read())
                incoming.write(tcp.recv(65536))
"""

OUTCOME = """
class Alarm(Exception):
    pass

def ring(number, frame):
    raise Alarm("ring")

def leave(number, frame):
    sys.exit(7)

signal.signal(signal.SIGALRM, ring)
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGUSR1, lambda number, frame: None)
try:
    handshake()
except BaseException as error:
    print(type(error).__name__, error, error.__cause__, error.__suppress_context__ or error.__context__)
    raise
"""

WAYS = {"socket": BY_SOCKET, "wrap_socket": BY_WRAP_SOCKET, "object": BY_OBJECT}


@pytest.fixture
def pki(store: Path, aia: AIAHost, hierarchy: MakeHierarchy) -> Hierarchy:
    """Its intermediate is with a host that never answers."""
    made = hierarchy()
    aia.silent("/0.cer")
    return made


def ends(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    """Send the signal; the program must end soon, and its end is returned."""
    time.sleep(0.1)  # from the request to the wait for its answer
    started = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert time.monotonic() - started < SOON
    return process.returncode, output, errors


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize(
    ("number", "status", "says"),
    [
        (signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt  None True\n"),
        (signal.SIGALRM, 1, "Alarm ring None True\n"),
        (signal.SIGTERM, 7, "SystemExit 7 None True\n"),
    ],
    ids=["SIGINT", "SIGALRM", "SIGTERM"],
)
def test_during_a_fetch(pki: Hierarchy, aia: AIAHost, way: str, number: signal.Signals, status: int, says: str) -> None:
    with TLSServer(pki.leaf) as server:
        process = start_python(way + OUTCOME, server.port, pki.cafile)
        wait_until(lambda: aia.count() == 1)
        assert ends(process, number)[:2] == (status, says)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_during_the_wait_for_another_process(pki: Hierarchy, aia: AIAHost, way: str) -> None:
    with TLSServer(pki.leaf) as server:
        first = start_python(CONNECT_ONCE, server.port, pki.cafile)
        wait_until(lambda: aia.count() == 1)
        second = start_python(way + OUTCOME, server.port, pki.cafile)
        wait_until(lambda: server.connections == 2)
        time.sleep(0.4)
        assert ends(second, signal.SIGINT)[1] == "KeyboardInterrupt  None True\n"
        first.kill()
        first.communicate()
    assert aia.count() == 1


def test_an_interrupted_program_can_go_on(pki: Hierarchy, aia: AIAHost, store: Path) -> None:
    code = (
        BY_SOCKET + "try: handshake()\nexcept KeyboardInterrupt: print('again', flush=True)\nhandshake()\nprint('ok')\n"
    )
    with TLSServer(pki.leaf) as server:
        process = start_python(code, server.port, pki.cafile)
        wait_until(lambda: aia.count() == 1)
        aia.publish("/0.cer", pki.intermediates[0].der)
        assert ends(process, signal.SIGINT) == (0, "again\nok\n", "")
    assert not list(store.glob("locks/*"))


def test_a_handler_that_raises_nothing_is_no_interrupt(pki: Hierarchy, aia: AIAHost) -> None:
    aia.publish("/0.cer", pki.intermediates[0].der, delay=0.6)
    with TLSServer(pki.leaf) as server:
        process = start_python(BY_SOCKET + OUTCOME + "print('ok')\n", server.port, pki.cafile)
        wait_until(lambda: aia.count() == 1)
        assert ends(process, signal.SIGUSR1) == (0, "ok\n", "")
