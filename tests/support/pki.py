"""Build certificate hierarchies for tests: authorities, what they issue, and their CRLs."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .issue import Name, Options, aia_value, issue, key_id_of, name_of
from .keys import PrivateKey, private_key
from .pkcs7 import pkcs7, pkcs7_ber

if TYPE_CHECKING:
    from typing import Self, TypeAlias, Unpack

__all__ = [
    "Authority",
    "Certified",
    "Leaf",
    "Options",
    "PrivateKey",
    "aia_value",
    "crl",
    "der_of",
    "pem",
    "pem_blocks",
    "pkcs7",
    "pkcs7_ber",
    "private_key",
]


@dataclass(frozen=True)
class Credential:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    #: Kept beside the certificate: `cryptography` cannot read any extension of one whose AIA is broken.
    key_id: bytes | None = field(repr=False)
    issuer: Authority | None = field(repr=False)
    options: Options = field(repr=False)

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The private key in PEM, PKCS#8, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def name(self) -> str:
        """The subject's common name, or the whole subject if it has none."""
        common = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(common[0].value) if common else self.certificate.subject.rfc4514_string()

    def reissue(self, **options: Unpack[Options]) -> Self:
        """Another certificate with the same issuer, subject and key, alike but for these options."""
        same: Options = {**self.options, "serial": x509.random_serial_number(), **self._identity()}
        return self._make(self.certificate.subject, self.issuer, {**same, **options})

    def _identity(self) -> Options:
        return {"key": self.key, "subject_key_id": self.key_id or False}

    @classmethod
    def _make(cls, subject: Name, issuer: Authority | None, options: Options) -> Self:
        key = private_key(options.get("key", "ec"))
        public = options.get("public_key", key.public_key())
        key_id = key_id_of(public, options.get("subject_key_id", True))
        certificate = issue(
            name_of(options.get("subject", subject)),
            key,
            {**cls._defaults(), **options},
            issuer_name=issuer.certificate.subject if issuer else None,
            issuer_key=issuer.key if issuer else key,
            issuer_key_id=issuer.key_id if issuer else key_id,
        )
        return cls(certificate, key, key_id, issuer, options)

    @classmethod
    def _defaults(cls) -> Options:
        return {}


@dataclass(frozen=True)
class Leaf(Credential):
    """A server's certificate and key."""

    @classmethod
    def from_pem(cls, text: str) -> Leaf:
        """A leaf from PEM text with its certificate and its private key, in any order."""
        key = cast("PrivateKey", load_pem_private_key(text.encode(), None))
        return cls(x509.load_pem_x509_certificate(text.encode()), key, None, None, {})

    @classmethod
    def _defaults(cls) -> Options:
        return {"ca": False, "eku": [ExtendedKeyUsageOID.SERVER_AUTH]}


@dataclass(frozen=True)
class Authority(Credential):
    """A CA's certificate and key, and what it can issue."""

    @classmethod
    def root(cls, name: Name = "Test Root", **options: Unpack[Options]) -> Authority:
        """A new self-signed authority."""
        return cls._make(name, None, options)

    def intermediate(self, name: Name = "Test Intermediate", **options: Unpack[Options]) -> Authority:
        """A new authority below this one."""
        return Authority._make(name, self, options)

    def leaf(self, host: str = "localhost", **options: Unpack[Options]) -> Leaf:
        """A new server certificate for `host`, below this authority; for localhost it names 127.0.0.1 too."""
        names = [host, "127.0.0.1"] if host == "localhost" else [host]
        named: Options = {"san": names}
        return Leaf._make(host, self, {**named, **options})

    def cross_sign(self, other: Authority, **options: Unpack[Options]) -> Authority:
        """`other`, its subject and its key, certified by this authority; options start from the defaults."""
        return Authority._make(other.certificate.subject, self, {**other._identity(), **options})

    @classmethod
    def _defaults(cls) -> Options:
        return {"ca": True}


Certified: TypeAlias = "bytes | x509.Certificate | Credential"


def der_of(item: Certified) -> bytes:
    """The DER of a certificate in any of the forms that the tests use."""
    if isinstance(item, x509.Certificate):
        return item.public_bytes(Encoding.DER)
    return item if isinstance(item, bytes) else item.der


def pem(*items: Certified) -> str:
    """PEM text of these certificates, in this order."""
    # By hand, so that bytes that are no certificate can be written too.
    return "".join(ssl.DER_cert_to_PEM_cert(der_of(item)) for item in items)


def pem_blocks(text: str) -> list[bytes]:
    """The DER of every certificate block of a PEM text."""
    pattern = "-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----"
    return [ssl.PEM_cert_to_DER_cert(block) for block in re.findall(pattern, text, re.DOTALL)]


def crl(
    authority: Authority,
    revoked: Iterable[Credential | int] = (),
    *,
    last_update: timedelta = timedelta(days=-1),
    next_update: timedelta = timedelta(days=7),
    number: int = 1,
    signed_by: PrivateKey | None = None,
) -> bytes:
    """The authority's CRL in DER, with these certificates or serial numbers revoked; times are from now."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now + last_update)
        .next_update(now + next_update)
        .add_extension(x509.CRLNumber(number), False)
        .add_extension(x509.AuthorityKeyIdentifier(authority.key_id, None, None), False)
    )
    for entry in revoked:
        serial = entry if isinstance(entry, int) else entry.certificate.serial_number
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now + last_update).build()
        )
    key = signed_by or authority.key
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)
