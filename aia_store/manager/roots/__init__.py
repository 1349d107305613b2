"""The machine's trust anchors: where each system keeps them, less what it distrusts, never our own bundle.

They never become another set in silence. What the system has and cannot be read is an error, and so is what was there
when the last bundle was made and is gone; only what is preferred to that place is followed. certifi's trust anchors
serve where the system has none at all.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ...inside.certificate import readable
from .. import published
from . import hashed, macos, named, p11kit, pem_files, windows
from .p11kit import Distrust
from .pem_files import DamagedError

if TYPE_CHECKING:
    from ...inside.certificate import Certificate
    from ...inside.settings import Settings

__all__ = ["BUNDLE_MARK", "SYSTEM_FILES", "Distrust", "Roots", "RootsError", "Source"]

# The first line of every bundle that we publish: by it a bundle is known wherever it was copied to.
BUNDLE_MARK = b"# aia-store bundle: "

SYSTEM_FILES = pem_files.PATHS
_NO_FILES = {system.PATH: system for system in (macos, windows)}
# What tells that a system has trust anchors of its own, though no place of them be there now.
_TRACES = ("/etc/ca-certificates.conf", *p11kit.FOLDERS)
_MAKERS = ("/usr/sbin/update-ca-certificates", "/usr/bin/update-ca-trust")  # of the system's files and folders
_SET = "set AIA_STORE_ROOTS to a PEM file of trust anchors"
_INSTALL = "install ca-certificates" if sys.platform.startswith("linux") else _SET


class RootsError(Exception):
    """No trust anchors can be had; the message is one line that says why and what to do."""


class Source(NamedTuple):
    """Where trust anchors come from, mostly a PEM file, and why this one."""

    path: str
    reason: str
    preferred: tuple[str, ...] = ()  # what would be taken in its place, were it there
    remedy: str | None = None  # of a fallback: how the machine gets trust anchors of its own; else None

    @property
    def is_fallback(self) -> bool:
        """Whether these are certifi's, as the system has no trust anchors."""
        return self.remedy is not None


class Roots(NamedTuple):
    """What a source holds: the trust anchors, each once, in their order."""

    anchors: list[Certificate]
    distrusted: int  # left out, because the system distrusts them
    limited: int  # among the anchors: the system distrusts what they issued after some date
    notes: list[str]  # what the system says of distrust and could not be read, a line each


def source(settings: Settings) -> Source:
    """What holds this machine's trust anchors; the first of these that is there.

    The file that was set; the system's own place; the file that SSL_CERT_FILE or NIX_SSL_CERT_FILE names, or the last
    bundle was made of; certifi's file. Raises RootsError, also where the place of the last bundle is gone and what is
    left is not preferred to it.
    """
    if settings.roots is not None:
        return _set_source(settings.roots)
    for system in _NO_FILES.values():
        if system.is_here():
            return Source(system.PATH, system.REASON)
    last = published.last_source(settings)
    preferred: list[str] = []
    for path, reason in _places(last):
        if _is_there(path) and not is_our_bundle(path):
            return Source(path, reason, tuple(preferred))
        if path == last:
            raise RootsError(f"{path}, which the last bundle was made of, {_loss(path)}; {_put_back(path)}")
        preferred.append(path)
    trace = next(filter(os.path.lexists, (*SYSTEM_FILES, *_TRACES)), None)
    if trace is not None:
        raise RootsError(f"the system's trust anchors are gone, though {trace} is here; {_put_back(trace)}")
    return _fallback(tuple(preferred))


def load(where: Source) -> list[Certificate]:
    """The trust anchors of a source, less what the system distrusts.

    Raises RootsError where there is not one, as then a bundle would trust nothing, and where the source is damaged.
    """
    return read(where).anchors


def read(where: Source) -> Roots:
    """The trust anchors of a source, and what the system says against some. Raises RootsError as `load` does."""
    try:
        found = _certificates(where.path)
    except OSError as error:
        raise _unreadable(where.path, error) from error
    except DamagedError as error:
        raise RootsError(f"{where.path} {error}; {_put_back(where.path)}") from error
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
    return _distrust(state_of_distrust())


