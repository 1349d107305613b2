"""What a run of the whole table found, kept in a file for `docs/clients.md`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.clients.table import Client

#: Set by `tests.clients.document`: the file that a run adds lines to.
VARIABLE = "AIA_STORE_CLIENT_RESULTS"


def note(client: Client, release: str, version: str | None) -> None:
    """That this release of a client works; None as its version where there is none for this Python."""
    add({"client": client.name, "release": release, "version": version})


def add(result: dict[str, str | None]) -> None:
    """Add a line, if a file was asked for."""
    if VARIABLE in os.environ:
        with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
