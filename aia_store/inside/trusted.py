"""What was loaded into a program's context, and what the context trusts.

OpenSSL does not tell afterwards where its certificates came from, nor with which settings. So the wrappers note each
call that loads something into a context (`Given`), and a search asks which certificates bear a name (`Trusted`). Like
OpenSSL, we read a certificate in a hashed directory (`capath`) only when a chain names it.
"""

from __future__ import annotations

import _ssl
import os
import stat
import sys

from . import PARTIAL_CHAIN, believes_environment, unless_interrupted
from .certificate import (
    Certificate,
    Certificates,
    DERError,
    pem_certificates,
    readable,
    sha256,
    subject_hash,
    to_cadata,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, Union

    from .cafile import CAFile

    CertificateList = Union[Certificates, CAFile]
    PathLike = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]

# Blocks that are no plain certificates: `-----BEGIN TRUSTED CERTIFICATE-----`, `-----BEGIN X509 CRL-----`.
_SPECIAL = (b"BEGIN TRUSTED", b"BEGIN X509 CRL")
_MOST_TO_LOOK_AT = 1 << 22  # bytes; larger files are not read

SMALLEST_DEFERRED = 16_384  # bytes of a CA file; OpenSSL parses a smaller one fast enough

_context: Any = _ssl._SSLContext


class Given:
    """What was loaded into one context: by OpenSSL, or read by us while OpenSSL's loading is deferred."""

    def __init__(self, *, is_complete: bool) -> None:
        self.is_complete = is_complete  # everything since the context was made was noted
        self.is_plain = is_complete  # only certificates were loaded: no trust settings, no CRLs
        self.deferred: tuple[CAFile, ...] = ()
        self.files: list[PathLike] = []  # the files that OpenSSL loaded
        self.directories: list[str] = []
        self.defaults: tuple[str, ...] = ()  # the default paths, if their file was deferred
        self.loaded = Certificates(())  # the certificates in the context that OpenSSL shows
        self.loads = 0  # how often something was loaded
        self.decisions: dict[object, Any] = {}  # for this context alone: see `verification`
        self.notes: dict[object, tuple[Any, float, str]] = {}  # on errors: see `explain`
        self.loading: list[int] = []  # the threads that are loading the context's own certificate
        self.is_used = False  # whether OpenSSL may already have looked into the directories
        self._is_stale = True  # whether OpenSSL has loaded more since `loaded` was set

    def add(self, file: PathLike | None, directory: PathLike | None, *, is_plain: bool = True) -> None:
        """Note what OpenSSL has just loaded from these places, or from a text (`cadata`)."""
        self.loads += 1
        self.is_plain = self.is_plain and is_plain
        if file is not None:
            self.files.append(file)
        if directory is not None:
            # OpenSSL accepts several directories in one text, as in PATH.
            parts = os.fsdecode(directory).split(os.pathsep)
            self.directories += [part for part in parts if part and part not in self.directories]
        self._is_stale = True

    def look(self, context: _ssl._SSLContext) -> None:
        """Ask OpenSSL what the context holds, if that may have changed.

        Call this only while the program calls a method of `ssl`: the list that is read here grows when a handshake of
        another thread looks a certificate up in a directory.
        """
        while self._is_stale:
            was_used, before = self.is_used, self.loaded
            count = _context.cert_store_stats(context)["x509"]
            ders: list[bytes] = _context.get_ca_certs(context, True)
            found = before if ders == list(before.ders) else Certificates(ders)
            # OpenSSL shows only CA certificates. If the program pinned another certificate, only the context has it.
            # OpenSSL also shows what it found in a directory, but without the trust settings from there.
            is_all = count == len(ders) and not (self.directories and was_used)
            has_changed = count != _context.cert_store_stats(context)["x509"]
            # If another thread has looked or loaded meanwhile, we look again.
            if self._is_stale and self.loaded is before and not has_changed:
                self.loaded = found
                self.is_plain = self.is_plain and is_all
                self.is_used = True
                self._is_stale = False
                if not self.is_plain:
                    self.load_deferred(context)

    def load_deferred(self, context: _ssl._SSLContext) -> None:
        """Load the deferred CA files into the program's context, because somebody is about to look at the context.

        Other threads may use the context, so we load them as `cadata`, which OpenSSL adds under the store's lock.
        """
        files = self.deferred
        ders = [der for file in files for der in file.ders]
        if ders:
            _context.load_verify_locations(context, cadata=to_cadata(ders))
            while True:
                before = self.loaded
                found = Certificates(dict.fromkeys((*before.ders, *ders)))
                if self.loaded is before:  # else another thread has set it meanwhile
                    self.loaded = found
                    break
            # Only after the load, because meanwhile another thread may have looked at `deferred`, or added a file.
            self.deferred = tuple(file for file in self.deferred if file not in files)

    @property
    def lists(self) -> tuple[CertificateList, ...]:
        """All certificates that are not in directories, as several lists."""
        deferred = self.deferred  # first: a file that another thread loads meanwhile is in `loaded`, too
        return (self.loaded, *deferred)


