"""Finds the certificate files that servers are to use, and reads them.

These files may also hold private keys. We drop the lines of a key as we read them. If a file begins like a key in DER
or a PKCS#12, we read only its first bytes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from io import BufferedReader

from ..inside import reply
from ..inside.certificate import INTEGER, SEQUENCE, Certificate, pem_certificates, readable
from ..inside.certificate_names import host_names
from ..manager.safe_reading import first_bytes, opened
from ..manager.target import is_host
from .asked import FileTarget
from .connection import ProbeError, Seen

LARGEST = 1 << 20  # bytes
MOST_FILES = 10_000  # files and folders in a folder and its subfolders
MOST_NESTED = 100  # folders in each other
_MOST_CERTIFICATES = 1_000
_HEAD = 32  # bytes that show whether DER is a key
_LINE = 4_096  # bytes, read at once
_KEY_ENDINGS = (".key", "privkey.pem")


def is_file(text: str) -> bool:
    """Whether this names a file or folder, not a host: it is no URL, and exists as a path or has a slash."""
    return "://" not in text and (os.sep in text or os.path.exists(text))


def found_in(folder: str) -> Iterator[tuple[str, str | None]]:
    """Find the files with a server's certificate in a folder and its subfolders, and what cannot be read there.

    Yields each path, and why it cannot be read (None if it can). If several files of one folder hold the same server's
    certificate, such as certbot's `cert.pem` and `fullchain.pem`, only the one with the most certificates is yielded.
    Raises ProbeError if there are too many files or folders.
    """
    count = 0
    refused: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=refused.append):
        if place.count(os.sep) - folder.count(os.sep) > MOST_NESTED:
            raise ProbeError(f"{folder} holds more than {MOST_NESTED} folders in each other; name one of them")
        count += len(folders) + len(names)
        if count > MOST_FILES:
            raise ProbeError(f"{folder} holds more than {MOST_FILES:,} files and folders; name a smaller folder")
        folders.sort()
        longest: dict[Certificate, tuple[str, int]] = {}
        for name in sorted(names):
            path = os.path.join(place, name)
            try:
                if name.endswith(_KEY_ENDINGS) or not stat.S_ISREG(os.stat(path).st_mode):
                    continue
                certificates, leaf_at = _held(path)
            except OSError as error:
                yield path, f"{path} cannot be read ({error.strerror})"
                continue
            except ProbeError:
                continue  # no certificate of a server
            leaf, length = certificates[leaf_at], len(certificates)
            if leaf not in longest or longest[leaf][1] < length:
                longest[leaf] = path, length
        for path, _ in longest.values():
            yield path, None
    yield from ((one.filename, f"{one.filename} cannot be read ({one.strerror})") for one in refused)


def read(target: FileTarget) -> tuple[FileTarget, Seen]:
    """The target, with a host name from the certificate, and what a server with this file sends. Raises ProbeError."""
    path = target.path
    try:
        certificates, leaf_at = _held(path)
    except OSError as error:
        raise ProbeError(f"{path} cannot be read ({error.strerror})") from error
    leaf = certificates[leaf_at]
    names = (name.replace("*", "www", 1) for name in host_names(leaf))
    own_name = next(filter(is_host, names), "")
    others = [one.der for at, one in enumerate(certificates) if at != leaf_at]
    return target._replace(own_name=own_name), Seen([leaf.der, *others], None, None, leaf_at=leaf_at)


def holds_key(path: str) -> bool:
    """Whether a regular file has a private key in PEM in its first megabyte; False if it cannot be read."""
    if not os.path.isfile(path):
        return False
    try:
        return any(map(_begins_key, first_bytes(path, LARGEST).splitlines()))
    except OSError:
        return False


def _held(path: str) -> tuple[list[Certificate], int]:
    """The certificates in a file, and the index of the server's own. Raises OSError and ProbeError."""
    with opened(path) as file:
        content = _without_keys(file, path)
    # A certificate that a PEM file holds twice is sent twice.
    ders = list(pem_certificates(content)) or [one.der for one in reply.certificates(content, _MOST_CERTIFICATES)]
    found = [Certificate(der) for der in ders if any(readable([der]))]
    if not found:
        raise ProbeError(f"{path} holds no certificate; PEM, DER and PKCS#7 can be read")
    for at, certificate in enumerate(found):
        if not certificate.basic_constraints[0]:
            return found, at
    # `openssl req -x509` makes server certificates that say that they are a CA's.
    for at, certificate in enumerate(found):
        if host_names(certificate):
            return found, at
    raise ProbeError(f"{path} holds no server's certificate, only those of CAs")


def _without_keys(file: BufferedReader, path: str) -> bytes:
    """The content of a file without its private keys. Raises ProbeError if it is too large."""
    head = file.peek(_HEAD)
    if head[:1] == bytes((SEQUENCE,)):
        return b"" if _is_key(head) else _limited(file, path)
    kept, size, in_key = [], 0, False
    while line := file.readline(_LINE):
        size += len(line)
        if size > LARGEST:
            raise ProbeError(f"{path} is too large for a server's certificates")
        in_key = in_key or _begins_key(line)
        if not in_key:
            kept.append(line)
        if line.startswith(b"-----END "):
            in_key = False
    return b"".join(kept)


def _begins_key(line: bytes) -> bool:
    return line.startswith(b"-----BEGIN ") and b"PRIVATE KEY" in line


def _limited(file: BufferedReader, path: str) -> bytes:
    content = file.read(LARGEST)
    if len(content) == LARGEST:
        raise ProbeError(f"{path} is too large for a server's certificates")
    return content


def _is_key(head: bytes) -> bool:
    """Whether DER with this beginning is a private key or a PKCS#12: both begin with a version.

    RFC 5958, 2; RFC 8017, A.1.2; RFC 5915, 3; RFC 7292, 4.
    """
    return len(head) > 2 and head[2 + (head[1] & 0x7F if head[1] & 0x80 else 0) :][:1] == bytes((INTEGER,))
