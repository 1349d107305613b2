"""The machine's trust anchors: where each system keeps them, less what it distrusts, never our own bundle."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ...inside.certificate import pem_certificates, readable
from . import macos, p11kit, windows
from . import pem_files as files
from .p11kit import Distrust

if TYPE_CHECKING:
    from ...inside.certificate import Certificate
    from ...inside.settings import Settings

__all__ = ["BUNDLE_MARK", "SYSTEM_FILES", "Distrust", "Roots", "RootsError", "Source"]

# The first line of every bundle that we publish: by it a bundle is known wherever it was copied to.
BUNDLE_MARK = b"# aia-store bundle: "

SYSTEM_FILES = files.PATHS
_NO_FILES = {system.PATH: system for system in (macos, windows)}


class RootsError(Exception):
    """No trust anchors can be had; the message is one line that says why and what to do."""


class Source(NamedTuple):
    """Where trust anchors come from, mostly a PEM file, and why this one."""

    path: str
    reason: str


class Roots(NamedTuple):
    """What a source holds: the trust anchors, each once, in their order; what cannot be read is left out."""

    anchors: list[Certificate]
    distrusted: int  # left out, because the system distrusts them
    limited: int  # among the anchors: the system distrusts what they issued after some date
    notes: list[str]  # what the system says of distrust and could not be read, a line each


def source(settings: Settings) -> Source:
    """What holds this machine's trust anchors: the file that was set, the system's own place, certifi's file.

    Raises RootsError.
    """
    if settings.roots is not None:
        if not os.path.isfile(settings.roots):
            raise RootsError(f"{settings.roots} is no file; set AIA_STORE_ROOTS to a PEM file of trust anchors")
        if is_our_bundle(settings.roots):
            raise RootsError(
                f"{settings.roots} is a bundle made by aia-store; set AIA_STORE_ROOTS to what it is made of"
            )
        return Source(settings.roots, "it was set (AIA_STORE_ROOTS)")
    for system in _NO_FILES.values():
        if system.is_here():
            return Source(system.PATH, system.REASON)
    for path in SYSTEM_FILES:
        if os.path.isfile(path) and os.path.getsize(path) and not is_our_bundle(path):
            return Source(path, "the system keeps its trust anchors there")
    import certifi

    path = certifi.where()
    if os.path.isfile(path) and not is_our_bundle(path):
        return Source(path, f"certifi brings it; {sys.platform} has no file of its own that is known here")
    raise RootsError("no trust anchors were found; set AIA_STORE_ROOTS to a PEM file of them")


def load(where: Source) -> list[Certificate]:
    """The trust anchors of a source, less what the system distrusts.

    Raises RootsError where there is not one, as then a bundle would trust nothing.
    """
    return read(where).anchors


def read(where: Source) -> Roots:
    """The trust anchors of a source, and what the system says against some. Raises RootsError as `load` does."""
    try:
        found = list(readable(_ders(where.path)))
    except OSError as error:
        raise RootsError(f"{where.path} cannot be read ({error.strerror or error}); mend its permissions") from error
    if not found:
        raise RootsError(f"{where.path} holds no certificate; set AIA_STORE_ROOTS to a PEM file of trust anchors")
    distrusted = distrust()
    anchors = [certificate for certificate in found if not distrusted.names(certificate)]
    if not anchors:
        raise RootsError(
            f"this system distrusts every certificate of {where.path}; set AIA_STORE_ROOTS to another file"
        )
    limited = sum(map(distrusted.limits, anchors))
    return Roots(anchors, len(found) - len(anchors), limited, distrusted.notes)


def distrust() -> Distrust:
    """What this system distrusts, as it stands now."""
    return _distrust(tuple(identity(path) for path in p11kit.watched()))


def watched(where: Source) -> list[str]:
    """Every path whose change can change the trust anchors, there or not: the source itself first."""
    if where.path == macos.PATH:
        return list(macos.WATCHED)
    return [where.path, *p11kit.watched()]


@lru_cache(maxsize=1)
def _distrust(state: tuple[object, ...]) -> Distrust:
    return Distrust()


def identity(path: str) -> object:
    """What is another for another state of a file."""
    try:
        status = os.stat(path)
    except OSError:
        return path
    return path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _ders(path: str) -> list[bytes]:
    if path in _NO_FILES:
        ders: list[bytes] = _NO_FILES[path].certificates()
        return ders
    with open(path, "rb") as file:
        return list(pem_certificates(file.read()))


def is_our_bundle(path: str) -> bool:
    """Whether a file is a bundle that we published, under whatever name."""
    try:
        with open(path, "rb") as file:
            return BUNDLE_MARK in file.read()
    except OSError:
        return False
