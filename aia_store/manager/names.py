"""A Name (RFC 5280, 4.1.2.4) as text: as the openssl command prints it, in the format of RFC 4514, or in short.

Characters that control a terminal or break a line are replaced.
"""

from __future__ import annotations

import _ssl
import re
from collections.abc import Iterator
from typing import NamedTuple

from ..inside.certificate import OID, SEQUENCE, DERError, elements, expect, read, text_of
from .words import harmless, shortened

_COMMON_NAME = "2.5.4.3"
_LONGEST_VALUE = 128  # characters; X.520 permits 64
_LONGEST_IDENTIFIER = 128  # octets; Python writes no number of more than 4,300 digits
#: RFC 4514, 3. Other types are written as numbers.
_RFC4514 = {
    _COMMON_NAME: "CN",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.6": "C",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
}


class _Attribute(NamedTuple):
    kind: str  # an object identifier as numbers
    value: str


def as_openssl_prints(name: bytes) -> str:
    """A Name (DER) as `openssl x509 -nameopt utf8,sep_comma_plus` prints it: `C=US,O=Some CA`. Raises DERError."""
    return ",".join(
        "+".join(f"{_short_name(kind)}={harmless(value)}" for kind, value in attributes) for attributes in _parsed(name)
    )


def as_rfc4514(name: bytes) -> str:
    """A Name (DER) in the format of RFC 4514, the last part first: `O=Some CA,C=US`. Raises DERError."""
    return ",".join(
        "+".join(f"{_RFC4514.get(kind, kind)}={_escaped(value)}" for kind, value in attributes)
        for attributes in reversed(list(_parsed(name)))
    )


def in_short(name: bytes) -> str:
    """The last common name in a Name (DER), or else its last attribute, cut after 128 characters. Raises DERError."""
    attributes = [attribute for part in _parsed(name) for attribute in part]
    best = [attribute for attribute in attributes if attribute.kind == _COMMON_NAME] or attributes
    return shortened(best[-1].value, _LONGEST_VALUE) if best else "(no name)"


def _parsed(name: bytes) -> Iterator[list[_Attribute]]:
    """The relative distinguished names of a Name (DER), in order: the attributes of each. Raises DERError."""
    start, end = expect(name, 0, len(name), SEQUENCE)
    for _, _, inner, stop in elements(name, start, end):
        yield [_attribute(name, *attribute[2:]) for attribute in elements(name, inner, stop)]


def _attribute(name: bytes, start: int, end: int) -> _Attribute:
    type_start, type_stop = expect(name, start, end, OID)
    tag, value_start, value_stop = read(name, type_stop, end)
    return _Attribute(_dotted(name[type_start:type_stop]), text_of(name[value_start:value_stop], tag, "replace"))


def _dotted(contents: bytes) -> str:
    """An object identifier (DER contents) as numbers with dots. Raises DERError if it is too long."""
    if len(contents) > _LONGEST_IDENTIFIER:
        raise DERError("an object identifier that is too long")
    arcs, arc = [], 0
    for octet in contents:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2) if arcs else 0
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]])) if arcs else ""


def _short_name(kind: str) -> str:
    """OpenSSL's short name of an object identifier, such as `CN`; the identifier itself if OpenSSL has none."""
    try:
        return str(_ssl.txt2obj(kind, False)[1])
    except ValueError:
        return kind


def _escaped(value: str) -> str:
    """The value of an attribute, escaped as in RFC 4514, 2.4."""
    return harmless(re.sub(r'["+,;<>\\]|^[# ]| $', r"\\\g<0>", value))
