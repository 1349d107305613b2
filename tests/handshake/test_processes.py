"""Many programs at once: one fetch per machine, and nobody waits for a dead process."""

from __future__ import annotations

import errno
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import CONNECT, CONNECT_ONCE, MakeHierarchy, get, run_python, start_python, trusting, wait_until
from tests.support import seccomp
from tests.support.servers import AIAHost, TLSServer

PROCESSES = 32

#: Says when it is ready; connects on command.
CONNECT_WHEN_TOLD = CONNECT + "print('ready', flush=True); sys.stdin.readline(); print(connect(*sys.argv[1:]))\n"

#: Sixteen threads, half of them sharing one context.
THREADS = """
import socket, ssl, sys, threading
from concurrent.futures import ThreadPoolExecutor

shared = ssl.create_default_context(cafile=sys.argv[2])
start = threading.Barrier(16)

def run(number):
    context = shared if number % 2 else ssl.create_default_context(cafile=sys.argv[2])
    start.wait()
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as tcp:
        with context.wrap_socket(tcp, server_hostname="localhost") as tls:
            return tls.version()

with ThreadPoolExecutor(16) as pool:
    print(*pool.map(run, range(16)))
"""


def test_many_processes_make_one_fetch(store: Path, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    aia.publish("/0.cer", pki.intermediates[0].der, delay=0.3)
    with TLSServer(pki.leaf) as server:
        processes = [start_python(CONNECT_WHEN_TOLD, server.port, pki.cafile) for _ in range(PROCESSES)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.communicate(timeout=60) for process in processes] == [("ok\n", "")] * PROCESSES
        assert server.handshakes == PROCESSES
    assert aia.count() == 1
    assert not list(store.glob("locks/*"))
    assert not list(store.glob("tmp/*"))


def test_many_threads_make_one_fetch(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    aia.publish("/0.cer", pki.intermediates[0].der, delay=0.3)
    start = threading.Barrier(PROCESSES)

    def run(context: ssl.SSLContext) -> bytes:
        start.wait()
        return get(server, context)

    shared = trusting(pki.root)
    contexts = [shared if number % 2 else trusting(pki.root) for number in range(PROCESSES)]
    with TLSServer(pki.leaf) as server, ThreadPoolExecutor(PROCESSES) as pool:
        assert list(pool.map(run, contexts)) == [b"ok"] * PROCESSES
    assert aia.count() == 1


def test_one_fetch_per_process_where_nothing_can_be_written(
    store: Path, aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    pki = hierarchy()
    aia.publish("/0.cer", pki.intermediates[0].der, delay=0.2)
    store.parent.joinpath("file").write_text("in the way")
    unwritable = {"AIA_STORE_DIR": str(store.parent / "file" / "store")}
    with TLSServer(pki.leaf) as server:
        for fetches in (1, 2):
            done = run_python(THREADS, server.port, pki.cafile, env=unwritable)
            assert (done.stdout.split(), done.stderr) == (["TLSv1.3"] * 16, "")
            assert aia.count() == fetches


def test_failures_are_remembered_where_nothing_can_be_written(
    store: Path, aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    pki = hierarchy()
    aia.publish("/0.cer", b"", status=404)
    store.parent.joinpath("file").write_text("in the way")
    code = CONNECT + (
        "for _ in range(3):\n"
        "    try: connect(*sys.argv[1:])\n"
        "    except ssl.SSLCertVerificationError as error: print(error.verify_code)\n"
    )
    with TLSServer(pki.leaf) as server:
        done = run_python(code, server.port, pki.cafile, env={"AIA_STORE_DIR": str(store.parent / "file" / "store")})
    assert (done.stdout, done.stderr) == ("20\n20\n20\n", "")
    assert aia.count() == 1


@pytest.mark.parametrize("obstacle", ["certificates", "locks", "tmp", "failures"])
def test_a_file_where_a_folder_belongs(store: Path, aia: AIAHost, hierarchy: MakeHierarchy, obstacle: str) -> None:
    pki = hierarchy()
    store.mkdir(0o700)
    (store / obstacle).write_text("in the way")
    with TLSServer(pki.leaf) as server:
        done = run_python(CONNECT_ONCE, server.port, pki.cafile)
    assert (done.stdout, done.stderr) == ("ok\n", "")
    assert aia.count() == 1


def test_a_killed_process_blocks_nobody(store: Path, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    url_of_old = aia.silent("/0.cer")
    with TLSServer(pki.leaf) as server:
        first = start_python(CONNECT_ONCE, server.port, pki.cafile)
        wait_until(lambda: aia.count() == 1)
        assert aia.publish("/0.cer", pki.intermediates[0].der) == url_of_old
        second = start_python(CONNECT_WHEN_TOLD, server.port, pki.cafile)
        assert second.stdin is not None
        second.stdin.write("\n")
        second.stdin.flush()
        wait_until(lambda: server.connections == 2)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(0.3)  # for the first one's fetch
        assert aia.count() == 1
        first.kill()
        started = time.monotonic()
        assert second.communicate(timeout=30) == ("ready\nok\n", "")
        assert time.monotonic() - started < 1
        first.communicate()
        assert aia.count() == 2
        assert run_python(CONNECT_ONCE, server.port, pki.cafile).stdout == "ok\n"
        assert aia.count() == 2


def test_a_fork_completes_too(store: Path, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy({}, {})
    code = CONNECT + (
        "import os\n"
        "context = ssl.create_default_context(cafile=sys.argv[2])\n"
        "print(connect(*sys.argv[1:]), flush=True)\n"
        "if os.fork() == 0:\n"
        "    print(connect(*sys.argv[1:]), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    with TLSServer(pki.leaf) as server:
        assert run_python(code, server.port, pki.cafile).stdout == "ok\nok\n"
    assert aia.count() == 2


@pytest.mark.skipif(not seccomp.supported, reason="no seccomp filter is known for this machine")
@pytest.mark.parametrize("name", ["ENOLCK", "ENOSYS", "EOPNOTSUPP", "EINVAL"])
def test_a_file_system_without_locks(store: Path, aia: AIAHost, hierarchy: MakeHierarchy, name: str) -> None:
    """There, only one fetch at a time in each process is possible; and what one process has kept, all find."""
    pki = hierarchy()
    aia.publish("/0.cer", pki.intermediates[0].der, delay=0.2)
    code = f"from tests.support.seccomp import flock_fails_with\nflock_fails_with({getattr(errno, name)})\n" + THREADS
    with TLSServer(pki.leaf) as server:
        for _ in range(2):
            done = run_python(code, server.port, pki.cafile)
            assert (done.stdout.split(), done.stderr) == (["TLSv1.3"] * 16, "")
    assert aia.count() == 1
    assert not list(store.glob("locks/*"))


def test_a_child_forked_during_a_fetch_does_not_wait_if_nothing_can_be_written(
    store: Path, aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    pki = hierarchy()
    aia.silent("/0.cer")
    code = CONNECT + (
        "import os, threading\n"
        "def fetch():\n"
        "    try: connect(*sys.argv[1:])\n"
        "    except ssl.SSLError: pass\n"
        "threading.Thread(target=fetch, daemon=True).start()\n"
        "sys.stdin.readline()\n"
        "if os.fork() == 0:\n"
        "    print(connect(*sys.argv[1:]), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "os._exit(0)\n"
    )
    store.parent.joinpath("file").write_text("in the way")
    env = {"AIA_STORE_DIR": str(store.parent / "file" / "store"), "PYTHONWARNINGS": "ignore"}
    with TLSServer(pki.leaf) as server:
        process = start_python(code, server.port, pki.cafile, env=env)
        wait_until(lambda: aia.count() == 1)
        aia.publish("/0.cer", pki.intermediates[0].der)
        started = time.monotonic()
        assert process.communicate("\n", timeout=30) == ("ok\n", "")
        assert time.monotonic() - started < 4, "the thread of its parent is still at it"
