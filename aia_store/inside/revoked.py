"""Which certificates are known to be revoked: a file that a refresh writes and every program with the hook reads.

The file `revoked` in a store folder only holds SHA-256 digests, sorted, 32 bytes each. So a look-up costs a few short
reads, however long the file is. Each certificate has four digests (`digests`). It is revoked if the file has any.

A CRL is only about certificates that its signer's key signed: two CAs may have the same name, and one CA's serial
numbers say nothing about the other's certificates. So a look-up needs the issuer too. A key identifier could not
replace the issuer's key, because any CA may write another CA's key identifier into its own certificates.
"""

from __future__ import annotations

import os
import stat

from . import unless_interrupted
from .certificate import sha256
from .store import READ_FLAGS, REVOKED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .certificate import Certificate
    from .store import Folder

_SIZE = 32  # bytes of a digest


def digests(certificate: Certificate, issuer: Certificate) -> tuple[bytes, bytes, bytes, bytes]:
    """The digests by which the file may list a certificate of this issuer. Raises DERError if a name is unreadable."""
    key_hash = _sha256(certificate.public_key)
    return (
        _sha256(certificate.der),
        serial_digest(certificate.issuer_key, certificate.serial),
        key_digest(certificate.subject_key, key_hash),
        issued_digest(issuer, certificate.serial),
    )


def serial_digest(issuer_key: bytes, serial: bytes) -> bytes:
    """The digest of the certificate with this canonical issuer name and serial number (the contents of the INTEGER).

    It is for entries of revocation lists. They do not say the issuer's key, but the administrator trusts these lists.
    """
    return _sha256(b"serial" + issuer_key + serial)


def issued_digest(issuer: Certificate, serial: bytes) -> bytes:
    """The digest for an entry of a CRL: over the issuer's name and key and the serial number (INTEGER's contents)."""
    return _sha256(b"issued" + issuer.subject_key + _sha256(issuer.public_key) + serial)


def key_digest(subject_key: bytes, key_hash: bytes) -> bytes:
    """The digest of all certificates with this canonical subject name and this key, which is given as its SHA-256."""
    return _sha256(b"key" + subject_key + key_hash)


def _sha256(data: bytes) -> bytes:
    return bytes.fromhex(sha256(data))


def is_revoked(certificate: Certificate, issuer: Certificate, folders: Iterable[Folder]) -> bool:
    """Whether a sound file `revoked` in these folders lists the certificate. Raises DERError for unreadable names."""
    return any(_holds_one_of(os.path.join(folder.path, REVOKED), certificate, issuer) for folder in folders)


def _holds_one_of(path: str, certificate: Certificate, issuer: Certificate) -> bool:
    try:
        descriptor = os.open(path, READ_FLAGS)
    except unless_interrupted(OSError):
        return False
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size % _SIZE:
            return False
        return any(_holds(descriptor, status.st_size // _SIZE, digest) for digest in digests(certificate, issuer))
    except unless_interrupted(OSError):
        return False
    finally:
        os.close(descriptor)


def _holds(descriptor: int, count: int, digest: bytes) -> bool:
    """Whether a file with this many digests has this digest. This is a binary search."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        os.lseek(descriptor, middle * _SIZE, os.SEEK_SET)
        found = os.read(descriptor, _SIZE)
        if found == digest:
            return True
        if found < digest:
            low = middle + 1
        else:
            high = middle
    return False
