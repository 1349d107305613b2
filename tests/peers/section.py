"""What the tests of others found, as docs/clients.md tells it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.json")

_HEAD = """
## The tests of others

CPython's own tests of modules that use TLS, and the TLS tests of trio and urllib3, know nothing of aia-store.
`tests/peers/run PYTHON…` runs each suite twice, in two fresh environments. These differ only by the hook (`aia-store
hook path`). Their network namespace has only loopback. Each test must have the same result in both runs: passed, failed
or skipped. Tests whose results differ are run again, up to three times, with and without the hook. A cell of the table
gives the numbers of tests that passed, failed and were skipped in both runs. If the hook makes a difference to some
tests, the cell also gives their number, as *different*. If the results of some tests vary without the hook too, it
gives their number, as *flaky*. `--record` writes the results here."""


def section() -> str:
    """The section, with the recorded results if there are any."""
    if not RESULTS.exists():
        return _HEAD
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    return "\n".join([_HEAD, "", f"On {recorded['date']}:", "", *table(recorded["results"])])


def record(results: list[dict[str, Any]]) -> None:
    """Keep these results, and write the document anew."""
    from tests.clients import document

    content = {"date": datetime.date.today().isoformat(), "results": results}
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    document.main([])


def table(results: list[dict[str, Any]]) -> list[str]:
    """A row for each suite, a column for each Python: how many tests passed, failed and were skipped."""
    names = list(dict.fromkeys(suite["name"] for result in results for suite in result["suites"]))
    columns = [f"Python {result['python']}, OpenSSL {result['openssl']}" for result in results]
    lines = [
        f"| tests | {' | '.join(columns)} |",
        f"| --- |{' --- |' * len(results)}",
    ]
    for name in names:
        cells = [_cell(result, name) for result in results]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _cell(result: dict[str, Any], name: str) -> str:
    suite = next((suite for suite in result["suites"] if suite["name"] == name), None)
    if suite is None:
        return "not there"
    project = name.partition(":")[0]
    cell = " / ".join(str(suite.get(outcome, 0)) for outcome in ("passed", "failed", "skipped"))
    if project in result:
        cell = f"{result[project]}: {cell}"
    notes = [f"{len(suite[kind])} {kind}" for kind in ("different", "flaky") if suite[kind]]
    return ", ".join([cell, *notes])
