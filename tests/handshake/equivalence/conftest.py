"""One laboratory for the session, in an environment that is isolated from this machine."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import AIAHost

from .laboratory import Laboratory

MEMORY = Path("/dev/shm")  # a file system in memory, if there is one


@pytest.fixture
def laboratory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Laboratory]:
    """Where worlds are made and played."""
    if sys.version_info < (3, 10):
        pytest.skip("this Python does not show the chain that OpenSSL verified")
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder, AIAHost() as host:
        for name in [name for name in os.environ if name.startswith(("AIA_STORE_", "SSL_CERT_", "XDG_"))]:
            if not name.startswith("AIA_STORE_TEST_"):
                monkeypatch.delenv(name)
        for variable in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
            monkeypatch.setenv(variable, str(Path(folder, "nothing")))
        monkeypatch.setenv("AIA_STORE_ALLOWED_NETWORKS", "127.0.0.0/8")
        monkeypatch.setenv("AIA_STORE_DIR", str(Path(folder, "nothing")))  # each trial sets its own
        yield Laboratory(Path(folder), host)
