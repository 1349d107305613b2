"""The names in a certificate, for messages to people. They are not escaped, and a hostile peer may have chosen them."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop

from .certificate import OID, SEQUENCE, DERError, elements, expect, read, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .certificate import Certificate

_SUBJECT_ALTERNATIVE_NAME = b"\x55\x1d\x11"
_DNS, _IP = 0x82, 0x87
_FAMILIES = {4: AF_INET, 16: AF_INET6}  # by the octets of an address
_TELLING = (b"\x55\x04\x03", b"\x55\x04\x0b", b"\x55\x04\x0a")  # commonName, organizationalUnitName, organizationName


def host_names(certificate: Certificate) -> list[str]:
    """The DNS names and IP addresses in the subjectAltName (RFC 5280, 4.2.1.6), without those that cannot be read."""
    found = []
    try:
        value = certificate.extensions.get(_SUBJECT_ALTERNATIVE_NAME, b"\x30\x00")
        start, end = expect(value, 0, len(value), SEQUENCE)
        for tag, _, inner, stop in elements(value, start, end):
            if tag == _DNS:
                found.append(value[inner:stop].decode("latin-1"))
            elif tag == _IP and stop - inner in _FAMILIES:
                found.append(inet_ntop(_FAMILIES[stop - inner], value[inner:stop]))
    except DERError:
        pass
    return found


def common_name(name: bytes) -> str:
    """The last commonName of a Name (DER), else its last organizational unit or organization, else an empty text."""
    found: dict[bytes, str] = {}
    try:
        start, end = expect(name, 0, len(name), SEQUENCE)
        for _, _, rdn, rdn_end in elements(name, start, end):
            for _, _, inner, stop in elements(name, rdn, rdn_end):
                kind, at = expect(name, inner, stop, OID)
                tag, value, value_end = read(name, at, stop)
                found[name[kind:at]] = text_of(name[value:value_end], tag, "replace")
    except DERError:
        pass
    return next((found[kind] for kind in _TELLING if kind in found), "")
