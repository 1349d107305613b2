"""The PEM files in which Linux distributions and the BSDs keep their trust anchors.

They are read more strictly than by OpenSSL. OpenSSL skips a block that does not begin a line, and stops at a NUL. If a
block is cut short, OpenSSL loads nothing at all, or only what comes before. All this silently changes the trust
anchors. Here it is an error.
"""

from __future__ import annotations

import _ssl
import os
import re
import stat

from ...inside.certificate import Certificate, readable, strict_base64
from ...inside.contexts import Context

PATHS = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo, Alpine with ca-certificates
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/ca-certificates/extracted/tls-ca-bundle.pem",  # Arch
    "/var/lib/ca-certificates/ca-bundle.pem",  # SUSE
    "/etc/pki/tls/certs/ca-bundle.crt",  # older Fedora and RHEL
    "/etc/ssl/ca-bundle.pem",  # older SUSE
    "/usr/local/share/certs/ca-root-nss.crt",  # FreeBSD
    "/etc/ssl/cert.pem",  # Alpine, FreeBSD, OpenBSD
)

LARGEST = 16 << 20  # bytes

# The first line of every bundle that we publish, by which its copies are recognized too.
BUNDLE_MARK = b"# aia-store bundle: "

_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE")  # PEM_STRING_X509 and PEM_STRING_X509_OLD of OpenSSL
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_EDGES = (b"-----BEGIN ", b"-----END ")
_FIRST_EDGE = b"-----BEGIN CERTIFICATE-----"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # OpenSSL skips it (get_name in its pem_lib.c)


class DamagedError(ValueError):
    """A file exists but does not contain what it should. The message says what is wrong with it."""


def certificates(path: str) -> list[Certificate]:
    """The certificates of a PEM file, each once, in the order of the file.

    Raises OSError if the file cannot be read, and DamagedError if it is damaged or holds no certificate.
    """
    text = contents(path)
    found = in_text(text)
    if not found:
        raise DamagedError("holds no certificate" if text else "is empty")
    return found


def contents(path: str) -> bytes:
    """Return the contents of a regular file. Raises OSError, and DamagedError if it is not regular or too large."""
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            raise DamagedError(f"is not a regular file of at most {LARGEST >> 20} MB")
        return file.read()


def in_text(text: bytes) -> list[Certificate]:
    """The certificates in a PEM text (RFC 7468), each once; other blocks are skipped. Raises DamagedError."""
    if b"\0" in text:
        raise DamagedError("holds NUL bytes")
    lines = text.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    found: list[bytes] = []
    label, begun, body = b"", 0, b""
    for number, line in enumerate(map(bytes.rstrip, lines), 1):
        if label and line == b"-----END " + label + b"-----":
            if label in _CERTIFICATES:
                found.append(_decoded(body, begun))
            label = b""
        elif label:
            if number < len(lines):
                _demand_body(line, label, begun)
            body += line
        elif begin := _BEGIN.fullmatch(line):
            label, begun, body = begin[1], number, b""
        elif any(edge + name in line for edge in _EDGES for name in _CERTIFICATES):
            raise DamagedError(f"is damaged: line {number} does not begin a block")
    last = lines[-1].rstrip()
    if label or (last and _FIRST_EDGE.startswith(last)):
        raise DamagedError(f"is cut short: line {begun if label else len(lines)} begins a block that has no end")
    unique = dict.fromkeys(found)
    sound = [certificate for certificate in readable(unique) if loaded(certificate.pem)]
    if len(sound) != len(unique):
        raise DamagedError(f"is damaged: {len(unique) - len(sound)} of its {len(unique)} certificates cannot be read")
    return sound


def _demand_body(line: bytes, label: bytes, begun: int) -> None:
    if any(edge in line for edge in _EDGES):
        raise DamagedError(f"is damaged: the block in line {begun} has no end")
    if not line and label in _CERTIFICATES:  # for OpenSSL, everything before an empty line is a header
        raise DamagedError(f"is damaged: the block in line {begun} has an empty line")


def loaded(pem: str) -> int:
    """How many certificates OpenSSL loads from a PEM text; 0 if OpenSSL refuses the text."""
    context = Context(_ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except _ssl.SSLError:
        return 0
    return int(context.cert_store_stats()["x509"])


def _decoded(body: bytes, line: int) -> bytes:
    try:
        der = strict_base64(body)
    except ValueError as error:
        raise DamagedError(f"is damaged: the block in line {line} is not base64") from error
    if not der:
        raise DamagedError(f"is damaged: the block in line {line} is empty")
    return der
