"""Functions that older releases of `cryptography` lack: before 40, or before 42. Debian 12 has 38."""

from __future__ import annotations

from datetime import datetime, timezone

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa


def check_issued(subject: x509.Certificate, issuer: x509.Certificate) -> None:
    """Check that `subject` names `issuer` as its issuer, and that the key of `issuer` made its signature.

    Raises InvalidSignature for a wrong signature, ValueError or TypeError if the names differ or it cannot be checked.
    """
    if hasattr(subject, "verify_directly_issued_by"):  # from 40 on
        subject.verify_directly_issued_by(issuer)
    else:
        check_signature(subject, issuer)


def check_signature(subject: x509.Certificate, issuer: x509.Certificate) -> None:
    """Like `check_issued`, for releases before 40. RSASSA-PSS fails: these releases cannot read its parameters."""
    if subject.issuer != issuer.subject:
        raise ValueError("another issuer is named")
    try:
        hash_algorithm = subject.signature_hash_algorithm
    except UnsupportedAlgorithm as error:
        raise ValueError("its signature algorithm is not known") from error
    key, signature, signed = issuer.public_key(), subject.signature, subject.tbs_certificate_bytes
    if isinstance(key, rsa.RSAPublicKey) and hash_algorithm is not None:
        key.verify(signature, signed, padding.PKCS1v15(), hash_algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey) and hash_algorithm is not None:
        key.verify(signature, signed, ec.ECDSA(hash_algorithm))
    elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)) and hash_algorithm is None:
        key.verify(signature, signed)
    else:
        raise TypeError("its signature is not of the kind of its issuer's key")


def crl_updates(crl: x509.CertificateRevocationList) -> tuple[datetime, datetime | None]:
    """When this CRL was issued, and when the next one is due, if the CRL says so. Both times have a time zone."""
    if hasattr(crl, "next_update_utc"):  # from 42 on
        return crl.last_update_utc, crl.next_update_utc
    this_update, next_update = crl.last_update, crl.next_update
    utc = timezone.utc
    return this_update.replace(tzinfo=utc), next_update and next_update.replace(tzinfo=utc)
