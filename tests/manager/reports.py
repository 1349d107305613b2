"""Reports of the CCADB, in its three layouts, made of a test's own certificates."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Sequence

from tests.manager.revoking import report as with_status
from tests.support.pki import Certified, der_of, pem


def mozilla(certificates: Sequence[Certified]) -> bytes:
    """MozillaIntermediateCerts."""
    columns = ("Subject", "Issuer", "SHA256", "Full CRL Issued By This CA", "PEM", "JSON Array of Partitioned CRLs")
    return _table(columns, [("CN=a; O=b", "CN=c", _sha256(one), "", pem(one).strip(), "") for one in certificates])


def public_all(certificates: Sequence[Certified]) -> bytes:
    """PublicAllIntermediateCertsWithPEM: many columns, PEM at 65 columns and in single quotes."""
    return with_status(certificates, status="Not Revoked")


def all_pems(certificates: Sequence[Certified]) -> bytes:
    """AllCertificatePEMs."""
    rows = [(_sha256(one), pem(one).strip()) for one in certificates]
    return _table(("SHA-256 Fingerprint", "X.509 Certificate (PEM)"), rows)


LAYOUTS: dict[str, Callable[[Sequence[Certified]], bytes]] = {
    "MozillaIntermediateCerts": mozilla,
    "PublicAllIntermediateCertsWithPEM": public_all,
    "AllCertificatePEMs": all_pems,
}


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([columns, *rows])
    return text.getvalue().encode()


def _sha256(certificate: Certified) -> str:
    return hashlib.sha256(der_of(certificate)).hexdigest().upper()
