"""Hashed folders of trust anchors, where a system keeps them one by one, as `openssl rehash` arranges them.

A file is named by the hash of its certificate's subject and a number, by which OpenSSL finds it
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
    """The paths of the files that are named by a hash, sorted. Raises OSError."""
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if _NAME.fullmatch(name))


def certificates(folder: str) -> list[Certificate]:
    """The certificates that OpenSSL would find there, each once. Raises the errors of `pem_files.certificates`."""
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
