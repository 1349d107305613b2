"""What the tests of the library share: a machine that trusts the test root, and a server that sends its leaf alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Hierarchy, MakeHierarchy
from tests.support.servers import TLSServer


@pytest.fixture
def pki(store: Path, hierarchy: MakeHierarchy, monkeypatch: pytest.MonkeyPatch) -> Hierarchy:
    """A hierarchy whose root this machine trusts, and no other; with a store of its own."""
    made = hierarchy()
    monkeypatch.setenv("AIA_STORE_ROOTS", str(made.cafile))
    return made


@pytest.fixture
def server(pki: Hierarchy) -> Iterator[TLSServer]:
    """Sends its leaf alone."""
    with TLSServer(pki.leaf) as listening:
        yield listening


def host_of(server: TLSServer) -> str:
    """The server as the library takes it."""
    return f"localhost:{server.port}"