class Trusted:
    """The certificates that a context trusts, found by their names.

    `flags` are the X509_V_FLAG_ bits of the connection. A trusted certificate is an anchor if it is self-signed. If
    `may_be_anchors` is true, every one is an anchor: PARTIAL_CHAIN is set, or trust settings may make it an anchor.
    """

    def __init__(self, lists: Sequence[CertificateList], directories: Sequence[str] = (), flags: int = 0) -> None:
        self.lists = lists
        self.directories = directories
        self.flags = flags
        self.is_plain = True  # whether no trust settings were found in a directory
        self.may_be_anchors = bool(flags & PARTIAL_CHAIN)
        self._named: dict[bytes, list[Certificate]] = {}

    @classmethod
    def of(cls, certificates: Iterable[bytes], flags: int = 0) -> Trusted:
        """A `Trusted` of just these certificates (DER)."""
        return cls((Certificates(certificates),), (), flags)

    def is_anchor(self, certificate: Certificate) -> bool:
        """Whether a path may end at this certificate: it is trusted, and self-signed unless `may_be_anchors`."""
        return (self.may_be_anchors or certificate.is_self_signed) and self.holds(certificate)

    def holds(self, certificate: Certificate) -> bool:
        """Whether this certificate is trusted, as an anchor or not."""
        return certificate in self.named(certificate.subject_key)

    def issuers_of(self, subject: Certificate) -> list[Certificate]:
        """The trusted certificates that bear the name of the subject's issuer."""
        return self.named(subject.issuer_key)

    def named(self, subject_key: bytes) -> list[Certificate]:
        """The trusted certificates with this canonical subject name."""
        found = self._named.get(subject_key)
        if found is None:
            ders = [der for listed in self.lists for der in listed.named(subject_key)]
            ders += self._in_directories(subject_key)
            found = self._named[subject_key] = [c for c in readable(ders) if c.subject_key == subject_key]
        return found

    def all_named_by(self, chain: Iterable[Certificate]) -> list[bytes]:
        """The certificates (DER) that OpenSSL could look up to verify this chain, except those in directories."""
        return self._look_up(chain)[1]

    def only_one_for(self, chain: Iterable[Certificate]) -> Certificate | None:
        """The certificate that OpenSSL could look up for this chain, directories included, if there is just one."""
        names, ders = self._look_up(chain)
        found = {*ders, *(der for name in names for der in self._in_directories(name))}
        certificates = list(readable(found))
        return certificates[0] if len(certificates) == len(found) == 1 else None

    def opens_files(self, names: Iterable[bytes]) -> bool:
        """Whether OpenSSL opens a file in the directories, given as `capath`, when it looks up these names.

        For each name, OpenSSL tries the files in the order of their numbers, up to the first that is missing.
        """
        if not self.directories:
            return False
        files = {f"{subject_hash(name)}.0" for name in names}
        return any(os.path.exists(os.path.join(folder, file)) for folder in self.directories for file in files)

    def looks_up_files(self, chain: Iterable[Certificate]) -> bool:
        """Whether OpenSSL could find a certificate in the directories when it verifies this chain.

        In a default directory, OpenSSL also finds files in DER, and files after a gap in the numbering (`.0`, `.2`).
        """
        if not self.directories:
            return False
        stems = {subject_hash(name) for name in self._look_up(chain)[0]}
        return any(name.partition(".")[0] in stems for folder in self.directories for name in _names_in(folder, stems))

    def _look_up(self, chain: Iterable[Certificate]) -> tuple[list[bytes], list[bytes]]:
        """The names that OpenSSL looks up, and the certificates (DER) of these names that are not in directories.

        OpenSSL looks only by name: for the subjects and issuers of the chain, and for the issuers of what it finds.
        """
        names = dict.fromkeys(name for found in chain for name in (found.subject_key, found.issuer_key))
        queue = list(names)
        ders: dict[bytes, None] = {}
        for name in queue:  # the loop appends to it
            for der in (der for listed in self.lists for der in listed.named(name)):
                ders[der] = None
                try:
                    issuer = Certificate(der).issuer_key
                except DERError:
                    continue  # it stays in the list, in case OpenSSL can read it
                if issuer not in names:
                    names[issuer] = None
                    queue.append(issuer)
        return queue, list(ders)

    def digest(self) -> str:
        """A text that changes whenever the trusted certificates change."""
        parts = sorted({der for listed in self.lists for der in listed.ders})
        parts += (f"{folder} {time_of_change(folder)}".encode("utf-8", "replace") for folder in self.directories)
        return sha256(b"".join(parts))

    def _in_directories(self, subject_key: bytes) -> list[bytes]:
        if not self.directories:
            return []
        stem = subject_hash(subject_key)
        return [der for folder in self.directories for der in self._hashed(os.path.join(folder, stem))]

    def _hashed(self, stem: str) -> Iterator[bytes]:
        """The certificates in stem.0, stem.1 and so on, up to the first gap."""
        number = 0
        while text := _contents(f"{stem}.{number}"):
            self.is_plain = self.is_plain and is_plain(text)
            yield from pem_certificates(text, with_trust_settings=True)
            number += 1


