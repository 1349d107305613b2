"""The rows as a table, and as JSON, which can be read again."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import ssl
import sys
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .pairs import Row, Sample

COLUMNS = ("ratio", "min to max", "CPU time", "medians", "limit", "")


def heading() -> str:
    """When and on what this was measured."""
    parts = [
        datetime.now(timezone.utc).date().isoformat(),
        _processor(),
        f"Python {platform.python_version()}",
        " ".join(ssl.OPENSSL_VERSION.split()[:2]),
    ]
    if hasattr(os, "getloadavg"):
        parts.append(f"load {os.getloadavg()[0]:.1f}")
    return ", ".join(parts)


def show(rows: list[Row], heading: str, *, judged: bool) -> None:
    """Print them; `judged`: with the limits and whether they are kept."""
    table = Table(title=heading, title_justify="left")
    for name in ("measure", "against"):
        table.add_column(name, overflow="fold")
    for name in COLUMNS if judged else COLUMNS[:-2]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.measure, row.against, *cells(row)[: None if judged else -2])
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(table)
    for note in (row.note if row.pairs else f"{row.measure}, {row.against}: {row.note}" for row in rows if row.note):
        console.print(note, highlight=False)


def cells(row: Row) -> tuple[str, ...]:
    """The columns after "against"."""
    if not row.pairs:
        return ("-", "-", "-", "-", "", "not measured")
    a, b = (f"{median:.4g}" for median in row.medians)
    limit = "" if row.limit is None else f"{'≥' if row.at_least else '≤'} {row.limit:g}"
    verdict = "" if row.limit is None else "over" if row.is_over else "ok"
    between = f"{min(row.ratios):.3f} to {max(row.ratios):.3f}"
    cpu = "" if row.cpu_ratio is None else f"{row.cpu_ratio:.3f}"
    return (f"{row.ratio:.3f}", between, cpu, f"{a} / {b} {row.unit}", limit, verdict)


def write_json(rows: list[Row], heading: str, file: Path) -> None:
    """The same, with every pair."""
    content = {
        "measured": heading,
        "rows": [
            {
                **vars(row),
                **({"ratio": row.ratio, "cpu_ratio": row.cpu_ratio, "is_over": row.is_over} if row.pairs else {}),
            }
            for row in rows
        ],
    }
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(file: Path) -> tuple[str, list[Row]]:
    """The heading and the rows of such a file."""
    content = json.loads(file.read_text(encoding="utf-8"))
    names = {field.name for field in dataclasses.fields(Row)}
    rows = []
    for found in content["rows"]:
        values = {name: value for name, value in found.items() if name in names}
        values["pairs"] = [(Sample(*a), Sample(*b)) for a, b in found["pairs"]]
        rows.append(Row(**values))
    return content["measured"], rows


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()
