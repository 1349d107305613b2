"""Where the system lets a process have no more threads, commands do what can be done, and say the rest in one line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.manager.machine import COMMAND, Machine
from tests.support import seccomp
from tests.support.pki import Authority, pem
from tests.support.servers import TLSServer

needs_seccomp = pytest.mark.skipif(not seccomp.supported, reason="no seccomp filter is known for this machine")


@needs_seccomp
def test_a_refresh_keeps_what_it_cannot_ask_about(machine: Machine, root: Authority) -> None:
    gone = root.intermediate("Gone", not_after=timedelta(seconds=-1))
    machine.plant(gone, root.intermediate(crl=["http://127.0.0.1:8080/a.crl"]))
    done = machine.execute(*seccomp.WITHOUT_THREADS, *COMMAND, "refresh")
    assert "1 intermediate kept, 1 dropped" in done.stdout, done
    assert "no thread can be started to fetch it" in done.stderr


@needs_seccomp
def test_hosts_and_files_are_checked_one_after_the_other(machine: Machine, root: Authority) -> None:
    intermediate = root.intermediate()
    file = machine.folder / "server.pem"
    file.write_text(pem(intermediate.leaf(), intermediate))
    with TLSServer(intermediate.leaf(), [intermediate]) as server:
        done = machine.execute(*seccomp.WITHOUT_THREADS, *COMMAND, "check", file, f"localhost:{server.port}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Complete: ") == 2


@needs_seccomp
def test_what_cannot_do_without_threads_says_so(machine: Machine, root: Authority) -> None:
    done = machine.execute(*seccomp.WITHOUT_THREADS, *COMMAND, "selftest")
    assert (done.returncode, done.stderr) == (1, "aia-store: cannot go on: can't start new thread\n")
