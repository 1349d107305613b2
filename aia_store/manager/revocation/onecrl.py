"""Read OneCRL as JSON: the records of Mozilla's collection, with or without the object that Mozilla's server adds."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

from ...inside import revoked
from ...inside.certificate import DERError, canonical_name

REASON = "by OneCRL"
MOST_OBJECTS = 500_000  # in the JSON; OneCRL has some 4,000


def records(content: bytes) -> list[Any]:
    """The records in a JSON list, or in an object {"data": [...]}. Raises ValueError for anything else."""
    if content.count(b"{") + content.count(b"[") > MOST_OBJECTS:  # each costs 64 bytes of memory, or more
        raise ValueError("too many records")
    try:
        found = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if isinstance(found, dict):
        found = found.get("data")
    if not isinstance(found, list):
        raise ValueError("no list of records")
    return found


def digests(record: Any) -> Iterator[bytes]:
    """The digests of the certificates that a record revokes. Raises ValueError if the record cannot be read.

    A record has issuerName (DER) and serialNumber (contents of an INTEGER), or subject (DER) and pubKeyHash (SHA-256 of
    a SubjectPublicKeyInfo), all in base64. Other keys, such as "enabled", do not matter.
    """
    try:
        if "issuerName" in record:
            issuer_key = canonical_name(_bytes(record["issuerName"]))
            serial = _bytes(record["serialNumber"])
            yield revoked.serial_digest(issuer_key, serial)
            if serial[:1] >= b"\x80":  # it lacks the leading zero of DER
                yield revoked.serial_digest(issuer_key, b"\0" + serial)
        else:
            key_hash = _bytes(record["pubKeyHash"])
            if len(key_hash) != 32:
                raise ValueError("not a SHA-256")
            yield revoked.key_digest(canonical_name(_bytes(record["subject"])), key_hash)
    except (DERError, LookupError, TypeError) as error:
        raise ValueError("a record of another kind") from error


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("not text")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
