"""Which PEM blocks are plain, so that every version of OpenSSL loads the certificate in them.

A block is plain if it has lines of 64 characters, and holds the DER of a certificate (RFC 5280, 4.1) with nothing
unusual in it. OpenSSL also accepts other blocks, so these are left to OpenSSL. Like OpenSSL at this point, we do not
check whether a certificate is valid.
"""

from __future__ import annotations

from . import remember
from .certificate import (
    BIT_STRING,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    UTC_TIME,
    elements,
    expect,
    read,
    strict_base64,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_COLUMNS = 65  # of a line of base64, its end included
_NULL, _UTF8_STRING = 0x05, 0x0C
_STRINGS = (_UTF8_STRING, 0x13, 0x14, 0x16)  # UTF8String, PrintableString, T61String, IA5String
_VERSION_3 = b"\xa0\x03\x02\x01\x02"
_TRUE_OR_FALSE = b"\x01\x01"

MOST_SOUND = 4_096  # parts, nearly all of them shorter than 130 bytes
_sound: dict[bytes, None] = {}  # parts of certificates that were found sound; most of them occur in many


def certificate(text: bytes) -> bytes:
    """The certificate (DER) in a block, which is given without BEGIN and END. Raises ValueError if it is not plain."""
    lines, rest = divmod(len(text), _COLUMNS)
    _demand(
        text[_COLUMNS - 1 :: _COLUMNS] == b"\n" * lines
        and text[-1:] == b"\n"
        and text.count(b"\n") == lines + bool(rest)
        and (rest == 0 or (rest > 1 and rest % 4 == 1))  # groups of four characters, and the line's end
    )
    der = strict_base64(text.replace(b"\n", b""))
    try:
        _certificate(der)
    except IndexError as error:
        raise ValueError("a certificate that is cut short") from error
    return der


def _certificate(der: bytes) -> None:
    """Check every field that OpenSSL decodes when it loads a certificate (d2i_X509); RFC 5280, 4.1."""
    start, stop = expect(der, 0, len(der), SEQUENCE)
    _demand(stop == len(der))
    at, end = expect(der, start, stop, SEQUENCE)
    _demand(_bit_string(der, _algorithm(der, end, stop), stop) == stop)
    is_version_3 = der[at : at + 5] == _VERSION_3
    if is_version_3:
        at += 5
    at = _algorithm(der, _serial(der, at, end), end)
    issuer, at = at, _name(der, at, end)
    name = der[issuer:at]
    inner, stop = expect(der, at, end, SEQUENCE)
    _demand(_time(der, _time(der, inner, stop), stop) == stop)
    at = stop + len(name) if der.startswith(name, stop) else _name(der, stop, end)
    inner, stop = expect(der, at, end, SEQUENCE)
    _demand(_bit_string(der, _algorithm(der, inner, stop), stop) == stop)
    if stop < end:
        _demand(is_version_3)
        _extensions(der, stop, end)


def _extensions(der: bytes, at: int, end: int) -> None:
    inner, stop = expect(der, at, end, 0xA3)
    _demand(stop == end)
    inner, stop = expect(der, inner, end, SEQUENCE)
    _demand(stop == end and inner < end)
    _each(der, inner, end, _extension)


def _extension(der: bytes, tag: int, start: int, stop: int) -> None:
    _demand(tag == SEQUENCE)
    at = _identifier(der, start, stop)
    if der.startswith(_TRUE_OR_FALSE, at):
        at += 3
    _demand(expect(der, at, stop, OCTET_STRING)[1] == stop)


def _name(der: bytes, at: int, end: int) -> int:
    """Check that a Name is not empty, and that OpenSSL can make its strings canonical; returns where it ends."""
    start, end = expect(der, at, end, SEQUENCE)
    _demand(start < end)
    _each(der, start, end, _relative_name)
    return end


def _relative_name(der: bytes, tag: int, start: int, stop: int) -> None:
    _demand(tag == SET and start < stop)
    for kind, _, inner, end in elements(der, start, stop):
        _demand(kind == SEQUENCE)
        string, value, after = read(der, _identifier(der, inner, end), end)
        _demand(after == end and string in _STRINGS)
        if string == _UTF8_STRING:
            der[value:end].decode("utf-8")


def _each(der: bytes, at: int, end: int, examine: Callable[[bytes, int, int, int], None]) -> None:
    """Examine each element up to `end`, unless an element with the same bytes was found sound before."""
    while at < end:
        length = der[at + 1]
        whole = der[at : at + 2 + length]
        if length < 0x80 and whole in _sound:
            at += 2 + length
            continue
        tag, start, stop = read(der, at, end)
        examine(der, tag, start, stop)
        if length < 0x80:
            remember(_sound, whole, None, MOST_SOUND)
        at = stop
    _demand(at == end)


def _algorithm(der: bytes, at: int, end: int) -> int:
    """Check an AlgorithmIdentifier, whose parameters must be absent, NULL or an OID; returns where it ends."""
    start, end = expect(der, at, end, SEQUENCE)
    whole = der[start:end]
    if whole not in _sound:
        at = _identifier(der, start, end)
        if at < end:
            tag, inner, stop = read(der, at, end)
            _demand((tag == _NULL and inner == stop == end) or (tag == OID and _identifier(der, at, end) == end))
        remember(_sound, whole, None, MOST_SOUND)
    return end


def _identifier(der: bytes, at: int, end: int) -> int:
    """Check that an object identifier is in its shortest form (X.690, 8.19.2); returns where it ends."""
    start, end = expect(der, at, end, OID)
    value = der[start:end]
    if value not in _sound:
        _demand(bool(value) and value[-1] < 0x80)
        _demand(all(octet != 0x80 or before >= 0x80 for before, octet in zip(b"\0" + value, value)))
        remember(_sound, value, None, MOST_SOUND)
    return end


def _serial(der: bytes, at: int, end: int) -> int:
    """Check that an INTEGER is in its shortest form (X.690, 8.3.2); returns where it ends."""
    start, end = expect(der, at, end, INTEGER)
    first = der[start : min(start + 2, end)]
    _demand(bool(first) and (len(first) == 1 or not (first < b"\0\x80" or first >= b"\xff\x80")))
    return end


def _bit_string(der: bytes, at: int, end: int) -> int:
    start, end = expect(der, at, end, BIT_STRING)
    _demand(start < end and der[start] < 8)
    return end


def _time(der: bytes, at: int, end: int) -> int:
    tag, start, end = read(der, at, end)
    digits = {UTC_TIME: 12, GENERALIZED_TIME: 14}.get(tag)
    _demand(end - start - 1 == digits and der[end - 1 : end] == b"Z" and der[start : end - 1].isdigit())
    return end


def _demand(is_so: bool) -> None:
    if not is_so:
        raise ValueError("something unusual in a certificate")
