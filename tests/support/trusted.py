"""Certificates with trust settings, as OpenSSL writes them: `TRUSTED CERTIFICATE`."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from . import asn1
from .pki import Certified, der_of

_REJECTED = 0xA0
_NUMBERS = {
    ExtendedKeyUsageOID.SERVER_AUTH: "2b06010505070301",
    ExtendedKeyUsageOID.CLIENT_AUTH: "2b06010505070302",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "2b06010505070304",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "551d2500",
}


def trusted_pem(
    certificate: Certified, trusts: Iterable[x509.ObjectIdentifier] = (), rejects: Iterable[x509.ObjectIdentifier] = ()
) -> str:
    """PEM of a certificate that is trusted for these purposes, and rejected for those.

    After the certificate stands OpenSSL's X509_CERT_AUX: the purposes, the rejected ones under [0].
    """
    parts = [asn1.tlv(tag, *map(_oid, oids)) for tag, oids in ((asn1.SEQUENCE, trusts), (_REJECTED, rejects)) if oids]
    content = base64.encodebytes(der_of(certificate) + asn1.tlv(asn1.SEQUENCE, *parts)).decode()
    return f"-----BEGIN TRUSTED CERTIFICATE-----\n{content}-----END TRUSTED CERTIFICATE-----\n"


def crl_pem(der: bytes) -> str:
    """PEM of a CRL."""
    return f"-----BEGIN X509 CRL-----\n{base64.encodebytes(der).decode()}-----END X509 CRL-----\n"


def _oid(oid: x509.ObjectIdentifier) -> bytes:
    return asn1.tlv(asn1.OID, bytes.fromhex(_NUMBERS[oid]))
