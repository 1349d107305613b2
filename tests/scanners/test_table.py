"""The table in docs/check.md is about all kinds, and what it says of `aia-store check` is so."""

from __future__ import annotations

from pathlib import Path

from tests.cli.check.street import street
from tests.manager.machine import Machine

from .__main__ import BEGIN, DOCUMENT, END, scan
from .kinds import KINDS


def test_the_table_is_true_of_check(tmp_path: Path) -> None:
    table = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.strip().splitlines()[2:]]
    with street(Machine(tmp_path / "machine")) as servers:
        found = [
            [kind, ", ".join(words.named_in(scan(servers.machine, "check", servers.servers[kind].port)))]
            for kind, words in KINDS.items()
        ]
    assert rows == found
