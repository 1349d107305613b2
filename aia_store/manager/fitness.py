"""Whether a certificate, by its own fields, can be an intermediate for TLS servers; `verify` checks its path."""

from __future__ import annotations

from ..inside.certificate import KEY_USAGE, DERError
from .constraints import ANY_EXTENDED_KEY_USAGE, extended_key_usages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..inside.certificate import Certificate

_SERVER_AUTH = b"\x2b\x06\x01\x05\x05\x07\x03\x01"
_KEY_CERT_SIGN = 0x04  # in the first octet of the key usage bits
_NO_KEY_USAGE = b"\x03\x02\x01\xff"  # all of them (RFC 5280, 4.2.1.3)


def unfitness(certificate: Certificate) -> str | None:
    """Why this cannot be an intermediate for TLS servers, in words; None if it can.

    It must be a CA that may sign certificates, with an EKU that is absent, any or serverAuth.
    """
    try:
        if certificate.is_self_signed:
            return "it is self-signed, so it cannot be an intermediate"
        if not certificate.basic_constraints[0]:
            return "it is not a CA"
        if not certificate.extensions.get(KEY_USAGE, _NO_KEY_USAGE)[3] & _KEY_CERT_SIGN:
            return "its key may not sign certificates"
        purposes = extended_key_usages(certificate)
        if purposes is not None and not purposes & {_SERVER_AUTH, ANY_EXTENDED_KEY_USAGE}:
            return "it is not for TLS servers"
    except (DERError, IndexError):
        return "its extensions cannot be read"
    return None
