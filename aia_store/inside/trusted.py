"""What a context of the program's was given, and what it trusts by that.

OpenSSL does not tell afterwards where its certificates came from, nor with which settings. So the doors note each call
that gives a context something (`Given`), and a search asks which certificates bear a name (`Trusted`). Of a hashed
directory (`capath`) OpenSSL reads a certificate when a chain names it, so it is looked up here the same way, by the
hash of its name.
"""

from __future__ import annotations

import _ssl
import os
import stat

from . import PARTIAL_CHAIN
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

    PathLike = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]

# What a text holds besides plain certificates: `-----BEGIN TRUSTED CERTIFICATE-----`, `-----BEGIN X509 CRL-----`.
_SPECIAL = (b"BEGIN TRUSTED", b"BEGIN X509 CRL")
_MOST_TO_LOOK_AT = 1 << 22  # bytes of a file

_context: Any = _ssl._SSLContext


class Given:
    """What one context was given: by OpenSSL's own loading, and in CA files whose loading was deferred."""

    def __init__(self, *, is_complete: bool) -> None:
        self.is_complete = is_complete  # seen from the birth of the context on
        self.is_plain = is_complete  # nothing but certificates: no trust settings, no revocation lists
        self.deferred: tuple[CAFile, ...] = ()
        self.files: list[PathLike] = []  # that OpenSSL loaded
        self.directories: list[str] = []
        self.defaults: tuple[str, ...] = ()  # the default paths, where their file was deferred
        self.loaded = Certificates(())  # what OpenSSL shows of what it loaded
        self.loads = 0  # how often it was given something
        # What was decided of Certificate messages for this context alone: until when that holds, in which context they
        # are verified, and the `Findings` of a search without success.
        self.decisions: dict[object, tuple[float, Any, Any]] = {}
        self.notes: dict[object, tuple[Any, float, str]] = {}  # on errors: of which findings, until when, and the text
        self.loading: list[int] = []  # the threads that are loading a certificate of the context's own
        self.is_used = False  # whether OpenSSL may have looked into the directories by now
        self._is_stale = True  # whether it has loaded more since

    def add(self, file: PathLike | None, directory: PathLike | None, *, is_plain: bool = True) -> None:
        """Note what OpenSSL just loaded, a text perhaps among it."""
        self.loads += 1
        self.is_plain = self.is_plain and is_plain
        if file is not None:
            self.files.append(file)
        if directory is not None:
            # OpenSSL takes several in one text, as in PATH.
            parts = os.fsdecode(directory).split(os.pathsep)
            self.directories += [part for part in parts if part and part not in self.directories]
        self._is_stale = True

    def look(self, context: _ssl._SSLContext) -> None:
        """Have OpenSSL show what the context holds, if that may have changed.

        To be called from the program's own calls only: a look-up in a directory that another thread's handshake causes
        adds to the list that is read here.
        """
        if not self._is_stale:
            return
        ders: list[bytes] = _context.get_ca_certs(context, True)
        if ders != list(self.loaded.ders):
            self.loaded = Certificates(ders)
        # It shows CA certificates only: where the program pinned another, only its own context knows all. What it found
        # in a directory it shows, too, without the trust settings that it found there.
        is_all = _context.cert_store_stats(context)["x509"] == len(ders) and not (self.directories and self.is_used)
        self.is_plain = self.is_plain and is_all
        self.is_used = True
        self._is_stale = False
        if not self.is_plain:
            self.load_deferred(context)

    def load_deferred(self, context: _ssl._SSLContext) -> None:
        """Load into the program's context what was deferred: somebody looks who must find it.

        As `cadata`, which OpenSSL adds under the store's lock: the context may be in use by other threads.
        """
        files = self.deferred
        ders = [der for file in files for der in file.certificates.ders]
        if ders:
            _context.load_verify_locations(context, cadata=to_cadata(ders))
            self.loaded = Certificates(dict.fromkeys((*self.loaded.ders, *ders)))
            # Last, as another thread may look meanwhile, or have another file deferred.
            self.deferred = tuple(file for file in self.deferred if file not in files)

    @property
    def lists(self) -> tuple[Certificates, ...]:
        """All certificates that are not in directories."""
        return (self.loaded, *(file.certificates for file in self.deferred))


