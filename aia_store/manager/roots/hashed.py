"""Hashed folders of trust anchors: one certificate per file, as `openssl rehash` arranges them.

OpenSSL finds a file by its name, which consists of the hash of the certificate's subject and a number
(X509_LOOKUP_hash_dir). OpenSSL does not find a file with another name, so the certificate in it is no trust anchor.
"""

from __future__ import annotations

import os
import re

from ...inside.certificate import Certificate, subject_hash
from . import pem_files

FOLDERS = (
    "/etc/ssl/certs",  # Debian, SUSE, FreeBSD, and most others
    "/etc/pki/ca-trust/extracted/pem/directory-hash",  # Fedora
    "/etc/pki/tls/certs",  # older Fedora and RHEL
    "/etc/openssl/certs",  # NetBSD
)
_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")


def files(folder: str) -> list[str]:
    """The paths of the files in a folder whose names are a hash and a number, sorted. Raises OSError."""
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if _NAME.fullmatch(name))


def certificates(folder: str) -> list[Certificate]:
    """The certificates that OpenSSL would find in this folder, each once. Raises OSError and DamagedError."""
    found: list[Certificate] = []
    for path in files(folder):
        name = os.path.basename(path)
        try:
            held = pem_files.certificates(path)
        except pem_files.DamagedError as error:
            raise pem_files.DamagedError(f"is damaged: {name} {error}") from error
        found += [certificate for certificate in held if subject_hash(certificate.subject_key) == name[:8]]
    if not found:
        raise pem_files.DamagedError("holds no certificate under a name that OpenSSL would look up")
    return list(dict.fromkeys(found))
