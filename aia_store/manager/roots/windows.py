"""The trust anchors of Windows: the certificates in its store ROOT, except those in its store Disallowed.

Windows fetches many of its roots when it first needs them, so ROOT lacks roots that were never needed. This module was
not tested: no Windows machine was at hand.
"""

from __future__ import annotations

import sys

PATH = "ROOT"
REASON = "it is the certificate store of Windows for trust anchors"

_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"


def is_here() -> bool:
    return sys.platform == "win32"


def certificates() -> list[bytes]:
    """The DER of the trust anchors. Raises OSError."""
    if sys.platform != "win32":
        return []
    import ssl

    disallowed = {der for der, _, _ in ssl.enum_certificates("Disallowed")}
    return [
        der
        for der, encoding, purposes in ssl.enum_certificates(PATH)
        if encoding == "x509_asn" and der not in disallowed and (purposes is True or _SERVER_AUTH in purposes)
    ]
