"""What a context of pyOpenSSL trusts, found out by having its store verify: the counterpart of `handshake.trusted`."""

from __future__ import annotations

from .. import PARTIAL_CHAIN
from ..certificate import Certificate, readable
from .store import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from .store import Store


class StoreTrusted:
    """The trusted certificates of one store, as far as they were met.

    `ours` are the certificates (DER) that completion added, which are no anchors; `flags` are the X509_V_FLAG_ bits
    of the program, `sources` are texts that differ where other certificates are trusted.
    """

    def __init__(
        self, store: Store, ours: Collection[bytes], flags: int, security_level: int, sources: Collection[str]
    ) -> None:
        self._store = store
        self._ours = ours
        self._sources = sources
        self._held: set[bytes] = set()
        self._issuers: dict[bytes, list[Certificate]] = {}
        self.flags = flags
        self.security_level = security_level
        self.partial_chains = bool(flags & PARTIAL_CHAIN)

    def is_anchor(self, certificate: Certificate) -> bool:
        """Whether a chain may end here: the program put it there, and it is self-signed or need not be."""
        if certificate.der in self._ours or not (self.partial_chains or certificate.is_self_signed):
            return False
        return self.holds(certificate)

    def holds(self, certificate: Certificate) -> bool:
        """Whether this certificate was met in the store."""
        return certificate.der in self._held

    def digest(self) -> str:
        """A text that is another for other trusted certificates."""
        import hashlib

        return hashlib.sha256("\n".join(sorted({*self._sources})).encode("utf-8", "replace")).hexdigest()

    def pins(self, leaf: Certificate) -> bool:
        """Not to be asked for: a leaf that the store trusts, it has accepted before a chain is looked at."""
        return False

    def issuers_of(self, subject: Certificate) -> list[Certificate]:
        """The issuer of a certificate that OpenSSL itself takes from the store: one, or none."""
        found = self._issuers.get(subject.der)
        if found is None:
            try:
                # With nothing untrusted beside it, all that stands above the subject comes from the store.
                _, (_, *above) = self._store.verify([subject.der])
            except (StoreError, ValueError):
                above = []
            self._held.update(above)
            found = self._issuers[subject.der] = list(readable(above[:1]))
        return found

    issuers_spelled_alike = issuers_of  # OpenSSL compares names as names
