"""A store with far more files than there are CAs: everything works in limited time and memory, and reports it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import pytest

from aia_store.inside.certificate import Certificate
from aia_store.inside.store import MOST_FILES, Folder
from tests.manager.machine import COMMAND, HOOKED, Machine
from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

FILES = 200_000
MOST_MEMORY = 400 << 20  # bytes of address space
MOST_SECONDS = 120.0  # on a busy machine too


@pytest.fixture(params=["spread", "of one name"])
def crowd(machine: Machine, root: Authority, request: pytest.FixtureRequest) -> Iterator[Authority]:
    """An intermediate in a store with 200,000 files that nobody needs, of all names or beside it; and its bundle."""
    with machine.store_in_memory():
        held = root.intermediate("Held")
        file = machine.plant(held)[0]
        machine.build()
        Folder(str(machine.store)).note_change()
        for number in range(FILES):
            if request.param == "spread":
                if number % 1000 == 0:
                    folder = machine.store / "certificates" / f"{number // 1000:02x}" / f"{number // 1000:02x}{0:062}"
                    folder.mkdir(parents=True, exist_ok=True)
            else:
                folder = file.parent
            os.close(os.open(f"{folder}/{number:064x}.pem", os.O_CREAT | os.O_WRONLY))
        yield held


def bounded(machine: Machine, *command: object) -> tuple[int, str, str]:
    """Run a command with little memory and little time."""
    limited = f"import resource, os, sys; resource.setrlimit(resource.RLIMIT_AS, ({MOST_MEMORY}, {MOST_MEMORY}))\n"
    limited += "os.execv(sys.argv[1], sys.argv[1:])"
    started = time.monotonic()
    done = machine.execute(sys.executable, "-c", limited, *command)
    assert time.monotonic() - started < MOST_SECONDS
    assert "Error" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")
def test_everything_goes_on(machine: Machine, root: Authority, crowd: Authority, aia: AIAHost) -> None:
    assert bounded(machine, *COMMAND, "bundle")[:2] == (0, f"{machine.bundle_file}\n")
    assert bounded(machine, *COMMAND, "list")[0] == 0
    status, output, _ = bounded(machine, *COMMAND, "status")
    assert status == 1
    assert "aia-store clear" in " ".join(output.split())
    url = aia.publish("/held.cer", crowd.der)
    with TLSServer(crowd.leaf(aia=[url])) as server:
        connected = bounded(machine, sys.executable, "-c", HOOKED, server.port, machine.roots)
    assert connected == (0, "TLSv1.3\n", "")
    status, output, errors = bounded(machine, *COMMAND, "refresh")
    assert status == 0
    assert f"{MOST_FILES} dropped" in output or f"{MOST_FILES - 1} dropped" in output
    assert output.count("\n") < 30
    assert "more than 20,000 files" in errors
    assert Certificate(machine.bundled()[0]).der == root.der
    status, output, errors = bounded(machine, *COMMAND, "clear", "--yes")
    assert (status, errors) == (0, "")
    assert int(output.split()[1]) >= FILES - MOST_FILES
    assert list(Folder(str(machine.store)).paths()) == []
    assert machine.build() == [root.der]
