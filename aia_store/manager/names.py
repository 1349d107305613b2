"""A Name as `openssl x509 -nameopt utf8,sep_comma_plus` prints it: in its own order, `C=US,O=Some CA,CN=Some Name`."""

from __future__ import annotations

import _ssl

from ..inside.certificate import OID, SEQUENCE, STRINGS, elements, expect, read
from .words import harmless


def as_openssl_prints(name: bytes) -> str:
    """A Name (DER) as text, without characters that control a terminal or break a line. Raises DERError."""
    start, end = expect(name, 0, len(name), SEQUENCE)
    return ",".join(
        "+".join(_attribute(name, *attribute[2:]) for attribute in elements(name, inner, stop))
        for _, _, inner, stop in elements(name, start, end)
    )


def _attribute(name: bytes, start: int, end: int) -> str:
    type_start, type_stop = expect(name, start, end, OID)
    tag, value_start, value_stop = read(name, type_stop, end)
    value = name[value_start:value_stop].decode(STRINGS.get(tag, "latin-1"), "replace")
    return f"{_short_name(name[type_start:type_stop])}={harmless(value)}"


def _short_name(contents: bytes) -> str:
    """OpenSSL's short name of an object identifier, or its numbers."""
    arcs, arc = [], 0
    for octet in contents:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2) if arcs else 0
    dotted = ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]])) if arcs else ""
    try:
        return str(_ssl.txt2obj(dotted, False)[1])
    except ValueError:
        return dotted
