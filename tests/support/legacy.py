"""Certificates that `cryptography` declines to make: version 1, and MD5 or SHA-1 signatures."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.serialization import Encoding

from . import asn1
from .keys import PrivateKey

WEAK = ("md5", "sha1")

_VERSION = 0xA0
_EXTENSIONS = 0xA3
_ALGORITHMS = {
    ("rsa", "md5"): bytes.fromhex("300d06092a864886f70d0101040500"),
    ("rsa", "sha1"): bytes.fromhex("300d06092a864886f70d0101050500"),
    ("ec", "sha1"): bytes.fromhex("300906072a8648ce3d0401"),
}


def rebuild(
    certificate: x509.Certificate,
    key: PrivateKey,
    algorithm: hashes.HashAlgorithm | None,
    *,
    version1: bool,
) -> x509.Certificate:
    """The certificate signed again with `key` and `algorithm`; as version 1 it loses its extensions."""
    to_sign, old_algorithm, _ = asn1.children(certificate.public_bytes(Encoding.DER))
    version, serial, _, *rest = asn1.children(to_sign)
    identifier = old_algorithm
    if algorithm is not None and algorithm.name in WEAK:
        kind = "ec" if isinstance(key, ec.EllipticCurvePrivateKey) else "rsa"
        identifier = _ALGORITHMS[kind, algorithm.name]
    fields = [version, serial, identifier, *rest]
    if version1:
        fields = [field for field in fields if field[0] not in (_VERSION, _EXTENSIONS)]
    to_sign = asn1.tlv(asn1.SEQUENCE, *fields)
    signature = asn1.tlv(asn1.BIT_STRING, b"\0", _sign(key, to_sign, algorithm))
    return x509.load_der_x509_certificate(asn1.tlv(asn1.SEQUENCE, to_sign, identifier, signature))


def _sign(key: PrivateKey, data: bytes, algorithm: hashes.HashAlgorithm | None) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    assert algorithm is not None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(algorithm))
    return key.sign(data, padding.PKCS1v15(), algorithm)
