"""What the tests of the fleet share."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.manager.machine import Machine
from tests.manager.share.engines import S3, Engine, WebServer
from tests.support.pki import Authority, pem

ENGINES = {"folder": Engine, "web": WebServer, "s3": S3}

#: Stands in front of the real one in a machine's programs, and names other roots.
_CERTIFI = """
import os
def where():
    return os.path.join(os.path.dirname(__file__), "cacert.pem")
"""


@pytest.fixture
def public(tmp_path: Path) -> Authority:
    """A root that certifi has, as far as the test's machines know."""
    root = Authority.root("Public Root")
    package = tmp_path / "site" / "certifi"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_CERTIFI)
    (package / "cacert.pem").write_text(pem(root))
    digest = base64.urlsafe_b64encode(hashlib.sha256(pem(root).encode()).digest()).rstrip(b"=").decode()
    record = tmp_path / "site" / "certifi-9999.1.1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: certifi\nVersion: 9999.1.1\n")
    (record / "RECORD").write_text(f"certifi/cacert.pem,sha256={digest},{len(pem(root))}\n")
    return root


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine of each kind."""
    with ENGINES[request.param](tmp_path / "engine") as found:
        yield found


@pytest.fixture
def shelf(tmp_path: Path) -> Engine:
    """A folder as a shelf, the simplest engine."""
    return Engine(tmp_path / "shelf")


class Join(Protocol):
    """A new machine that shares over this engine; it trusts the public root and `more`."""

    def __call__(self, name: str, engine: Engine, *more: Authority, reads: bool = False) -> Machine: ...


@pytest.fixture
def join(tmp_path: Path, public: Authority) -> Join:
    """Make machines."""

    def join(name: str, engine: Engine, *more: Authority, reads: bool = False) -> Machine:
        machine = Machine(tmp_path / name)
        machine.trust(public, *more)
        machine.environment |= {
            **engine.environment,
            "AIA_STORE_SHARE": engine.reading if reads else engine.url,
            "PYTHONPATH": f"{tmp_path / 'site'}:{machine.environment.get('PYTHONPATH', '')}".rstrip(":"),
        }
        return machine

    return join
