"""Read the CCADB's reports (CSV). Each report has other columns, so a column is found by its name in the first row."""

from __future__ import annotations

import csv
import io
import re
from typing import NamedTuple

MOST_ROWS = 200_000  # the longest report has some 10,000
LONGEST_ROW = 1 << 20  # characters; each comma costs at least eight bytes of memory

_HARMLESS = re.compile(r"[A-Za-z0-9 ()]{1,60}")  # a reason that may be shown


class ReportError(ValueError):
    """The contents are not a report of the CCADB. The message is the reason."""


class Table(NamedTuple):
    """The rows of a report: texts by column name (lower case). `fault` says why the rest of it could not be read."""

    columns: list[str]
    rows: list[dict[str, str]]
    fault: str | None

    def column(self, words: str) -> str | None:
        """The name of the first column whose name contains these words; None if there is none."""
        return next((column for column in self.columns if words in column), None)

    @property
    def status(self) -> str | None:
        """The name of the column with the revocation status; None if there is none."""
        return self.column("revocation status")


def read(content: bytes) -> Table:
    """Read the rows of a report, as far as possible. Raises ReportError if not even the column names can be read."""
    lines = _Lines(content)
    reader = csv.reader(lines)
    rows: list[dict[str, str]] = []
    try:
        columns = [column.strip().lower() for column in next(reader, [])]
        lines.end_row()
    except csv.Error as error:
        raise ReportError(f"no CSV: {error}") from error
    try:
        for number, row in enumerate(reader):
            if number == MOST_ROWS:
                return Table(columns, rows, f"it has more than {MOST_ROWS:,} rows")
            lines.end_row()
            if row:
                rows.append(dict(zip(columns, row, strict=False)))
    except csv.Error as error:
        return Table(columns, rows, f"no CSV from line {reader.line_num} on: {error}")
    return Table(columns, rows, None)


class _Lines:
    """The lines of a report. Raises csv.Error in a row that is too long; `end_row` must be called after each row."""

    def __init__(self, content: bytes) -> None:
        self._lines = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", "replace", newline="")
        self._length = 0  # of the row that is being read

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._length += len(line)
        if self._length > LONGEST_ROW:
            raise csv.Error(f"row longer than {LONGEST_ROW} characters")
        return line

    def end_row(self) -> None:
        self._length = 0


def revocation(report: Table, row: dict[str, str]) -> str | None:
    """Why the certificate in this row of a report counts as revoked, in words; None if it is not revoked."""
    if report.status is None or row.get(report.status, "").strip().lower() not in ("revoked", "parent cert revoked"):
        return None
    code = row.get("rfc 5280 revocation reason code", "").strip()
    return f"by the CCADB's word ({code})" if _HARMLESS.fullmatch(code) else "by the CCADB's word"
