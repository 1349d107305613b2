"""Of the real intermediates that the CCADB lists as revoked, none is exported once the list is known."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from tests.manager.machine import Machine
from tests.manager.revoking import by_key, by_serial, onecrl, report
from tests.support.pki import pem_blocks

FILE = Path(__file__).parents[3] / "shared" / "data" / "ccadb" / "revoked.pem"
COUNT = 686

LISTS = {
    "CCADB": report,
    "OneCRL, issuer and serial": lambda ders: onecrl(map(by_serial, ders)),
    "OneCRL, subject and key": lambda ders: onecrl(map(by_key, ders)),
}


@pytest.mark.parametrize("name", LISTS)
def test_none_is_exported(machine: Machine, name: str) -> None:
    if not FILE.exists():
        pytest.skip("the CCADB's reports are not here")
    ders = pem_blocks(FILE.read_text(encoding="utf-8"))
    assert len(ders) == COUNT
    file = machine.folder / "list"
    file.write_bytes(LISTS[name](ders))
    machine.environment |= {
        "AIA_STORE_ROOTS": certifi.where(),
        "AIA_STORE_OFFLINE": "1",
        "AIA_STORE_REVOCATION_LISTS": str(file),
    }
    assert machine.run("add", FILE).stdout.endswith(" not kept.\n")
    assert len(machine.kept()) > COUNT / 2, "or the list is not what keeps them out"
    done = machine.run("refresh")
    assert done.returncode == 0, done
    assert machine.kept() == set()
    assert not set(ders) & set(machine.bundled())
    assert "0 new, 0 known already" in machine.run("add", FILE).stdout
    assert not set(ders) & set(machine.build())
