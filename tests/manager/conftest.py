"""What the manager's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manager.machine import Machine
from tests.support.pki import Authority


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine of the test's own."""
    return Machine(tmp_path / "machine")


@pytest.fixture
def root(machine: Machine) -> Authority:
    """The machine's only trust anchor."""
    authority = Authority.root("Manager Root")
    machine.trust(authority)
    return authority
