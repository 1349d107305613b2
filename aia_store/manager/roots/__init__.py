"""The machine's trust anchors: those that the system keeps, without those that it distrusts, and never our own bundle.

The administrator may add others (`extra`). The system's trust anchors are never silently replaced. It is an error if
they cannot be read. It is also an error if the place that the last bundle was made from is gone, and no better place
exists now. certifi's trust anchors are used only if the system has none at all.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from functools import lru_cache
from typing import NamedTuple

from ...inside.cafile import anchor_names
from ...inside.certificate import Certificate, readable
from ...inside.ownership import changed_by_others
from ...inside.settings import Settings, serves_others
from .. import published
from . import extra, hashed, macos, p11kit, pem_files, windows
from .p11kit import Distrust
from .pem_files import BUNDLE_MARK, DamagedError

SYSTEM_FILES = pem_files.PATHS
_NO_FILES = {system.PATH: system for system in (macos, windows)}
# Traces of a system that has trust anchors of its own, even if none of their places exists now.
_TRACES = ("/etc/ca-certificates.conf", *p11kit.FOLDERS)
_MAKERS = ("/usr/sbin/update-ca-certificates", "/usr/bin/update-ca-trust")  # they make the system's files
_SET = "set AIA_STORE_ROOTS to a PEM file of trust anchors"
_INSTALL = "install ca-certificates" if sys.platform.startswith("linux") else _SET


class RootsError(Exception):
    """The trust anchors cannot be read. The message is one line that says why and what to do."""


class Source(NamedTuple):
    """A place with trust anchors, usually a PEM file, and the reason why it is used."""

    path: str
    reason: str
    preferred: tuple[str, ...] = ()  # the places that would be used instead, if they existed
    remedy: str | None = None  # for a fallback: how the machine gets trust anchors of its own
    extra: str | None = None  # the file or folder of the anchors that the administrator adds

    @property
    def name(self) -> str:
        """The path, and the path of the added trust anchors if there are any: `PATH and PATH`."""
        return f"{self.path} and {self.extra}" if self.extra is not None else self.path

    @property
    def name_for_one(self) -> str:
        """Like `name`, but `PATH or PATH`: for a message about one trust anchor, which may be in either place."""
        return f"{self.path} or {self.extra}" if self.extra is not None else self.path

    @property
    def is_fallback(self) -> bool:
        """Whether the trust anchors are certifi's, because the system has none."""
        return self.remedy is not None


class Roots(NamedTuple):
    """The trust anchors of a source, each once, in their order there, and how the system limits them."""

    anchors: list[Certificate]
    distrusted: int  # how many were left out, because the system distrusts them
    limited: int  # how many anchors the system distrusts for what they issue after some date
    notes: list[str]  # which distrust of the system could not be read, one line each


def source(settings: Settings) -> Source:
    """Find this machine's trust anchors: the first of the following places that exists, and what the settings add.

    The file that the settings name comes first, then the system's own place, then the file that SSL_CERT_FILE or
    NIX_SSL_CERT_FILE names, then the place that the last bundle was made from, and last certifi's file. Raises
    RootsError if no place exists, or if the place of the last bundle is gone and only later places are left.
    """
    return _first_place(settings)._replace(extra=settings.extra_roots)


def _first_place(settings: Settings) -> Source:
    if settings.roots is not None:
        return _set_source(settings.roots)
    for system in _NO_FILES.values():
        if system.is_here():
            return Source(system.PATH, system.REASON)
    last = published.last_source(settings)
    preferred: list[str] = []
    for path, reason in _places(last):
        loss = _loss(path)
        if loss is None:
            return Source(path, reason, tuple(preferred))
        if path == last:
            raise RootsError(f"{path}, which the last bundle was made from, {loss}; {_put_back(path)}")
        preferred.append(path)
    trace = next(filter(os.path.lexists, (*SYSTEM_FILES, *_TRACES)), None)
    if trace is not None:
        raise RootsError(f"the system's trust anchors are gone, though {trace} is here; {_put_back(trace)}")
    return _fallback(tuple(preferred))


