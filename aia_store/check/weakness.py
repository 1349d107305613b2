"""Weaknesses of a host that only some clients refuse: its TLS versions, its cipher suites, its kind of key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from ..inside.certificate import BIT_STRING, KEY_USAGE, Certificate, DERError, expect

_TLS_1_2 = 0x0303
_SHA_1 = 2  # as in the first byte of a SignatureAlgorithm (RFC 5246, 7.4.1.4.1); 1 is MD5
_NAMED_CURVE = 3  # how the parameters of ECDHE begin (RFC 8422, 5.4)
_RARE_CIPHERS = ("ARIA", "CAMELLIA", "CCM", "DES", "IDEA", "NULL", "RC4", "SEED")  # in the names of suites


class Weakness(str, Enum):
    """What makes only some clients refuse a host. Each has its word in the JSON document, and a text for the advice."""

    __str__ = str.__str__
    meaning: str

    def __new__(cls, word: str, meaning: str) -> Weakness:
        member = str.__new__(cls, word)
        member._value_, member.meaning = word, meaning
        return member

    OLD_VERSION = "old-version", "it speaks no TLS newer than 1.1"
    OLD_RENEGOTIATION = "old-renegotiation", "it knows no secure renegotiation (RFC 5746)"
    SHA1_SUITES = "sha1-suites", "it has cipher suites with SHA-1 only"
    CBC_SUITES = "cbc-suites", "it has cipher suites in CBC mode only"
    RARE_SUITES = "rare-suites", "it has only cipher suites that hardly any client knows"
    STATIC_RSA = "static-rsa", "it exchanges keys by static RSA only, without forward secrecy"
    SHA1_SIGNATURE = "sha1-signature", "it signs the handshake with SHA-1 only"
    SMALL_DH = "small-dh", "its Diffie-Hellman group is too small"
    DHE_ONLY = "dhe-only", "it exchanges keys by DHE only, without elliptic curves"
    SMALL_KEY = "small-key", "a certificate's key is too small"
    WEAK_DIGEST = "weak-digest", "a certificate is signed with a weak digest (SHA-1 or MD5)"
    ED25519_KEY = "ed25519-key", "its key is of a kind that browsers do not know (Ed25519)"
    ED448_KEY = "ed448-key", "its key is of a kind that few clients know (Ed448)"
    P521_KEY = "p521-key", "its key is on a curve that not every browser knows (P-521)"
    PSS_KEY = "pss-key", "its key is of a kind that browsers do not know (RSASSA-PSS)"
    ED25519_CA = "ed25519-ca", "the key of a CA is of a kind that browsers do not know (Ed25519)"
    RARE_CURVE_CA = "rare-curve-ca", "the key of a CA is on a curve that hardly any client knows"  # none of _CURVES
    KEY_USAGE = "key-usage", "its certificate's key may not sign handshakes (key usage without digitalSignature)"
    COMMON_NAME = "common-name", "its certificate names the host only as common name, not in the subjectAltName"
    COMMON_NAME_BESIDE_ADDRESSES = (
        "common-name-beside-addresses",
        "its certificate names the host only as common name, and the subjectAltName has only addresses",
    )
    NO_POLICY = "no-policy", "a CA demands a certificate policy that the chain does not have"


#: Weaknesses that may only come from the server's preference: it may also have better cipher suites.
OF_SUITES = frozenset(
    {Weakness.SHA1_SUITES, Weakness.CBC_SUITES, Weakness.RARE_SUITES, Weakness.DHE_ONLY, Weakness.STATIC_RSA}
)
_KEYS = {  # by the OID of the algorithm or the curve (RFC 8410, RFC 5480)
    b"\x06\x03\x2b\x65\x70": Weakness.ED25519_KEY,
    b"\x06\x03\x2b\x65\x71": Weakness.ED448_KEY,
    b"\x06\x05\x2b\x81\x04\x00\x23": Weakness.P521_KEY,
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a": Weakness.PSS_KEY,  # RFC 4055
}
_ELLIPTIC = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"  # a key on a named curve (RFC 5480)
_CURVES = (  # that clients without OpenSSL know, too
    b"\x06\x05\x2b\x81\x04\x00\x21",  # P-224
    b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",  # P-256
    b"\x06\x05\x2b\x81\x04\x00\x22",  # P-384
    b"\x06\x05\x2b\x81\x04\x00\x23",  # P-521
)
_DIGITAL_SIGNATURE = 0x80  # in the first byte of a KeyUsage (RFC 5280, 4.2.1.3)


def of_handshake(version: int, suite: str, server_key_exchange: bytes) -> tuple[Weakness, ...]:
    """Why some of today's clients refuse a handshake.

    `version` is the protocol's number, such as 0x0303 for TLS 1.2. `suite` is OpenSSL's name, such as
    ECDHE-RSA-AES128-SHA256. `server_key_exchange` is the message with its header; it is empty for static RSA.
    """
    if version < _TLS_1_2:
        return (Weakness.OLD_VERSION,)
    if version > _TLS_1_2:
        return ()
    found = _of_cipher(suite), _of_key_exchange(suite, server_key_exchange)
    return tuple(weakness for weakness in found if weakness is not None)


def of_key(certificate: Certificate) -> Weakness | None:
    """Why some clients cannot use a server's key."""
    algorithm = certificate.public_key[:32]  # it stands at the beginning
    return next((weakness for oid, weakness in _KEYS.items() if oid in algorithm), None)


def of_issuers(issuers: Sequence[Certificate]) -> Iterator[Weakness]:
    """Why some clients cannot use the keys of CAs."""
    algorithms = [issuer.public_key[:32] for issuer in issuers]
    if any(of_key(issuer) is Weakness.ED25519_KEY for issuer in issuers):
        yield Weakness.ED25519_CA
    if any(_ELLIPTIC in algorithm and not any(curve in algorithm for curve in _CURVES) for algorithm in algorithms):
        yield Weakness.RARE_CURVE_CA


def of_key_usage(certificate: Certificate) -> Weakness | None:
    """The weakness if a certificate forbids its key to sign. Every handshake without static RSA needs a signature."""
    try:
        value = certificate.extensions.get(KEY_USAGE)
        if value is None:
            return None
        start, end = expect(value, 0, len(value), BIT_STRING)
    except DERError:
        return None
    may_sign = end - start > 1 and value[start + 1] & _DIGITAL_SIGNATURE
    return None if may_sign else Weakness.KEY_USAGE


def _of_cipher(suite: str) -> Weakness | None:
    if any(cipher in suite for cipher in _RARE_CIPHERS):
        return Weakness.RARE_SUITES
    if "GCM" in suite or "CHACHA20" in suite:
        return None
    return Weakness.SHA1_SUITES if suite.endswith("-SHA") else Weakness.CBC_SUITES


def _of_key_exchange(suite: str, message: bytes) -> Weakness | None:
    if not suite.startswith(("ECDHE-", "DHE-")):
        return Weakness.STATIC_RSA
    at = 4  # after the header, where the parameters begin; the algorithm of their signature follows them
    if message[at : at + 1] == bytes((_NAMED_CURVE,)) and suite.startswith("ECDHE-"):
        at += 4 + message[at + 3]
    else:
        for _ in range(3):  # p, g, and the public key (RFC 5246, 7.4.3)
            at += 2 + int.from_bytes(message[at : at + 2], "big")
    if message and message[at] <= _SHA_1:
        return Weakness.SHA1_SIGNATURE
    return Weakness.DHE_ONLY if suite.startswith("DHE-") else None
