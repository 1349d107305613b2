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
`tests/peers/run PYTHON…` runs each suite twice, in two fresh environments that differ only by the hook (`aia-store hook
path`), in a network namespace with loopback alone. The same tests must pass, fail and be skipped. Tests that differ are
run again, up to three times, with and without the hook. *Flaky* tests give varying results without the hook too.
`--record` writes the results here."""


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
    """A row for each suite on each Python."""
    lines = [
        "| tests | Python | OpenSSL | passed | failed | skipped | flaky | with the hook |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        for row in result["suites"]:
            project, _, part = row["name"].partition(": ")
            name = f"{project} {result[project]}, {part}" if project in result else row["name"]
            counts = [row.get(outcome, 0) for outcome in ("passed", "failed", "skipped")]
            different = len(row["different"])
            cells = [name, result["python"], result["openssl"], *counts, len(row["flaky"])]
            lines.append(f"| {' | '.join(map(str, cells))} | {f'{different} differ' if different else 'the same'} |")
    return lines
