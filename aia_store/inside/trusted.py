"""What a context trusts: the certificates in its X509_STORE and in its hashed directories.

`get_ca_certs` shows the first at once. Of a hashed directory (`capath`) OpenSSL reads a certificate when a chain
names it, so it is looked up here the same way, by the hash of its name.
"""

from __future__ import annotations

import _ssl
import os

from .certificate import (
    AUTHORITY_KEY_IDENTIFIER,
    OID,
    Certificate,
    DERError,
    encode,
    folded,
    may_hold,
    pem_certificates,
    readable,
    words_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

    from .sources import Sources

_context: Any = _ssl._SSLContext
_AKID = encode(OID, AUTHORITY_KEY_IDENTIFIER)
_HASHED_NAME = 8  # hexadecimal digits, then a point and a number

_self_signed: dict[bytes, bool] = {}  # what is known of anchors, for all contexts of the process
_directories: dict[tuple[str, int], bool] = {}  # whether a directory, as it was then, holds self-signed ones only


class Trusted:
    """The trusted certificates of one context.

    `sources` tells its hashed directories; `ours` are the certificates (DER) that completion added, which are no
    anchors; `partial_chains` says whether any other trusted certificate is one, self-signed or not. `flags` are
    X509_V_FLAG_ bits, `security_level` is OpenSSL's.
    """

    def __init__(
        self, context: _ssl._SSLContext, sources: Sources, ours: Collection[bytes], partial_chains: bool
    ) -> None:
        self._context = context
        self._ours = ours
        self._alike: dict[bytes, list[Certificate]] = {}  # by the name looked for
        self._issuers: dict[bytes, list[Certificate]] = {}
        self.flags: int = _context.verify_flags.__get__(context)
        self.security_level: int = _context.security_level.__get__(context)
        self.partial_chains = partial_chains
        # An assumed directory does no harm where an intermediate is never an anchor: the real handshake looks again.
        self._directories = sources.directories() if sources.are_certain or not self.partial_chains else []
        self._sources = sources
        self._look()

    def is_anchor(self, certificate: Certificate) -> bool:
        """Whether a chain may end here: the program put it there, and it is self-signed or need not be."""
        if certificate.der in self._ours or not (self.partial_chains or certificate.is_self_signed):
            return False
        return self.holds(certificate)

    def holds(self, certificate: Certificate) -> bool:
        """Whether this certificate is among the trusted, anchor or not."""
        self._demand(certificate.subject_key)
        return certificate.der in self._ders or certificate in self._in_directories(certificate.subject_key)

    def digest(self) -> str:
        """A text that is another for other trusted certificates."""
        import hashlib

        given = {*self._ders, *self._sources.put_off()}.difference(self._ours)
        return hashlib.sha256(b"".join(sorted(given))).hexdigest()

    def pins(self, leaf: Certificate) -> bool:
        """Whether the program trusts this very leaf, so that nothing is missing above it."""
        return self.partial_chains and self._hides_some and leaf.der in self._sources.certificates()

    def issuers_of(self, subject: Certificate) -> list[Certificate]:
        """The trusted certificates that bear the name of the subject's issuer."""
        found = self._issuers.get(subject.issuer)
        if found is None:
            found = self.issuers_spelled_alike(subject)
            if not found:
                words = words_of(subject.issuer_key)
                likely = readable(der for der in self._ders if may_hold(folded(der), words))
                found = [certificate for certificate in likely if certificate.subject_key == subject.issuer_key]
            self._issuers[subject.issuer] = found
        return found

    def issuers_spelled_alike(self, subject: Certificate) -> list[Certificate]:
        """Those of them whose name is the same to the byte, as nearly always, and those in directories.

        A search in bytes is a hundred times faster than parsing.
        """
        found = self._alike.get(subject.issuer)
        if found is None:
            self._demand(subject.issuer_key)
            # What the same CA issued holds the name too, and may be many: only the frame of those is read.
            named = readable(der for der in self._ders if subject.issuer in der and _is_of(der, subject.issuer))
            found = list(dict.fromkeys([*named, *self._in_directories(subject.issuer_key)]))
            self._alike[subject.issuer] = found
        return found

    def _demand(self, subject_key: bytes) -> None:
        """Have the context load what it was given under this name, if it has not."""
        on_demand = self._sources.on_demand
        if on_demand and on_demand.load_named(self._context, subject_key):
            self._look()

    def _look(self) -> None:
        self._ders: list[bytes] = _context.get_ca_certs(self._context, True)
        self._hides_some = _context.cert_store_stats(self._context)["x509"] > len(self._ders)

    def _in_directories(self, subject_key: bytes) -> list[Certificate]:
        if not self._directories:
            return []
        import hashlib

        digest = hashlib.sha1(subject_key, usedforsecurity=False).digest()
        name = f"{int.from_bytes(digest[:4], 'little'):08x}"
        return [
            certificate
            for directory in self._directories
            for certificate in _hashed(os.path.join(directory, name))
            if certificate.subject_key == subject_key
        ]


def only_self_signed(context: _ssl._SSLContext, sources: Sources, ours: Collection[bytes]) -> bool:
    """Whether all that the program trusts is self-signed, so that X509_V_FLAG_PARTIAL_CHAIN changes nothing for it."""
    ders: list[bytes] = _context.get_ca_certs(context, True)
    if _context.cert_store_stats(context)["x509"] > len(ders):
        return False  # it pinned something that is no CA, which get_ca_certs does not show
    given = (der for der in (*ders, *sources.put_off()) if der not in ours)
    return all(map(_is_self_signed, given)) and all(map(_directory_is_self_signed, sources.directories()))


def _is_self_signed(der: bytes) -> bool:
    known = _self_signed.get(der)
    if known is None:
        try:
            certificate = Certificate(der)
            # Without an AKID there is no extension to be read.
            known = (certificate.subject == certificate.issuer and _AKID not in der) or certificate.is_self_signed
        except DERError:
            known = False
        _self_signed[der] = known
    return known


def _directory_is_self_signed(path: str) -> bool:
    try:
        identity = (path, os.stat(path).st_mtime_ns)
        if identity not in _directories:
            names = [name for name in os.listdir(path) if name[_HASHED_NAME:].startswith(".")]
            _directories[identity] = all(
                _is_self_signed(der) for name in names for der in _ders_of(os.path.join(path, name))
            )
        return _directories[identity]
    except OSError:
        return True  # OpenSSL finds nothing there either


def _is_of(der: bytes, name: bytes) -> bool:
    """Whether a certificate's subject is this name, to the byte."""
    try:
        return Certificate(der).subject == name
    except DERError:
        return False


def _hashed(stem: str) -> Iterator[Certificate]:
    """The certificates of a hashed directory with this hash of a name: stem.0, stem.1 and so on, to the first gap."""
    number = 0
    while ders := _ders_of(f"{stem}.{number}"):
        yield from readable(ders)
        number += 1


def _ders_of(path: str) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            return list(pem_certificates(file.read()))
    except OSError:
        return []
