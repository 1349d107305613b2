"""What the tests of clients share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.environments import Environments
from tests.manager.machine import Machine


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    """Virtual environments with clients in them."""
    return Environments(tmp_path_factory.mktemp("clients"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine of the test's own."""
    return Machine(tmp_path / "machine")
