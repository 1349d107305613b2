"""Read the certificates in a report of the CCADB.

Three layouts can be read: MozillaIntermediateCerts, PublicAllIntermediateCertsWithPEM (PEM in single quotes) and
AllCertificatePEMs (lines of 65 characters). Any other CSV with a column of PEM can be read too. A file that is cut
short is read as far as possible.
"""

from __future__ import annotations

from typing import NamedTuple

from ..inside.certificate import pem_certificates
from . import ccadb
from .ccadb import ReportError

LAYOUTS = "MozillaIntermediateCerts, PublicAllIntermediateCertsWithPEM and AllCertificatePEMs"
LARGEST_CERTIFICATE = 65_536  # bytes of DER

_NAMES = ("certificate name", "subject", "sha")  # a column that names the certificate has one of these in its name
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


class Entry(NamedTuple):
    """A certificate in a report. `der` is None if its row has none; `revoked` says who revoked it, if it is revoked."""

    name: str  # its name in the report, unescaped
    der: bytes | None
    revoked: str | None


class Contents(NamedTuple):
    """The entries of a report or a mirror. `fault` says why a part could not be read; `found` describes a mirror."""

    entries: list[Entry]
    fault: str | None
    found: str | None = None


def read(content: bytes) -> Contents:
    """Read every row of a report. Raises ReportError if the contents are not a report with certificates."""
    start = content[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise ReportError("it is empty")
    if start[:1] == b"<":
        raise ReportError("it is a web page")
    if start.startswith(b"-----BEGIN "):
        raise ReportError("it holds certificates alone, which `aia-store add` takes")
    if b"\0" in start:
        raise ReportError("it is binary")
    report = ccadb.read(content)
    pem = report.column("pem")  # every layout has this word in the name of the certificate's column
    if pem is None:
        raise ReportError("none of its columns holds certificates in PEM")
    names = [column for words in _NAMES if (column := report.column(words)) is not None]
    entries: list[Entry] = []
    for number, row in enumerate(report.rows, 1):
        name = next((row[column] for column in names if row.get(column)), f"row {number}")
        revoked = ccadb.revocation(report, row)
        ders = [der for der in pem_certificates(row.get(pem, "").encode()) if len(der) <= LARGEST_CERTIFICATE]
        entries += [Entry(name, der, revoked) for der in ders or (None,)]
    return Contents(entries, report.fault or _cut(report, pem))


def _cut(report: ccadb.Table, pem: str) -> str | None:
    """A message if the last row of a report is incomplete; None if it is complete."""
    if not report.rows:
        return None
    last = report.rows[-1]
    text = last.get(pem, "")
    is_whole = len(last) == len(set(report.columns)) and (_BEGIN not in text or _END in text)
    return None if is_whole else "it ends in the middle of a row"
