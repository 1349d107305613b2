"""What the tests of trust on demand share: a program that trusts a large CA file, and servers for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ca_files import large_ca_file
from tests.support.pki import Authority
from tests.support.servers import TLSServer


@dataclass(frozen=True)
class Trust:
    """Two roots in one large CA file, and a server under each that sends its whole chain."""

    roots: list[Authority]
    servers: list[TLSServer]
    cafile: Path


@pytest.fixture
def trust(tmp_path: Path) -> Iterator[Trust]:
    roots = [Authority.root("Root One"), Authority.root("Root Two")]
    cas = [root.intermediate(f"CA of {number}") for number, root in enumerate(roots)]
    with TLSServer(cas[0].leaf(), [cas[0]]) as one, TLSServer(cas[1].leaf(), [cas[1]]) as two:
        yield Trust(roots, [one, two], large_ca_file(tmp_path / "roots.pem", *roots))
