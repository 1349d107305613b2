"""Certs-only PKCS#7, made by hand: `cryptography` would refuse the broken ones and sort the others."""

from __future__ import annotations

from collections.abc import Callable

from . import asn1

_DATA = asn1.tlv(asn1.OID, bytes.fromhex("2a864886f70d010701"))
_SIGNED_DATA = asn1.tlv(asn1.OID, bytes.fromhex("2a864886f70d010702"))


def pkcs7(*ders: bytes) -> bytes:
    """Certificates in DER, or any other bytes, as a certs-only PKCS#7 in DER, in the order given."""
    return _signed_data(asn1.tlv, ders)


def pkcs7_ber(*ders: bytes) -> bytes:
    """The same, with indefinite lengths all round."""
    return _signed_data(asn1.indefinite, ders)


def _signed_data(wrap: Callable[..., bytes], ders: tuple[bytes, ...]) -> bytes:
    version = asn1.tlv(asn1.INTEGER, b"\x01")
    none = asn1.tlv(asn1.SET)
    signed = wrap(asn1.SEQUENCE, version, none, wrap(asn1.SEQUENCE, _DATA), wrap(0xA0, *ders), none)
    return wrap(asn1.SEQUENCE, _SIGNED_DATA, wrap(0xA0, signed))