def load(where: Source) -> list[Certificate]:
    """The trust anchors of a source, without those that the system distrusts.

    Raises RootsError if the source is damaged, and if no trust anchor is left: then a bundle would trust nothing.
    """
    return read(where).anchors


def read(where: Source) -> Roots:
    """The trust anchors of a source, and how the system limits them. Raises RootsError if `load` would."""
    try:
        found = _certificates(where.path)
    except OSError as error:
        raise _unreadable(where.path, error) from error
    except DamagedError as error:
        raise RootsError(f"{where.path} {error}; {_put_back(where.path)}") from error
    if where.extra is not None:
        found = list(dict.fromkeys([*found, *_extra(where.extra)]))
    distrusted = distrust()
    anchors = [certificate for certificate in found if not distrusted.names(certificate)]
    if not anchors:
        raise RootsError(
            f"this system distrusts every certificate of {where.name}; set AIA_STORE_ROOTS to another file"
        )
    limited = sum(map(distrusted.limits, anchors))
    return Roots(anchors, len(found) - len(anchors), limited, distrusted.notes)


def public() -> list[Certificate]:
    """The roots that belong to a public programme, such as Mozilla's: those in certifi's file. Raises RootsError.

    Some distributions make certifi name the system's own file, and some administrators add a company's root to
    certifi's. If the file is not as certifi installed it, only roots that are known to be public are returned
    (`inside/anchors.bin`).
    """
    import certifi

    path = certifi.where()
    anchors = read(Source(path, "it is certifi's")).anchors
    if _is_as_installed(path):
        return anchors
    name_of = anchor_names()
    return [anchor for anchor in anchors if name_of(memoryview(_lines_of(anchor)))]


def _is_as_installed(path: str) -> bool:
    """Whether a file of certifi still has the hash that was recorded when certifi was installed."""
    from importlib import metadata

    try:
        for entry in metadata.files("certifi") or []:
            if entry.hash is not None and os.path.realpath(entry.locate()) == os.path.realpath(path):
                digest = hashlib.new(entry.hash.mode, entry.read_binary()).digest()
                return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii") == entry.hash.value
    except (metadata.PackageNotFoundError, OSError, ValueError):
        pass
    return False


def _lines_of(anchor: Certificate) -> bytes:
    """The base64 lines of a certificate's PEM, without the first and the last line."""
    return "".join(anchor.pem.splitlines(keepends=True)[1:-1]).encode("ascii")


def distrust() -> Distrust:
    """What this system distrusts at present."""
    return _distrust(state_of_distrust())


def state_of_distrust() -> str:
    """A text that changes whenever a file or folder changes that may distrust certificates."""
    return str([(path, published.file_identity(path)) for path in p11kit.watched()])


def watched(where: Source | None) -> list[str]:
    """Every path whose change can change the trust anchors, the source itself first. Some paths may not exist.

    If there is no source, these are all places where trust anchors may appear, and all that may distrust them.
    """
    if where is None:
        return [*(path for path, _ in _places(None)), *p11kit.watched()]
    added = extra.watched(where.extra) if where.extra is not None else []
    if where.path == macos.PATH:
        return [*macos.WATCHED, *added]
    return [where.path, *_files_in(where.path), *where.preferred, *p11kit.watched(), *added]


@lru_cache(maxsize=1)
def _distrust(state: str) -> Distrust:
    return Distrust()


def is_our_bundle(path: str) -> bool:
    """Whether a file is a bundle that we published, or a copy of one."""
    try:
        return BUNDLE_MARK in pem_files.contents(path)
    except (OSError, DamagedError):
        return False


def _set_source(path: str) -> Source:
    if not os.path.isfile(path):
        raise RootsError(f"{path} is not a file; {_SET}")
    if is_our_bundle(path):
        raise RootsError(f"{path} is a bundle made by aia-store; set AIA_STORE_ROOTS to what it was made from")
    return Source(path, "it was set (AIA_STORE_ROOTS)")


