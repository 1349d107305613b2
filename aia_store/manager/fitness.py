"""Whether the fields of a certificate allow it to be an intermediate for TLS servers.

`verify` checks the strength of its key and signature, at SECURITY_LEVEL, when it verifies the path.
"""

from __future__ import annotations

from ..inside.certificate import KEY_CERT_SIGN, KEY_USAGE, SERVER_AUTH, Certificate, DERError
from .constraints import ANY_EXTENDED_KEY_USAGE, extended_key_usages

SECURITY_LEVEL = 2  # OpenSSL's, for the verdicts in `verify`: 112 bits, so no SHA-1 and no RSA key under 2048 bits
_NO_KEY_USAGE = b"\x03\x02\x01\xff"  # without the extension, all usages are allowed (RFC 5280, 4.2.1.3)


def unfitness(certificate: Certificate) -> str | None:
    """Why this cannot be an intermediate for TLS servers, in words; None if it can."""
    try:
        if certificate.is_self_signed:
            return "it is self-signed, so it cannot be an intermediate"
        if not certificate.basic_constraints[0]:
            return "it is not a CA"
        if not certificate.extensions.get(KEY_USAGE, _NO_KEY_USAGE)[3] & KEY_CERT_SIGN:
            return "its key may not sign certificates"
        purposes = extended_key_usages(certificate)
        if purposes is not None and not purposes & {SERVER_AUTH, ANY_EXTENDED_KEY_USAGE}:
            return "it is not for TLS servers"
    except (DERError, IndexError):
        return "its extensions cannot be read"
    return None
