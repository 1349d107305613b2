"""The results of a run of the whole table, in a file for `docs/clients.md`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.clients.table import Client

#: Set by `tests.clients.document`: the file that a run adds lines to.
VARIABLE = "AIA_STORE_CLIENT_RESULTS"


def note(client: Client, release: str, version: str | None) -> None:
    """Note that this release of a client works; its version is None if there is none for this Python."""
    add({"client": client.name, "release": release, "version": version})


def add(result: dict[str, str | None]) -> None:
    """Add a line, if a file was named."""
    if VARIABLE in os.environ:
        with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
