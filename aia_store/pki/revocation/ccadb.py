"""The CCADB's reports as CSV: which of their certificates are revoked.

Read by the names of the columns: PublicIntermediateCertsRevokedWithPEMCSV, and every other report that has a
revocation status. A report without one tells of no revocation: MozillaIntermediateCerts lists the good ones.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from typing import TYPE_CHECKING

from ... import revoked
from ...der import Certificate, DERError, pem_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATUS = "revocation status"
_REVOKED = ("revoked", "parent cert revoked")
_REASON = "rfc 5280 revocation reason code"
_FINGERPRINTS = ("sha-256 fingerprint", "sha256 fingerprint", "sha-256(certificate)", "sha256")
_HARMLESS = re.compile(r"[A-Za-z0-9 ()]{1,60}")  # a reason that may be shown


def rows(content: bytes) -> list[dict[str, str]]:
    """The rows about revoked certificates, by column (small letters). Raises ValueError for what is no such report."""
    text = content.decode("utf-8-sig", "replace")
    try:
        reader = csv.reader(io.StringIO(text, newline=""))
        columns = [column.strip().lower() for column in next(reader, [])]
        if not any(_STATUS in column for column in columns):
            raise ValueError("no column tells of a revocation status")
        found = [dict(zip(columns, row, strict=False)) for row in reader]
    except csv.Error as error:
        raise ValueError(f"no CSV: {error}") from error
    status = next(column for column in columns if _STATUS in column)
    return [row for row in found if row.get(status, "").strip().lower() in _REVOKED]


def reason(row: dict[str, str]) -> str:
    """By whose word the certificate of a row is revoked, and why if the row says so."""
    code = row.get(_REASON, "").strip()
    return f"by the CCADB's word ({code})" if _HARMLESS.fullmatch(code) else "by the CCADB's word"


def digests(row: dict[str, str]) -> Iterator[bytes]:
    """What stands for the certificate of one row. Raises ValueError where the row names none.

    Of a certificate that is in the row its serial number too, as the bytes of an ECDSA signature can be changed by
    anybody, and with them the fingerprint.
    """
    found = {row[column].replace(":", "").strip().lower() for column in _FINGERPRINTS if row.get(column)}
    fingerprints = [bytes.fromhex(text) for text in found if re.fullmatch("[0-9a-f]{64}", text)]
    ders = [der for value in row.values() if "-----BEGIN" in value for der in pem_certificates(value.encode())]
    if not fingerprints and not ders:
        raise ValueError("a row that names no certificate")
    yield from fingerprints
    for der in ders:
        yield hashlib.sha256(der).digest()
        try:
            certificate = Certificate(der)
            yield revoked.serial_digest(certificate.issuer_key, certificate.serial)
        except DERError:
            continue  # its fingerprint will do
