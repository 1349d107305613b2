"""docs/clients.md has the results of the tests, and leaves no client out."""

from __future__ import annotations

from tests.clients.document import DOCUMENT, load, render
from tests.clients.table import CLIENTS
from tests.clients.tools import TOOLS


def test_the_document_is_made_from_the_results() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(load())


def test_every_client_was_tested_on_the_oldest_and_the_newest_python() -> None:
    found = load()
    assert {"3.11", "3.13"} <= set(found)
    for run in found.values():
        tested = run["clients"]
        assert {f"{client.name} newest" for client in CLIENTS} <= set(tested)
    text = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"\n| {name} |" in text for name in [client.name for client in CLIENTS] + [tool.name for tool in TOOLS])
    assert "| fails |" not in text
