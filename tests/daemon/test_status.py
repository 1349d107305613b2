"""`status` says whether the daemon runs, since when, what it did last, and what comes next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.daemon.conftest import Start
from tests.manager.machine import Machine
from tests.support.pki import Authority

NOT_RUNNING = ("not running (optional)", None)


def daemon_aspect(machine: Machine, **variables: str | None) -> tuple[str, str | None]:
    """What `status --json` says of the daemon, and its remedy."""
    found = {item["name"]: item for item in json.loads(machine.run("status", "--json", **variables).stdout)}
    return found["daemon"]["state"], found["daemon"]["remedy"]


def test_none_is_no_fault(machine: Machine, root: Authority) -> None:
    assert daemon_aspect(machine) == NOT_RUNNING
    assert not [path for path in machine.store.rglob("*") if path.is_file()]
    assert "not running (optional)" in machine.says("status", status=1)


def test_one_that_runs(machine: Machine, root: Authority, start: Start) -> None:
    daemon = start()
    state, remedy = daemon_aspect(machine)
    assert remedy is None
    today = time.strftime("%Y-%m-%d", time.gmtime())
    since = f"process {daemon.pid} running since {today}"
    for part in (since, "last done: build at", "1 trust anchor", "next: refresh at"):
        assert part in state
    shown = machine.says("status", status=1)
    assert since in " ".join(shown.split())
    daemon.send(signal.SIGUSR1)
    daemon.wait_for("refresh")
    assert "last done: refresh at" in daemon_aspect(machine)[0]
    daemon.end()
    assert daemon_aspect(machine) == NOT_RUNNING


def test_one_that_failed_last(machine: Machine, root: Authority, start: Start) -> None:
    daemon = start()
    machine.roots.unlink()
    daemon.wait_for("build", "is not a file")
    state, remedy = daemon_aspect(machine)
    assert "last failed: build at" in state
    assert str(machine.roots) in state
    assert remedy is not None


def test_the_last_refresh_outlives_the_daemon(machine: Machine, root: Authority, start: Start) -> None:
    """If it is started again and again, it does not ask the CAs each time."""
    daemon = start()
    daemon.send(signal.SIGUSR1)
    daemon.wait_for("refresh")
    daemon.end()
    start()
    state = json.loads((machine.store / "daemon.json").read_text())
    assert state["next_refresh"] - time.time() > 20 * 3600


def test_a_state_whose_process_is_gone(machine: Machine, root: Authority, start: Start) -> None:
    start().end(signal.SIGKILL)
    file = machine.store / "daemon.json"
    state = json.loads(file.read_text())
    assert daemon_aspect(machine) == NOT_RUNNING
    file.write_text(json.dumps(state | {"pid": os.getpid()}))
    assert daemon_aspect(machine) == NOT_RUNNING


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"pid": "x"}',
        b"x" * 100_000,
        b'{"pid": 1e999, "process": "", "since": 0, "watching": "", "refreshed": null, "last": null}',
        b'{"pid": 1, "process": "", "since": 0, "watching": "", "refreshed": null, "last": {}, "next_refresh": 0}',
    ],
)
def test_a_state_that_is_not_ours(machine: Machine, root: Authority, content: bytes) -> None:
    machine.build()
    (machine.store / "daemon.json").write_bytes(content)
    assert daemon_aspect(machine) == NOT_RUNNING


def test_a_state_does_not_steer_the_terminal(machine: Machine, root: Authority, start: Start) -> None:
    start()
    file = machine.store / "daemon.json"
    state = json.loads(file.read_text())
    last = {"action": "build\x1b[31m", "at": 1e300, "outcome": "one\ntwo\x1b[2J" + "x" * 5000, "failed": False}
    os.kill(state["pid"], signal.SIGSTOP)  # otherwise it might write its own state again
    try:
        file.write_text(json.dumps(state | {"last": last, "since": 1e17}))
        shown = machine.says("status", status=1)
    finally:
        os.kill(state["pid"], signal.SIGCONT)
    assert "\x1b" not in shown
    assert "a time beyond the calendar" in " ".join(shown.split())
    assert len(shown) < 10_000


#: Whether a daemon runs, as a user sees it who may not look at its lock: `-c ANOTHER_USER store`.
ANOTHER_USER = """
import os, sys
import aia_store.manager.daemon.state
from aia_store.inside.store import Folder
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(aia_store.manager.daemon.state.running(Folder(sys.argv[1])) is not None)
"""


def test_another_user_sees_it_too(machine: Machine, root: Authority, start: Start) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    daemon = start()
    for folder in (machine.store, *machine.store.parents[:-2]):
        folder.chmod(0o755)

    def seen() -> str:
        return subprocess.run(
            [sys.executable, "-c", ANOTHER_USER, str(machine.store)], capture_output=True, text=True, check=True
        ).stdout.strip()

    assert seen() == "True"
    state = json.loads((machine.store / "daemon.json").read_text())
    daemon.end(signal.SIGKILL)
    assert seen() == "False"
    (machine.store / "daemon.json").write_text(json.dumps(state | {"pid": os.getpid()}))
    assert seen() == "False"  # the number now belongs to another process
