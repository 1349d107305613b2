"""Revocation lists and odd CRLs for the manager's tests."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import textwrap
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from aia_store.inside.certificate import Certificate
from tests.support import asn1
from tests.support.pki import Authority, Certified, der_of

#: The columns of the CCADB's report of revoked intermediates, in their order.
COLUMNS = (
    "CA Owner",
    "Revocation Status",
    "RFC 5280 Revocation Reason Code",
    "Date of Revocation",
    "OneCRL Status",
    "Certificate Serial Number",
    "CA Owner/Certificate Name",
    "Certificate Issuer Common Name",
    "Certificate Issuer Organization",
    "Certificate Subject Common Name",
    "Certificate Subject Organization",
    "SHA-256 Fingerprint",
    "Subject + SPKI SHA256",
    "Valid From [GMT]",
    "Valid To [GMT]",
    "Public Key Algorithm",
    "Signature Hash Algorithm",
    "CRL URL(s)",
    "Alternate CRL",
    "OCSP URL(s)",
    "Comments",
    "PEM Info",
)

_GENERALIZED_TIME, _UTC_TIME = 0x18, 0x17
_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def by_serial(certificate: Certified) -> dict[str, object]:
    """A record of OneCRL that names the issuer and the serial number."""
    read = Certificate(der_of(certificate))
    return _record({"issuerName": _base64(read.issuer), "serialNumber": _base64(read.serial)})


def by_key(certificate: Certified) -> dict[str, object]:
    """A record of OneCRL that names the subject and its key."""
    read = Certificate(der_of(certificate))
    key_hash = hashlib.sha256(read.public_key).digest()
    return _record({"subject": _base64(read.subject), "pubKeyHash": _base64(key_hash)})


def _record(names: dict[str, object]) -> dict[str, object]:
    details = {"bug": "", "who": "", "why": "", "name": "", "created": "2026-01-01T00:00:00Z"}
    return {"schema": 1, "details": details, "enabled": False, **names, "id": "x", "last_modified": 1}


def onecrl(records: Iterable[dict[str, object]], *, envelope: bool = True) -> bytes:
    """OneCRL as its server sends it, or the bare list."""
    return json.dumps({"data": list(records)} if envelope else list(records)).encode()


def report(
    certificates: Iterable[Certified], *, status: str = "Revoked", pem_quote: str = "'", with_pem: bool = True
) -> bytes:
    """The CCADB's report of these certificates, with PEM as it has it: 65 columns, in single quotes."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, restval="", quoting=csv.QUOTE_ALL)
    table.writeheader()
    for certificate in certificates:
        der = der_of(certificate)
        wrapped = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 65))
        block = f"-----BEGIN CERTIFICATE-----\n{wrapped}\n-----END CERTIFICATE-----"
        row = {
            "CA Owner": "Some, Owner",
            "Revocation Status": status,
            "RFC 5280 Revocation Reason Code": "(4) superseded",
            "SHA-256 Fingerprint": hashlib.sha256(der).hexdigest().upper(),
            "Comments": "of two\nlines",
            "PEM Info": f"{pem_quote}{block}{pem_quote}" if with_pem else "",
        }
        table.writerow(row)
    return text.getvalue().encode()


def crl_with(authority: Authority, *extensions: tuple[x509.ExtensionType, bool], revoked: int = 0) -> bytes:
    """A CRL that is current, with these extensions, each with its critical flag."""
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - timedelta(days=1))
        .next_update(now + timedelta(days=7))
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    if revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(revoked).revocation_date(now)
        builder = builder.add_revoked_certificate(entry.add_extension(x509.CRLReason(_COMPROMISE), False).build())
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


_COMPROMISE = x509.ReasonFlags.ca_compromise


def raw_crl(authority: Authority, *entries: bytes, next_update: str | None = "99991231235959Z") -> bytes:
    """A CRL built by hand: of entries already in DER, of any size, and with any date of the next one, or none."""
    assert isinstance(authority.key, ec.EllipticCurvePrivateKey)
    fields = [
        asn1.tlv(asn1.INTEGER, b"\x01"),
        _ECDSA_WITH_SHA256,
        authority.certificate.subject.public_bytes(),
        asn1.tlv(_UTC_TIME, b"200101000000Z"),
        asn1.tlv(_GENERALIZED_TIME, next_update.encode()) if next_update else b"",
        asn1.tlv(asn1.SEQUENCE, *entries) if entries else b"",
    ]
    signed = asn1.tlv(asn1.SEQUENCE, *fields)
    signature = authority.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return asn1.tlv(asn1.SEQUENCE, signed, _ECDSA_WITH_SHA256, asn1.tlv(asn1.BIT_STRING, b"\0" + signature))


def raw_entry(serial: int) -> bytes:
    """One entry of a CRL, in DER."""
    contents = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.INTEGER, contents), asn1.tlv(_UTC_TIME, b"200101000000Z"))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
