"""The machine's trust anchors: where each system keeps them, never our own bundle."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from ..der import pem_certificates, readable

if TYPE_CHECKING:
    from ..config import Settings
    from ..der import Certificate

# The first line of every bundle that we publish: by it a bundle is known wherever it was copied to.
BUNDLE_MARK = b"# aia-store bundle: "

SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo, Alpine with ca-certificates
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/ca-certificates/extracted/tls-ca-bundle.pem",  # Arch
    "/var/lib/ca-certificates/ca-bundle.pem",  # SUSE
    "/etc/pki/tls/certs/ca-bundle.crt",  # older Fedora and RHEL
    "/etc/ssl/ca-bundle.pem",  # older SUSE
    "/usr/local/share/certs/ca-root-nss.crt",  # FreeBSD
    "/etc/ssl/cert.pem",  # Alpine, FreeBSD, OpenBSD, macOS
)


class RootsError(Exception):
    """No trust anchors can be had; the message is one line that says why and what to do."""


class Source(NamedTuple):
    """Where trust anchors come from: a PEM file, and why this one."""

    path: str
    reason: str


def source(settings: Settings) -> Source:
    """The file that holds this machine's trust anchors: the one that was set, the system's, certifi's.

    Raises RootsError.
    """
    if settings.roots is not None:
        if not os.path.isfile(settings.roots):
            raise RootsError(f"{settings.roots} is no file; set AIA_STORE_ROOTS to a PEM file of trust anchors")
        if _is_our_bundle(settings.roots):
            raise RootsError(
                f"{settings.roots} is a bundle made by aia-store; set AIA_STORE_ROOTS to what it is made of"
            )
        return Source(settings.roots, "it was set (AIA_STORE_ROOTS)")
    for path in SYSTEM_FILES:
        if os.path.isfile(path) and os.path.getsize(path) and not _is_our_bundle(path):
            return Source(path, "the system keeps its trust anchors there")
    import certifi

    path = certifi.where()
    if os.path.isfile(path) and not _is_our_bundle(path):
        return Source(path, f"certifi brings it; {sys.platform} has no file of its own that is known here")
    raise RootsError("no trust anchors were found; set AIA_STORE_ROOTS to a PEM file of them")


def load(where: Source) -> list[Certificate]:
    """The trust anchors of a source, each once, in their order; what cannot be read is left out.

    Raises RootsError where there is not one, as then a bundle would trust nothing.
    """
    try:
        with open(where.path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise RootsError(f"{where.path} cannot be read ({error.strerror}); mend its permissions") from error
    found = list(readable(pem_certificates(text)))
    if not found:
        raise RootsError(f"{where.path} holds no certificate; set AIA_STORE_ROOTS to a PEM file of trust anchors")
    return found


def _is_our_bundle(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return BUNDLE_MARK in file.read()
    except OSError:
        return False
