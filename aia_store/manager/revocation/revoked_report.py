"""Read the revoked certificates in the CCADB's reports (CSV).

The columns are found by their names, in PublicIntermediateCertsRevokedWithPEMCSV and in each other report with a column
for the revocation status. A report without it, such as MozillaIntermediateCerts, says nothing of revocation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from ...inside import revoked
from ...inside.certificate import Certificate, DERError, pem_certificates
from .. import ccadb

_FINGERPRINTS = ("sha-256 fingerprint", "sha256 fingerprint", "sha-256(certificate)", "sha256")


def rows(content: bytes) -> list[tuple[str, dict[str, str]]]:
    """The rows about revoked certificates, each with the reason. Raises ValueError if they cannot all be read."""
    report = ccadb.read(content)
    if report.status is None:
        raise ValueError("no column holds a revocation status")
    if report.fault is not None:
        raise ValueError(report.fault)
    return [(reason, row) for row in report.rows if (reason := ccadb.revocation(report, row)) is not None]


def digests(row: dict[str, str]) -> Iterator[bytes]:
    """The digests of the certificate in a row. Raises ValueError if the row names no certificate.

    If the row contains the certificate, there is also a digest of its serial number. The fingerprint is not enough:
    anybody can change the bytes of an ECDSA signature, and so the fingerprint.
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
            continue  # its fingerprint is enough