def _names_in(folder: str, stems: Iterable[str]) -> list[str]:
    """The names of the files in a hashed directory. If it cannot be listed: the stems whose `.0` or `.r0` exists."""
    try:
        return os.listdir(folder)
    except unless_interrupted(OSError):
        return [stem for stem in stems if any(time_of_change(f"{folder}/{stem}.{kind}") for kind in ("0", "r0"))]


def default_paths() -> tuple[str, str]:
    """The paths from which `set_default_verify_paths` loads: a file, and directories, separated as in PATH."""
    file_variable, file, directory_variable, directory = _ssl.get_default_verify_paths()
    return os.environ.get(file_variable, file), os.environ.get(directory_variable, directory)


def default_paths_are_certain() -> bool:
    """Whether OpenSSL is sure to use the paths that `default_paths` returns.

    OpenSSL reads the environment of the process, and ignores it in a process with special rights. A program may have
    hidden this environment from us by putting another mapping into `os.environ`.
    """
    if not isinstance(os.environ, os._Environ):
        return False
    file_variable, _, directory_variable, _ = _ssl.get_default_verify_paths()
    if file_variable not in os.environ and directory_variable not in os.environ:
        return True
    return sys.platform.startswith("linux") and believes_environment


def is_plain(text: bytes) -> bool:
    """Whether a PEM text has no trust settings and no CRLs."""
    return not any(mark in text for mark in _SPECIAL)


def time_of_change(path: str) -> int:
    """The time of the last change, in nanoseconds since 1970; 0 if there is no such file."""
    try:
        return os.stat(path).st_mtime_ns
    except unless_interrupted(OSError):
        return 0


def identity_of(path: PathLike) -> tuple[int, ...] | None:
    """A value that changes whenever a regular file changes; None if this is no regular file, or if it is too large.

    Raises TypeError if `path` is not a path.
    """
    try:
        found = os.stat(os.fspath(path))  # fspath refuses a descriptor
    except unless_interrupted(OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_TO_LOOK_AT:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def is_plain_file(path: PathLike) -> bool:
    """Whether this is a readable regular file without trust settings and CRLs. Other things (a FIFO) are not opened."""
    if identity_of(path) is None:
        return False
    try:
        with open(path, "rb", buffering=0) as file:
            return is_plain(file.read())
    except unless_interrupted(OSError):
        return False


def _contents(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST_TO_LOOK_AT)
    except unless_interrupted(OSError):
        return b""
