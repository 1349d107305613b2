"""What makes only some clients refuse a host: its versions and cipher suites, and the kind of its key."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..inside.certificate import Certificate

_TLS_1_2 = 0x0303
_SHA_1 = 2  # as in the first byte of a SignatureAlgorithm (RFC 5246, 7.4.1.4.1); 1 is MD5
_NAMED_CURVE = 3  # how the parameters of ECDHE begin (RFC 8422, 5.4)
_RARE_CIPHERS = ("ARIA", "CAMELLIA", "CCM", "DES", "IDEA", "NULL", "RC4", "SEED")  # in the names of suites


class Weakness(str, Enum):
    """What makes only some clients refuse a host, in the words of the JSON document."""

    __str__ = str.__str__

    OLD_VERSION = "old-version"  # nothing newer than TLS 1.1
    OLD_RENEGOTIATION = "old-renegotiation"  # no secure renegotiation (RFC 5746)
    SHA1_SUITES = "sha1-suites"  # only cipher suites with SHA-1
    CBC_SUITES = "cbc-suites"  # only cipher suites in CBC mode with SHA-2
    RARE_SUITES = "rare-suites"  # only cipher suites that hardly any client offers
    STATIC_RSA = "static-rsa"  # only key exchange with the RSA key of the certificate
    SHA1_SIGNATURE = "sha1-signature"  # it signs the handshake with SHA-1 only
    SMALL_DH = "small-dh"  # a Diffie-Hellman group that is too small
    DHE_ONLY = "dhe-only"  # only key exchange by DHE, without elliptic curves
    SMALL_KEY = "small-key"  # a certificate's key is too small
    WEAK_DIGEST = "weak-digest"  # a certificate is signed with SHA-1 or MD5
    ED25519_KEY = "ed25519-key"  # of the server
    ED448_KEY = "ed448-key"
    P521_KEY = "p521-key"


#: What a server may show only because it prefers to, although it knows better.
OF_SUITES = frozenset(
    {Weakness.SHA1_SUITES, Weakness.CBC_SUITES, Weakness.RARE_SUITES, Weakness.DHE_ONLY, Weakness.STATIC_RSA}
)
_KEYS = {  # by the OID of the algorithm or the curve (RFC 8410, RFC 5480)
    b"\x06\x03\x2b\x65\x70": Weakness.ED25519_KEY,
    b"\x06\x03\x2b\x65\x71": Weakness.ED448_KEY,
    b"\x06\x05\x2b\x81\x04\x00\x23": Weakness.P521_KEY,
}


def of_handshake(version: int, suite: str, server_key_exchange: bytes) -> tuple[Weakness, ...]:
    """Why some of today's clients refuse a handshake.

    The version is as in the protocol, such as 0x0303 for TLS 1.2; the cipher suite has OpenSSL's name, such as
    ECDHE-RSA-AES128-SHA256; the message is with its header, and empty for static RSA.
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


def _of_cipher(suite: str) -> Weakness | None:
    if any(cipher in suite for cipher in _RARE_CIPHERS):
        return Weakness.RARE_SUITES
    if "GCM" in suite or "CHACHA20" in suite:
        return None
    return Weakness.SHA1_SUITES if suite.endswith("-SHA") else Weakness.CBC_SUITES


def _of_key_exchange(suite: str, message: bytes) -> Weakness | None:
    if not suite.startswith(("ECDHE-", "DHE-")):
        return Weakness.STATIC_RSA
    at = 4  # after the header; then come the parameters, and the algorithm of their signature
    if message[at : at + 1] == bytes((_NAMED_CURVE,)) and suite.startswith("ECDHE-"):
        at += 4 + message[at + 3]
    else:
        for _ in range(3):  # p, g, and the public key (RFC 5246, 7.4.3)
            at += 2 + int.from_bytes(message[at : at + 2], "big")
    if message and message[at] <= _SHA_1:
        return Weakness.SHA1_SIGNATURE
    return Weakness.DHE_ONLY if suite.startswith("DHE-") else None