def _fallback(preferred: tuple[str, ...]) -> Source:
    try:
        import certifi

        path = certifi.where()
    except (ImportError, AttributeError, OSError):  # not installed, or only its folder is left
        path = ""
    if not os.path.isfile(path) or is_our_bundle(path):
        raise RootsError(f"no trust anchors were found; {_INSTALL}, or {_SET}")
    return Source(path, "it is certifi's, as the system has no trust anchors of its own", preferred, _INSTALL)


def _places(last: str | None) -> list[tuple[str, str]]:
    """The places where the machine's trust anchors may be, the best first, each with the reason for using it.

    The system's files come before its folders, which hold the same certificates but take longer to read.
    """
    files = dict.fromkeys(SYSTEM_FILES, "the system keeps its trust anchors there")
    folders = dict.fromkeys(hashed.FOLDERS, "the system keeps its trust anchors there, one by one")
    by_name = dict.fromkeys(_named_files(), "SSL_CERT_FILE or NIX_SSL_CERT_FILE names it")
    if last is not None and not _is_the_systems(last):
        # After `aia-store env` was evaluated, or in a service, the variable no longer names it.
        by_name.setdefault(last, "SSL_CERT_FILE or NIX_SSL_CERT_FILE named it when the last bundle was made")
    return [*files.items(), *folders.items(), *by_name.items()]


def _named_files() -> list[str]:
    """The files that SSL_CERT_FILE and NIX_SSL_CERT_FILE name, for systems that have no place of their own.

    They may not exist. Files that other users can change are left out: `sudo -E` keeps the caller's variables.
    """
    named = [os.path.abspath(path) for path in map(os.environ.get, published.NAMING_VARIABLES) if path]
    return [path for path in dict.fromkeys(named) if not _is_unsafe(path)]


def _is_unsafe(path: str) -> bool:
    """Whether this process serves other users, and users other than root can change the file."""
    return serves_others() and changed_by_others(path) is not None


def _is_the_systems(path: str) -> bool:
    return path in SYSTEM_FILES or path in hashed.FOLDERS


def _certificates(path: str) -> list[Certificate]:
    if path in _NO_FILES:
        return list(readable(_NO_FILES[path].certificates()))
    return hashed.certificates(path) if path in hashed.FOLDERS else pem_files.certificates(path)


def _extra(path: str) -> list[Certificate]:
    remedy = "put it right, or unset AIA_STORE_EXTRA_ROOTS"
    try:
        return extra.certificates(path)
    except OSError as error:
        raise RootsError(f"{error.filename or path} cannot be read ({error.strerror or error}); {remedy}") from error
    except DamagedError as error:
        raise RootsError(f"{error}; {remedy}") from error


def _files_in(path: str) -> list[str]:
    try:
        return hashed.files(path) if path in hashed.FOLDERS else []
    except OSError:
        return []


def _loss(path: str) -> str | None:
    """Why a place is passed over, in words; None if it is used. A damaged place is used: reading it raises an error.

    Raises RootsError if it cannot be determined whether the place exists.
    """
    try:
        os.lstat(path)
        if path in hashed.FOLDERS and not hashed.files(path):
            return "is gone"
    except (FileNotFoundError, NotADirectoryError):
        return "is gone"
    except OSError as error:
        raise _unreadable(path, error) from error
    if is_our_bundle(path):
        return "is now a bundle made by aia-store"
    if not _is_the_systems(path) and _is_unsafe(path):
        return "can now be changed by users other than root"
    return None


def _unreadable(path: str, error: OSError) -> RootsError:
    remedy = "correct its permissions" if isinstance(error, PermissionError) else _put_back(path)
    return RootsError(f"{path} cannot be read ({error.strerror or error}); {remedy}")


def _put_back(path: str) -> str:
    """What the administrator can do if this place of trust anchors is damaged or gone, in words."""
    maker = next(filter(os.path.exists, _MAKERS), None) if _is_the_systems(path) or path in _TRACES else None
    return f"run {os.path.basename(maker)}, or {_SET}" if maker else f"put it right, or {_SET}"
