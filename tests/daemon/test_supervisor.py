"""What the daemon reports to a supervisor such as systemd, on a real socket."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.conftest import Start
from tests.daemon.running import SECONDS
from tests.manager.machine import Machine
from tests.support.pki import Authority

#: Sets WATCHDOG_PID to its own process, and becomes the daemon.
AS_SYSTEMD = ("sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh")


class Listener:
    """A supervisor's socket, at an address for NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.heard: list[tuple[float, str]] = []

    def hear(self, wanted: str) -> str:
        """The next message that begins with this text."""
        deadline = time.monotonic() + SECONDS
        while True:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            message = self._socket.recv(4096).decode()
            self.heard.append((time.monotonic(), message))
            if message.startswith(wanted):
                return message

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@aia-store-test-{secrets.token_hex(8)}"
    try:
        made = Listener(address)
    except OSError as error:
        pytest.skip(f"no such socket here: {error}")
    yield made
    made.close()


def test_from_start_to_stop(machine: Machine, root: Authority, start: Start, listener: Listener) -> None:
    daemon = start(NOTIFY_SOCKET=listener.address, ready=False)
    listener.hear("READY=1")
    assert machine.bundle_file.exists()
    assert "1 trust anchor and 0 intermediates" in listener.hear("STATUS=")
    daemon.send(signal.SIGHUP)
    reloading = listener.hear("RELOADING=1")
    assert abs(int(reloading.partition("MONOTONIC_USEC=")[2]) - time.monotonic_ns() // 1000) < 10_000_000
    listener.hear("READY=1")
    assert daemon.end()[0] == 0
    listener.hear("STOPPING=1")
    assert not [message for _, message in listener.heard if message.startswith("WATCHDOG")]


def test_signs_of_life_twice_as_often_as_asked(
    machine: Machine, root: Authority, start: Start, listener: Listener
) -> None:
    start(*AS_SYSTEMD, NOTIFY_SOCKET=listener.address, WATCHDOG_USEC="1000000")
    for _ in range(5):
        listener.hear("WATCHDOG=1")
    times = [when for when, message in listener.heard if message == "WATCHDOG=1"]
    assert (times[-1] - times[0]) / (len(times) - 1) < 0.75
    assert times[-1] - times[0] > 1


def test_none_where_another_process_is_watched(
    machine: Machine, root: Authority, start: Start, listener: Listener
) -> None:
    daemon = start(NOTIFY_SOCKET=listener.address, WATCHDOG_USEC="200000", WATCHDOG_PID=str(os.getpid()))
    time.sleep(0.5)
    daemon.end()
    listener.hear("STOPPING=1")
    assert not [message for _, message in listener.heard if message.startswith("WATCHDOG")]


def test_ready_without_roots_too(machine: Machine, start: Start, listener: Listener) -> None:
    """Otherwise it would delay the machine's start. It has reported the error, and tries again."""
    start(NOTIFY_SOCKET=listener.address, ready=False)
    listener.hear("READY=1")
    assert "AIA_STORE_ROOTS" in listener.hear("STATUS=")


def test_a_status_is_one_line_of_text_whatever_the_store_is_called(
    machine: Machine, root: Authority, start: Start, listener: Listener
) -> None:
    """The supervisor reads a second line as another message, and the name of a folder may be no text at all."""
    folder = os.fsdecode(os.fsencode(machine.folder) + b"/\xff\nREADY=0")
    daemon = start(NOTIFY_SOCKET=listener.address, AIA_STORE_DIR=folder)
    assert listener.hear("STATUS=build").count("\n") == 0
    assert daemon.end()[0] == 0


@pytest.mark.parametrize("address", ["/nowhere/notify", "", "@nobody-listens-here"])
def test_a_supervisor_that_does_not_listen_is_no_obstacle(
    machine: Machine, root: Authority, start: Start, address: str
) -> None:
    daemon = start(*AS_SYSTEMD, NOTIFY_SOCKET=address, WATCHDOG_USEC="garbage")
    assert daemon.end()[0] == 0
