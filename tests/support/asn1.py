"""The few lines of ASN.1 that the hand-made parts of the test PKI need."""

from __future__ import annotations

SEQUENCE = 0x30
SET = 0x31
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OID = 0x06
IA5_URI = 0x86


def tlv(tag: int, *contents: bytes) -> bytes:
    """The contents, joined, as one DER value with this tag."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def indefinite(tag: int, *contents: bytes) -> bytes:
    """The contents, joined, as one BER value of indefinite length."""
    return bytes([tag, 0x80]) + b"".join(contents) + b"\0\0"


def children(der: bytes) -> list[bytes]:
    """The values directly inside one constructed DER value, each with its own tag and length."""
    start, end = _content(der, 0)
    found = []
    while start < end:
        _, after = _content(der, start)
        found.append(der[start:after])
        start = after
    return found


def with_field(certificate: bytes, number: int, value: bytes) -> bytes:
    """A certificate with another field in the place of one, unsigned: 0 is the version, 3 the issuer, 5 the subject."""
    to_sign, algorithm, signature = children(certificate)
    fields = children(to_sign)
    fields[number] = value
    return tlv(SEQUENCE, tlv(SEQUENCE, *fields), algorithm, signature)


def _content(der: bytes, at: int) -> tuple[int, int]:
    first = der[at + 1]
    start = at + 2
    if first < 0x80:
        return start, start + first
    start += first & 0x7F
    return start, start + int.from_bytes(der[at + 2 : start], "big")