class Trusted:
    """The certificates that a context trusts, found by their names.

    `flags` are the X509_V_FLAG_ bits of the connection: under PARTIAL_CHAIN any trusted certificate is an anchor, else
    a self-signed one only, or one that is trusted for a purpose by settings of its own: all of them `may_be_anchors`.
    """

    def __init__(self, lists: Sequence[Certificates], directories: Sequence[str] = (), flags: int = 0) -> None:
        self.lists = lists
        self.directories = directories
        self.flags = flags
        self.is_plain = True  # whether no trust settings were met in a directory
        self.may_be_anchors = bool(flags & PARTIAL_CHAIN)
        self._named: dict[bytes, list[Certificate]] = {}

    @classmethod
    def of(cls, certificates: Iterable[bytes], flags: int = 0) -> Trusted:
        """Just these certificates (DER)."""
        return cls((Certificates(certificates),), (), flags)

    def is_anchor(self, certificate: Certificate) -> bool:
        """Whether a certification path may end here: the certificate is trusted, and self-signed or need not be."""
        if not (self.may_be_anchors or certificate.is_self_signed):
            return False
        return self.holds(certificate)

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
        """What OpenSSL could look up when it verifies this chain, directories aside (DER)."""
        return self._look_up(chain)[1]

    def looks_up_files(self, chain: Iterable[Certificate]) -> bool:
        """Whether OpenSSL could find something in the directories when it verifies this chain.

        In a default directory, it also finds certificates after a gap, or in DER.
        """
        if not self.directories:
            return False
        stems = {subject_hash(name) for name in self._look_up(chain)[0]}
        return any(name.partition(".")[0] in stems for folder in self.directories for name in _names_in(folder, stems))

    def _look_up(self, chain: Iterable[Certificate]) -> tuple[list[bytes], list[bytes]]:
        """The names that OpenSSL looks up, and the certificates (DER) of these names that are not in directories.

        It looks by name only: for the subjects and the issuers of what was sent, and for the issuers of what it finds.
        """
        names = dict.fromkeys(name for found in chain for name in (found.subject_key, found.issuer_key))
        queue = list(names)
        ders: dict[bytes, None] = {}
        for name in queue:  # which grows meanwhile
            for der in (der for listed in self.lists for der in listed.named(name)):
                ders[der] = None
                try:
                    issuer = Certificate(der).issuer_key
                except DERError:
                    continue  # it is there in case OpenSSL can read it
                if issuer not in names:
                    names[issuer] = None
                    queue.append(issuer)
        return queue, list(ders)

    def digest(self) -> str:
        """Changes whenever the trusted certificates change."""
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
    """The files in a hashed directory; in one that cannot be listed, those of these stems."""
    try:
        return os.listdir(folder)
    except OSError:
        return [stem for stem in stems if any(time_of_change(f"{folder}/{stem}.{kind}") for kind in ("0", "r0"))]


def is_plain(text: bytes) -> bool:
    """Whether a PEM text has no trust settings and no revocation lists."""
    return not any(mark in text for mark in _SPECIAL)


def time_of_change(path: str) -> int:
    """Nanoseconds since 1970; 0 for what is not there."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def identity_of(path: PathLike) -> tuple[int, ...] | None:
    """What changes when a regular file changes; None for everything else, and for a file too large to look at.

    Raises TypeError for what is no path.
    """
    try:
        found = os.stat(os.fspath(path))  # which a descriptor is not
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_TO_LOOK_AT:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def is_plain_file(path: PathLike) -> bool:
    """Whether a regular file that can be read is `is_plain`. Anything else, such as a FIFO, is not touched."""
    if identity_of(path) is None:
        return False
    try:
        with open(path, "rb", buffering=0) as file:
            return is_plain(file.read())
    except OSError:
        return False


def _contents(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST_TO_LOOK_AT)
    except OSError:
        return b""
