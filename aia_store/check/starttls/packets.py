"""STARTTLS in binary protocols: LDAP, PostgreSQL and MySQL."""

from __future__ import annotations

import struct

from ...inside.certificate import INTEGER, SEQUENCE, DERError, elements, encode
from .conversation import Conversation, declined, unexpected

_MOST = 8_192  # bytes of an answer

_EXTENDED_REQUEST, _EXTENDED_RESPONSE, _REQUEST_NAME, _ENUMERATED = 0x77, 0x78, 0x80, 0x0A
_START_TLS = b"1.3.6.1.4.1.1466.20037"

_PROTOCOL_41, _SSL, _SECURE_CONNECTION = 0x0200, 0x0800, 0x8000  # capabilities of MySQL
_UTF8 = 33


def ldap(talk: Conversation, name: str) -> None:
    """RFC 4511, 4.14: an ExtendedRequest, and an ExtendedResponse of success (0)."""
    request = encode(_EXTENDED_REQUEST, encode(_REQUEST_NAME, _START_TLS))
    talk.send(encode(SEQUENCE, encode(INTEGER, b"\x01") + request))
    tag, length = head = talk.read(2)
    if tag != SEQUENCE:
        raise unexpected("LDAP", head)
    if length > 0x80:  # some servers, such as OpenLDAP, write short lengths in four octets
        length = int.from_bytes(talk.read(length & 0x7F), "big")
    if length > _MOST:
        raise unexpected("LDAP", head)
    body = talk.read(length)
    try:
        _, (operation, _, start, stop), *_ = elements(body, 0, len(body))
        code, _, inner, end = next(elements(body, start, stop))
    except (DERError, ValueError, StopIteration) as error:
        raise unexpected("LDAP", body) from error
    if operation != _EXTENDED_RESPONSE or code != _ENUMERATED:
        raise unexpected("LDAP", body)
    if body[inner:end] != b"\x00":
        raise declined(body)


def postgres(talk: Conversation, name: str) -> None:
    """An SSLRequest, answered by one byte (PostgreSQL's documentation, "SSL Session Encryption")."""
    talk.send(struct.pack("!ii", 8, 80877103))  # the length, and the code of an SSLRequest
    answer = talk.read(1)
    if answer == b"N":
        raise declined(answer)
    if answer != b"S":
        raise unexpected("PostgreSQL", answer)


def mysql(talk: Conversation, name: str) -> None:
    """The server's greeting (protocol 10), and an SSLRequest without an answer (MySQL's "Connection Phase")."""
    head = talk.read(4)
    length = int.from_bytes(head[:3], "little")
    if length > _MOST:
        raise unexpected("MySQL", head)
    greeting = talk.read(length)
    _, end, rest = greeting.partition(b"\0")  # the protocol, and the server's version
    if greeting[:1] != b"\x0a" or not end or len(rest) < 15:
        raise unexpected("MySQL", greeting)
    (capabilities,) = struct.unpack_from("<H", rest, 13)  # after the thread's number, eight bytes of salt and a zero
    if not capabilities & _SSL:
        raise declined(greeting)
    wanted = _PROTOCOL_41 | _SSL | _SECURE_CONNECTION
    request = struct.pack("<IIB23x", wanted, 1 << 24, _UTF8)
    talk.send(struct.pack("<I", len(request))[:3] + bytes((head[3] + 1 & 0xFF,)) + request)
