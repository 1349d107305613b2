"""What is in a certificate, for `--details`: its fields and extensions, as JSON and as rows for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, SignatureAlgorithmOID

from ...inside.certificate import Certificate, sha256
from ...inside.certificate_names import host_names
from ...manager.parsing import UnreadableError, quietly
from ...manager.revocation.points import crl_urls
from .. import output

Read = TypeVar("Read")
_SIGNATURES = {oid: name for name, oid in vars(SignatureAlgorithmOID).items() if isinstance(oid, x509.ObjectIdentifier)}
#: How a CA validated the subject, by the CA/Browser Forum's policies (Baseline Requirements, 7.1.6.1; EV Guidelines).
_VALIDATIONS = {"2.23.140.1.1": "EV", "2.23.140.1.2.1": "DV", "2.23.140.1.2.2": "OV", "2.23.140.1.2.3": "IV"}
_LABELS = {
    "subject": "Subject",
    "issuer": "Issuer",
    "names": "Names",
    "not_before": "Valid from",
    "not_after": "Valid until",
    "serial": "Serial",
    "key": "Key",
    "signature": "Signature",
    "sha256": "SHA-256",
    "key_sha256": "SHA-256 of the key",
    "subject_key_id": "Key identifier",
    "authority_key_id": "Issuer's key identifier",
    "ca_issuers": "Its issuer is at",
    "ocsp": "OCSP",
    "crl": "CRL",
    "validation": "Validation",
    "policies": "Policies",
    "scts": "SCTs",
}


def rows(certificate: Certificate) -> Iterator[tuple[str, str]]:
    """The label and the value of each field that the certificate has."""
    fields = output.described(certificate) | as_json(certificate)
    for name, label in _LABELS.items():
        value = fields[name]
        shown = ", ".join(map(_in_words, value)) if isinstance(value, list) else str(value or "")
        if shown:
            yield label, shown


def _in_words(value: str | dict[str, str]) -> str:
    return value if isinstance(value, str) else f"{value['time']} by the log {value['log']}"


def as_json(certificate: Certificate) -> dict[str, object]:
    """All fields except those of `output.described`, which every output format shows.

    `cryptography` refuses some certificates, and all extensions of others. The fields that only it reads are then null
    or empty.
    """
    akid = certificate.authority_key_id
    parsed = _read(lambda: x509.load_der_x509_certificate(certificate.der))
    extensions = _extensions(parsed)
    policies = [one.policy_identifier.dotted_string for one in extensions.get(x509.CertificatePolicies, ())]
    return {
        "names": list(map(output.harmless, host_names(certificate))),
        "serial": certificate.serial.hex(),
        "key": _key(parsed),
        "signature": _signature(parsed),
        "key_sha256": sha256(certificate.public_key),
        "subject_key_id": certificate.subject_key_id.hex() if certificate.subject_key_id else None,
        "authority_key_id": akid.key_id.hex() if akid is not None and akid.key_id else None,
        "ca_issuers": output.ca_issuers(certificate),
        "ocsp": [
            output.harmless(access.access_location.value)
            for access in extensions.get(x509.AuthorityInformationAccess, ())
            if access.access_method == AuthorityInformationAccessOID.OCSP
            and isinstance(access.access_location, x509.UniformResourceIdentifier)
        ],
        "crl": list(map(output.harmless, crl_urls(certificate))),
        "policies": policies,
        "validation": next((_VALIDATIONS[policy] for policy in policies if policy in _VALIDATIONS), None),
        "scts": _read(lambda: _scts(extensions)) or [],
    }


def _read(read: Callable[[], Read]) -> Read | None:
    """What `cryptography` reads; None if it cannot."""
    try:
        with quietly():
            return read()
    except UnreadableError:
        return None


def _extensions(parsed: x509.Certificate | None) -> dict[type, Any]:
    """The values of the extensions, by their types."""
    if parsed is None:
        return {}
    return _read(lambda: {type(extension.value): extension.value for extension in parsed.extensions}) or {}


def _scts(extensions: dict[type, Any]) -> list[dict[str, str]]:
    """Which logs saw the certificate, and when (RFC 6962, 3.3)."""
    return [
        {"log": sct.log_id.hex(), "time": f"{sct.timestamp:%Y-%m-%dT%H:%M:%SZ}"}
        for sct in extensions.get(x509.PrecertificateSignedCertificateTimestamps, ())
    ]


def _key(parsed: x509.Certificate | None) -> str | None:
    key = _read(parsed.public_key) if parsed is not None else None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA, {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA, {key.key_size} bits"
    return {ed25519.Ed25519PublicKey: "Ed25519", ed448.Ed448PublicKey: "Ed448"}.get(type(key))


def _signature(parsed: x509.Certificate | None) -> str | None:
    if parsed is None:
        return None
    oid = parsed.signature_algorithm_oid
    return _SIGNATURES.get(oid, oid.dotted_string).replace("_WITH_", " with ").replace("_", "-")
