"""The CCADB's reports: CSV with columns that are found by their names, because each report has others.

The first row of a report names its columns. Nothing that it says is believed.
"""

from __future__ import annotations

import csv
import io
import re
from typing import NamedTuple

MOST_ROWS = 200_000  # the longest report has some 10,000

_STATUS = "revocation status"
_REVOKED = ("revoked", "parent cert revoked")
_REASON = "rfc 5280 revocation reason code"
_HARMLESS = re.compile(r"[A-Za-z0-9 ()]{1,60}")  # a reason that may be shown


class Table(NamedTuple):
    """The rows of a report, by column (in lower case); `fault`: why the rest of the report could not be read."""

    columns: list[str]
    rows: list[dict[str, str]]
    fault: str | None

    def column(self, words: str) -> str | None:
        """The first column whose name contains these words."""
        return next((column for column in self.columns if words in column), None)

    @property
    def status(self) -> str | None:
        """The column with the revocation status."""
        return self.column(_STATUS)


def read(content: bytes) -> Table:
    """Read the rows of a report, as far as possible. Raises ValueError if not even the column names can be read."""
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig", "replace"), newline=""))
    rows: list[dict[str, str]] = []
    try:
        columns = [column.strip().lower() for column in next(reader, [])]
    except csv.Error as error:
        raise ValueError(f"no CSV: {error}") from error
    try:
        for number, row in enumerate(reader):
            if number == MOST_ROWS:
                return Table(columns, rows, f"it has more than {MOST_ROWS:,} rows")
            if row:
                rows.append(dict(zip(columns, row, strict=False)))
    except csv.Error as error:
        return Table(columns, rows, f"no CSV from line {reader.line_num} on: {error}")
    return Table(columns, rows, None)


def revocation(report: Table, row: dict[str, str]) -> str | None:
    """According to whom the certificate of a row is revoked, and why if the row says so; None if it is not."""
    if report.status is None or row.get(report.status, "").strip().lower() not in _REVOKED:
        return None
    code = row.get(_REASON, "").strip()
    return f"by the CCADB's word ({code})" if _HARMLESS.fullmatch(code) else "by the CCADB's word"
