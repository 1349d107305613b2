"""The certificates in the reply of an AIA host: DER, certs-only PKCS#7, the base64 of either, or PEM.

We tell the format by the content. RFC 5280, 4.2.2.1 allows the first two, but real hosts send all of them. 12 % of the
real URLs lead to PKCS#7, some of it in BER.
"""

from __future__ import annotations

import binascii
from itertools import islice

from .certificate import OID, SEQUENCE, DERError, expect, pem_certificates, read, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .certificate import Certificate

MOST_CERTIFICATES = 10
_MOST_DEPTH = 16
_PEM_PKCS7 = (b"-----BEGIN PKCS7-----", b"-----END PKCS7-----")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n"
_SIGNED_DATA = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"


def certificates(body: bytes, most: int = MOST_CERTIFICATES) -> list[Certificate]:
    """Return the certificates in a reply, in their order, at most `most`. Never raises."""
    found: list[bytes] = []
    try:
        for der in islice(_certificates(body), most):
            found.append(der)
    except DERError:
        pass  # the certificates before the fault still count
    return list(readable(found))


def _certificates(body: bytes) -> Iterator[bytes]:
    try:
        yield from _of_element(body)
        return
    except _NoElementError:
        pass
    has_blocks = False
    for block in pem_certificates(body):
        has_blocks = True
        try:
            yield from _of_element(block)
        except DERError:
            continue
    if not has_blocks:
        yield from _of_element(_of_base64(body))


def _of_element(body: bytes) -> Iterator[bytes]:
    """The certificates in DER or PKCS#7. Raises _NoElementError if the body is neither, DERError if it is malformed."""
    try:
        start, end = _element(body, 0, len(body), 0, SEQUENCE)
    except DERError as error:
        raise _NoElementError from error
    if body[start : start + 1] == bytes((OID,)):
        yield from _of_pkcs7(body, start, end)
    else:
        # An editor may have added a line end.
        yield body if body[end:].strip(b"\r\n") else body[:end]


class _NoElementError(DERError):
    pass


def _of_base64(text: bytes) -> bytes:
    """Decode the PKCS7 block of a PEM text, or a text that is all base64. Raises DERError if it is neither."""
    start, stop = (text.find(mark) for mark in _PEM_PKCS7)
    if 0 <= start < stop:
        text = text[start + len(_PEM_PKCS7[0]) : stop]
    elif text.translate(None, _BASE64):
        raise DERError("neither BER nor PEM nor base64")
    try:
        return binascii.a2b_base64(text)
    except binascii.Error as error:
        raise DERError("no base64") from error


def _of_pkcs7(body: bytes, start: int, end: int) -> Iterator[bytes]:
    """The certificates in ContentInfo { signedData, [0] SignedData { …, [0] certificates, … } } (RFC 5652, 3, 5.1)."""
    inner, at = expect(body, start, end, OID)
    if body[inner:at] != _SIGNED_DATA:
        raise DERError("PKCS#7 that is no SignedData")
    start, end = _element(body, at, end, 1, 0xA0)
    start, end = _element(body, start, end, 2, SEQUENCE)
    for tag, _, inner, stop, _ in _elements(body, start, end, 3):
        if tag == 0xA0:
            for choice, first, _, _, after in _elements(body, inner, stop, 4):
                if choice == SEQUENCE:  # the other choices are attribute certificates and the like
                    yield body[first:after]


def _element(body: bytes, at: int, end: int, depth: int, tag: int) -> tuple[int, int]:
    """Where the contents of the BER element at `at` begin and end. The element must have this tag."""
    found, _, start, stop, _ = next(_elements(body, at, end, depth), (None, 0, 0, 0, 0))
    if found != tag:
        raise DERError("not the structure of PKCS#7 or of a certificate")
    return start, stop


def _elements(body: bytes, at: int, end: int, depth: int) -> Iterator[tuple[int, int, int, int, int]]:
    """For each BER element from `at` on: its tag, its offset, where its contents begin and end, and its own end."""
    if depth > _MOST_DEPTH:
        raise DERError("BER nested too deeply")
    while at < end and body[at : at + 2] != b"\x00\x00":
        if body[at + 1 : at + 2] == b"\x80":  # indefinite length: up to two zero bytes
            start = at + 2
            stop = max((after for *_, after in _elements(body, start, end, depth + 1)), default=start)
            after = stop + 2
            if body[stop:after] != b"\x00\x00" or after > end:
                raise DERError("an indefinite length without its end")
        else:
            _, start, stop = read(body, at, end)
            after = stop
        yield body[at], at, start, stop, after
        at = after
