"""Make one certificate from a set of options."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypedDict

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, NameOID

from . import asn1, legacy
from .keys import KeyKind, PrivateKey

if TYPE_CHECKING:
    from typing import TypeAlias

Name: TypeAlias = "str | x509.Name"
Extension = tuple[x509.ExtensionType, bool]


class Options(TypedDict, total=False):
    """What a certificate can be told to be. Everything has a sensible default.

    A `Name` that is a plain string is a common name. In `san`, a string is an IP address if it reads as one,
    else a DNS name; in `permitted` and `excluded` it is a DNS name, and an `x509.Name` a directory name.
    """

    key: KeyKind | PrivateKey  #: default "ec"
    public_key: CertificatePublicKeyTypes  #: certify this one instead of the key's own
    subject: Name
    issuer: Name  #: the name written as issuer; the signature stays the real issuer's
    signed_by: PrivateKey  #: sign with this key, keeping the issuer's name
    hash: hashes.HashAlgorithm  #: default SHA-256; MD5 and SHA-1 work
    version1: bool  #: an X.509 version 1 certificate, without extensions
    serial: int
    not_before: timedelta  #: from now; default one day ago
    not_after: timedelta  #: from now; default in 90 days
    ca: bool | None  #: basic constraints; None leaves them out
    path_length: int | None
    key_usage: x509.KeyUsage | None  #: None leaves it out
    no_cert_sign: bool  #: the default key usage less keyCertSign
    eku: Sequence[x509.ObjectIdentifier] | None  #: default serverAuth for a leaf, none for a CA
    permitted: Sequence[Name | x509.GeneralName]
    excluded: Sequence[Name | x509.GeneralName]
    san: Sequence[str | x509.GeneralName]
    aia: Sequence[str]  #: caIssuers URLs
    aia_raw: bytes  #: the AIA extension's value, in any shape; goes before `aia`
    aia_critical: bool
    crl: Sequence[str]  #: CRL distribution points
    policies: Sequence[str]  #: dotted OIDs
    subject_key_id: bool | bytes  #: False leaves it out
    authority_key_id: bool | bytes  #: False leaves it out; default out if self-signed, else the issuer's
    extensions: Sequence[Extension]  #: any more, each with its critical flag


def issue(
    subject: x509.Name,
    key: PrivateKey,
    options: Options,
    *,
    issuer_name: x509.Name | None,
    issuer_key: PrivateKey,
    issuer_key_id: bytes | None,
) -> x509.Certificate:
    """A certificate for `subject` and `key`, by an issuer; `issuer_name=None` is a self-signed one."""
    public = options.get("public_key", key.public_key())
    signer = options.get("signed_by", issuer_key)
    not_after = options.get("not_after", timedelta(days=90))
    not_before = options.get("not_before", min(timedelta(days=-1), not_after - timedelta(days=1)))
    now = datetime.now(timezone.utc).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(name_of(options["issuer"]) if "issuer" in options else issuer_name or subject)
        .public_key(public)
        .serial_number(options.get("serial") or x509.random_serial_number())
        .not_valid_before(now + not_before)
        .not_valid_after(now + not_after)
    )
    if issuer_name is None and "authority_key_id" not in options:
        options = {**options, "authority_key_id": False}
    for value, critical in _extensions(public, issuer_key, issuer_key_id, options):
        builder = builder.add_extension(value, critical)

    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else options.get("hash", hashes.SHA256())
    weak = algorithm is not None and algorithm.name in legacy.WEAK
    version1 = options.get("version1", False)
    # The builder's annotation is narrower than what it takes.
    certificate = builder.sign(signer, hashes.SHA256() if weak else algorithm)  # type: ignore[arg-type]
    if weak or version1:
        return legacy.rebuild(certificate, signer, algorithm, version1=version1)
    return certificate


def name_of(name: Name) -> x509.Name:
    """The name itself, or a string as the common name of a new one."""
    if isinstance(name, x509.Name):
        return name
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def key_id_of(key: CertificatePublicKeyTypes, choice: bool | bytes = True) -> bytes | None:
    """The key identifier that the option `choice` asks for, if any."""
    if isinstance(choice, bytes):
        return choice
    return x509.SubjectKeyIdentifier.from_public_key(key).digest if choice else None


def aia_value(*uris: bytes) -> bytes:
    """The value of an AIA extension with these caIssuers URIs, whatever bytes they hold: for `aia_raw`."""
    method = asn1.tlv(asn1.OID, bytes.fromhex("2b06010505073002"))
    entries = [asn1.tlv(asn1.SEQUENCE, method, asn1.tlv(asn1.IA5_URI, uri)) for uri in uris]
    return asn1.tlv(asn1.SEQUENCE, *entries)


def _extensions(
    public: CertificatePublicKeyTypes,
    issuer_key: PrivateKey,
    issuer_key_id: bytes | None,
    options: Options,
) -> Iterator[Extension]:
    ca = options.get("ca")
    if ca is not None:
        yield x509.BasicConstraints(ca, options.get("path_length")), True
    usage = options["key_usage"] if "key_usage" in options else _usage(public, options)
    if usage is not None:
        yield usage, True
    if eku := options.get("eku"):
        yield x509.ExtendedKeyUsage(eku), False
    if "permitted" in options or "excluded" in options:
        permitted = _constraints(options.get("permitted", ()))
        yield x509.NameConstraints(permitted, _constraints(options.get("excluded", ()))), True
    if san := options.get("san"):
        yield x509.SubjectAlternativeName([_alternative(name) for name in san]), False
    if own := key_id_of(public, options.get("subject_key_id", True)):
        yield x509.SubjectKeyIdentifier(own), False
    wanted = options.get("authority_key_id", True)
    by_default = issuer_key_id or key_id_of(issuer_key.public_key())
    if identifier := (by_default if wanted is True else wanted):
        yield x509.AuthorityKeyIdentifier(identifier, None, None), False
    critical = options.get("aia_critical", False)
    if "aia_raw" in options:
        oid = ExtensionOID.AUTHORITY_INFORMATION_ACCESS
        yield x509.UnrecognizedExtension(oid, options["aia_raw"]), critical
    elif aia := options.get("aia"):
        yield x509.AuthorityInformationAccess([_ca_issuers(url) for url in aia]), critical
    if crl := options.get("crl"):
        yield x509.CRLDistributionPoints([_distribution_point(url) for url in crl]), False
    if policies := options.get("policies"):
        parsed = [x509.PolicyInformation(x509.ObjectIdentifier(policy), None) for policy in policies]
        yield x509.CertificatePolicies(parsed), False
    yield from options.get("extensions", ())


def _usage(public: CertificatePublicKeyTypes, options: Options) -> x509.KeyUsage:
    ca = options.get("ca") is True
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=not ca and isinstance(public, rsa.RSAPublicKey),
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca and not options.get("no_cert_sign", False),
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _constraints(names: Iterable[Name | x509.GeneralName]) -> list[x509.GeneralName] | None:
    general: list[x509.GeneralName] = []
    for name in names:
        if isinstance(name, str):
            general.append(x509.DNSName(name))
        elif isinstance(name, x509.Name):
            general.append(x509.DirectoryName(name))
        else:
            general.append(name)
    return general or None


def _alternative(name: str | x509.GeneralName) -> x509.GeneralName:
    if isinstance(name, x509.GeneralName):
        return name
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _ca_issuers(url: str) -> x509.AccessDescription:
    return x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(url))


def _distribution_point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
