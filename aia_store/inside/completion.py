"""Complete one chain: find what is missing, rehearse the whole path, keep it, and say exactly what to add.

A program whose chain is completed from disk imports nothing but what stands at the top here; `aia` and what it needs
come with the first fetch.
"""

from __future__ import annotations

from _thread import RLock

from .log import debug
from .path import Search, likeliest_first
from .store import open_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .certificate import Certificate
    from .settings import Settings
    from .store import Store
    from .verification import Chain

MOST_REHEARSALS = 32  # in one search

_opened: tuple[str | None, Store] | None = None  # for the process: its memory may be all there is
_opening = RLock()  # reentrant, because a signal handler may connect too


class Path:
    """A certification path that OpenSSL accepted: from the leaf to the anchor, both included."""

    def __init__(self, certificates: list[Certificate]) -> None:
        self.certificates = certificates
        self.sources: dict[Certificate, str] = {}  # the URL of each that was fetched

    @property
    def intermediates(self) -> list[Certificate]:
        return self.certificates[1:-1]

    def above(self, certificate: Certificate) -> list[Certificate]:
        """What stands above a certificate of the path, its issuer first."""
        return self.certificates[self.certificates.index(certificate) + 1 :]


class Builder:
    """Builds certification paths for one chain, and lets OpenSSL judge each."""

    def __init__(self, chain: Chain, store: Store) -> None:
        self._chain = chain
        self._store = store
        self.stored: set[Certificate] = set()  # what was found on disk
        self.refused: dict[tuple[Certificate, ...], str] = {}  # the paths that OpenSSL refused, and why
        self.revoked: dict[Certificate, None] = {}  # the intermediates for which paths were passed over
        self.failed: dict[str, str] = {}  # the URLs that could not be fetched, and why

    def path(self, settings: Settings, seconds: float, *, patient: bool = True) -> Path | None:
        """The first accepted path of what is at hand, then of what AIA gives within so many seconds; it is kept.

        Who is not `patient` fetches what failed lately too.
        """
        path = self.path_at_hand()
        if path is not None:
            self.keep(path)
        elif seconds > 0 and not settings.offline:
            from .aia import AIA, failures_of
            from .pauses import Failures

            failures = failures_of(self._store) if patient else Failures(self._store.home, patient=False)

            def search(seconds: float) -> Path | None:
                with AIA(settings, self._store, failures, self._chain.anchors, seconds) as aia:
                    self.failed = aia.failed
                    return aia.path(self, self._chain.leaf)

            path = self._chain.fetch(search, seconds)
        return path

    def path_at_hand(self) -> Path | None:
        """The first accepted path that needs no fetch; names that are spelled otherwise are tried last."""
        return self.accepted(self.at_hand)

    def at_hand(self, subject: Certificate) -> Iterator[Certificate]:
        """The issuers that need no fetch: what the context trusts, what was sent, what is on disk."""
        yield from self._chain.trusted.issuers_of(subject)
        yield from self._untrusted(subject)

    def _untrusted(self, subject: Certificate) -> Iterator[Certificate]:
        yield from likeliest_first(subject, self._chain.sent, self._is_near)
        stored = self._store.find(subject.issuer_key)
        self.stored.update(stored)
        yield from likeliest_first(subject, stored, self._is_near)

    def _is_near(self, certificate: Certificate) -> bool:
        """Whether a trusted certificate bears the name of its issuer."""
        return bool(self._chain.trusted.issuers_of(certificate))

    def has_issuer_at_hand(self, subject: Certificate) -> bool:
        """Whether a search without AIA can go on from here."""
        search = self._search(self.at_hand)
        return any(search.may_lead_on(candidate, subject) for candidate in self.at_hand(subject))

    def accepted(self, issuers_of: Callable[[Certificate], Iterable[Certificate]]) -> Path | None:
        """The first path from this source of issuers that OpenSSL accepts; none is rehearsed twice.

        One with an intermediate that is known to be revoked is passed over, wherever that came from.
        """
        rehearsals = 0
        for path in self._search(issuers_of).paths(self._chain.leaf):
            if tuple(path) in self.refused or self._is_revoked(path):
                continue
            refusal = self._refusal(path)
            if refusal is None:
                return Path(path)
            debug(f"OpenSSL refuses a path of {len(path)} certificates: {refusal}")
            self.refused[tuple(path)] = refusal
            rehearsals += 1
            if rehearsals >= MOST_REHEARSALS:
                return None
        return None

    def keep(self, path: Path) -> None:
        """Keep the intermediates of an accepted path on disk, if the server did not send all that is needed."""
        if needs(self._chain, path):
            for certificate in path.intermediates:
                if certificate not in self.stored:
                    self._store.keep(certificate, path.sources.get(certificate))
                self._store.note_use(certificate)

    def _search(self, issuers_of: Callable[[Certificate], Iterable[Certificate]]) -> Search:
        return Search(issuers_of, self._chain.trusted.is_anchor, self._chain.trusted.flags, self._chain.now)

    def _is_revoked(self, path: list[Certificate]) -> bool:
        if not self._store.may_know_revoked():
            return False
        from .revoked import is_revoked

        found = [certificate for certificate in path[1:-1] if is_revoked(certificate, self._store.folders)]
        self.revoked.update(dict.fromkeys(found))
        return bool(found)

    def _refusal(self, path: list[Certificate]) -> str | None:
        return self._chain.refusal(path)


def needs(chain: Chain, path: Path) -> list[Certificate]:
    """What of a path OpenSSL must be given: from what was not sent upwards, or what has a rival of the same name.

    All that stands above it too: from the first trusted certificate on, OpenSSL looks for issuers in its store only.
    """

    def is_certain(certificate: Certificate, below: Certificate) -> bool:
        if certificate not in chain.sent and not chain.trusted.is_anchor(certificate):
            return False
        rivals = (*chain.sent, *chain.trusted.issuers_of(below))
        return all(rival == certificate for rival in rivals if rival.subject_key == certificate.subject_key)

    pairs = list(zip(path.intermediates, path.certificates))
    return path.intermediates[next((at for at, pair in enumerate(pairs) if not is_certain(*pair)), len(pairs)) :]


def opened(settings: Settings) -> Store:
    """The store of this process: where nothing can be written, its memory is all there is."""
    global _opened
    with _opening:
        if _opened is None or _opened[0] != settings.dir:
            _opened = settings.dir, open_store(settings)
        return _opened[1]
