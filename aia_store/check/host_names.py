"""The host names that a certificate is valid for."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from ..inside.certificate import SEQUENCE, DERError, elements, expect

if TYPE_CHECKING:
    from ..inside.certificate import Certificate

_SUBJECT_ALTERNATIVE_NAME = b"\x55\x1d\x11"
_DNS, _IP = 0x82, 0x87


def names(certificate: Certificate) -> list[str]:
    """The DNS names and IP addresses of the subjectAltName (RFC 5280, 4.2.1.6), unescaped; only readable ones."""
    found = []
    try:
        value = certificate.extensions.get(_SUBJECT_ALTERNATIVE_NAME, b"\x30\x00")
        start, end = expect(value, 0, len(value), SEQUENCE)
        for tag, _, inner, stop in elements(value, start, end):
            if tag == _DNS:
                found.append(value[inner:stop].decode("latin-1"))
            elif tag == _IP:
                found.append(str(ipaddress.ip_address(value[inner:stop])))
    except (DERError, ValueError):
        pass
    return found
