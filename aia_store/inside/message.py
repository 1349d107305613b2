"""The server's Certificate message: what the server sent, the leaf first."""

from __future__ import annotations

CERTIFICATE, COMPRESSED_CERTIFICATE = 11, 25
TLS_1_3 = 0x0304
MOST_CERTIFICATES = 100
MOST_BYTES = 1 << 20
_ZLIB, _ZSTD = 1, 3


class MessageError(ValueError):
    """This is no Certificate message that can be read."""


def certificates(message: bytes, version: int) -> list[bytes]:
    """The certificates (DER) of a Certificate message, header included, of that TLS version. Raises MessageError.

    RFC 8446, 4.4.2 and RFC 5246, 7.4.2; a message of type 25 is decompressed first (RFC 8879).
    """
    body = message[4:]
    if message[:1] == bytes((COMPRESSED_CERTIFICATE,)):
        body = _decompressed(body)
    if version >= TLS_1_3:
        body = body[1 + body[0] :] if body else body  # certificate_request_context
    entries, _ = _vector(body, 0, 3)
    found: list[bytes] = []
    at = 0
    while at < len(entries) and len(found) < MOST_CERTIFICATES:
        certificate, at = _vector(entries, at, 3)
        if version >= TLS_1_3:
            _, at = _vector(entries, at, 2)  # extensions
        found.append(certificate)
    return found


def _vector(data: bytes, at: int, octets: int) -> tuple[bytes, int]:
    """A vector behind a length of so many octets, and where the next thing begins."""
    start = at + octets
    stop = start + int.from_bytes(data[at:start], "big")
    if start > len(data) or stop > len(data):
        raise MessageError("a Certificate message that is cut short")
    return data[start:stop], stop


def _decompressed(body: bytes) -> bytes:
    algorithm = int.from_bytes(body[:2], "big")
    size = int.from_bytes(body[2:5], "big")
    packed, _ = _vector(body, 5, 3)
    if size > MOST_BYTES:
        raise MessageError("a Certificate message too large to decompress")
    if algorithm == _ZLIB:
        import zlib

        try:
            plain = zlib.decompressobj().decompress(packed, size + 1)
        except zlib.error as error:
            raise MessageError("a Certificate message that zlib cannot read") from error
    elif algorithm == _ZSTD:
        plain = _unpack_zstd(packed, size)
    else:
        raise MessageError(f"certificate compression {algorithm}, which Python has no decoder for")
    if len(plain) != size:
        raise MessageError("a Certificate message of another size than it says")
    return plain


def _unpack_zstd(packed: bytes, size: int) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14
    except ImportError as error:
        raise MessageError("certificate compression zstd, which Python reads from 3.14 on") from error
    try:
        return bytes(zstd.ZstdDecompressor().decompress(packed, size + 1))
    except zstd.ZstdError as error:
        raise MessageError("a Certificate message that zstd cannot read") from error
