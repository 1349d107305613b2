"""What the daemon's tests share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

import pytest

from tests.daemon.running import Daemon
from tests.manager.conftest import machine as machine
from tests.manager.conftest import root as root
from tests.manager.machine import Machine


class Start(Protocol):
    """Start a daemon on the test's machine, and wait for its first bundle, unless told not to."""

    def __call__(self, *before: object, ready: bool = True, **variables: str | None) -> Daemon: ...


@pytest.fixture
def start(machine: Machine) -> Iterator[Start]:
    """Starts daemons, which end with the test."""
    with contextlib.ExitStack() as started:

        def start(*before: object, ready: bool = True, **variables: str | None) -> Daemon:
            daemon = started.enter_context(Daemon(machine, *before, **variables))
            if ready:
                daemon.wait_for("build")
            return daemon

        yield start