def state_of_distrust() -> tuple[object, ...]:
    """Another one whenever what this system distrusts may be another."""
    return tuple(identity(path) for path in p11kit.watched())


def watched(where: Source | None) -> list[str]:
    """Every path whose change can change the trust anchors, there or not: the source itself first.

    Without a source, every place where one may come to be.
    """
    if where is None:
        return [*(path for path, _ in _places(None)), *p11kit.watched()]
    if where.path == macos.PATH:
        return list(macos.WATCHED)
    return [where.path, *_files_in(where.path), *where.preferred, *p11kit.watched()]


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


def is_our_bundle(path: str) -> bool:
    """Whether a file is a bundle that we published, under whatever name."""
    try:
        return BUNDLE_MARK in pem_files.contents(path)
    except (OSError, DamagedError):
        return False


def _set_source(path: str) -> Source:
    if not os.path.isfile(path):
        raise RootsError(f"{path} is no file; {_SET}")
    if is_our_bundle(path):
        raise RootsError(f"{path} is a bundle made by aia-store; set AIA_STORE_ROOTS to what it is made of")
    return Source(path, "it was set (AIA_STORE_ROOTS)")


def _fallback(preferred: tuple[str, ...]) -> Source:
    try:
        import certifi

        path = certifi.where()
    except (ImportError, AttributeError, OSError):  # not installed, or only its folder is left
        path = ""
    if not os.path.isfile(path) or is_our_bundle(path):
        raise RootsError(f"no trust anchors were found; {_INSTALL}, or {_SET}")
    return Source(path, "certifi brings it, as the system has no trust anchors of its own", preferred, _INSTALL)


def _places(last: str | None) -> list[tuple[str, str]]:
    """Where the machine's trust anchors may be, the best place first, and why each is one.

    The system's files are preferred to its folders, which hold the same and take longer to read.
    """
    files = dict.fromkeys(SYSTEM_FILES, "the system keeps its trust anchors there")
    folders = dict.fromkeys(hashed.FOLDERS, "the system keeps its trust anchors there, one by one")
    by_name = dict.fromkeys(named.files(), "SSL_CERT_FILE or NIX_SSL_CERT_FILE names it")
    if last is not None and last not in files and last not in folders:
        # Where `aia-store env` was evaluated, or in a service, the variable no longer says it.
        by_name.setdefault(last, "SSL_CERT_FILE or NIX_SSL_CERT_FILE named it when the last bundle was made")
    return [*files.items(), *folders.items(), *by_name.items()]


def _is_there(path: str) -> bool:
    """Whether something is in this place, be it damaged or closed to us; of a folder, whether it holds anything.

    Raises RootsError where that cannot be told.
    """
    try:
        os.lstat(path)
        return path not in hashed.FOLDERS or bool(hashed.files(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error


def _certificates(path: str) -> list[Certificate]:
    if path in _NO_FILES:
        return list(readable(_NO_FILES[path].certificates()))
    return hashed.certificates(path) if path in hashed.FOLDERS else pem_files.certificates(path)


def _files_in(path: str) -> list[str]:
    try:
        return hashed.files(path) if path in hashed.FOLDERS else []
    except OSError:
        return []


def _loss(path: str) -> str:
    return "is a bundle made by aia-store now" if is_our_bundle(path) else "is gone"


def _unreadable(path: str, error: OSError) -> RootsError:
    remedy = "mend its permissions" if isinstance(error, PermissionError) else _put_back(path)
    return RootsError(f"{path} cannot be read ({error.strerror or error}); {remedy}")


def _put_back(path: str) -> str:
    """What to do where a place of trust anchors is damaged or gone."""
    is_the_systems = path in SYSTEM_FILES or path in hashed.FOLDERS or path in _TRACES
    maker = next(filter(os.path.exists, _MAKERS), None) if is_the_systems else None
    return f"run {os.path.basename(maker)}, or {_SET}" if maker else f"put it right, or {_SET}"
