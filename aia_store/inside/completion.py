"""Complete one chain: find what is missing, rehearse the whole path, keep it, and say exactly what to add.

A program whose chain is completed from disk imports nothing but what stands at the top here; `aia` and what it needs
come with the first fetch.
"""

from __future__ import annotations

import sys
from _thread import RLock

from . import PARTIAL_CHAIN
from . import settings as config
from .log import debug
from .path import Search, likeliest_first
from .rehearsal import CRL_CHECKS
from .store import open_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .certificate import Certificate
    from .chain import Chain
    from .settings import Settings
    from .store import Store

MOST_REHEARSALS = 32  # in one search
HANDSHAKE_SECONDS = 10.0  # for all fetches of one handshake, where no event loop waits for it
POLICY_CHECKS = 0x80 | 0x100 | 0x200 | 0x400  # X509_V_FLAG_POLICY_CHECK, EXPLICIT_POLICY, INHIBIT_ANY, INHIBIT_MAP

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
        self.revoked: dict[Certificate, Certificate] = {}  # for which paths were passed over, each with its issuer
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
        return self.accepted(self._spelled_alike) or self.accepted(self.at_hand)

    def at_hand(self, subject: Certificate) -> Iterator[Certificate]:
        """The issuers that need no fetch: what the context trusts, what was sent, what is on disk."""
        yield from self._chain.trusted.issuers_of(subject)
        yield from self._untrusted(subject)

    def _spelled_alike(self, subject: Certificate) -> Iterator[Certificate]:
        yield from self._chain.trusted.issuers_spelled_alike(subject)
        yield from self._untrusted(subject)

    def _untrusted(self, subject: Certificate) -> Iterator[Certificate]:
        yield from likeliest_first(subject, self._chain.sent, self._is_near)
        stored = self._store.find(subject.issuer_key)
        self.stored.update(stored)
        yield from likeliest_first(subject, stored, self._is_near)

    def _is_near(self, certificate: Certificate) -> bool:
        """Whether a trusted certificate bears the name of its issuer."""
        return bool(self._chain.trusted.issuers_spelled_alike(certificate))

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

        found = {
            certificate: issuer
            for certificate, issuer in zip(path[1:-1], path[2:])  # noqa: B905, RUF007  # both too new for 3.9
            if is_revoked(certificate, issuer, self._store.folders)
        }
        self.revoked.update(found)
        return bool(found)

    def _refusal(self, path: list[Certificate]) -> str | None:
        *certificates, anchor = (certificate.der for certificate in path)
        trusted = self._chain.trusted
        return self._chain.rehearsal(anchor, trusted.flags, trusted.security_level).refusal(certificates)


def missing(chain: Chain, *, must_be_safe: bool) -> tuple[list[Certificate], bool] | None:
    """What to add to the context, so that OpenSSL completes this chain by itself; None where nothing helps.

    Returns the intermediates, none if nothing is missing after all, and whether each is known to be safe even as a
    trust anchor of its own, which it must be in a context with partial chains, or where the caller says so. What was
    found is kept in the store.
    """
    settings = config.load()
    if settings.disable:
        return None
    path = Builder(chain, opened(settings)).path(settings, _seconds_to_fetch(settings))
    if path is None:
        debug("no path to a trust anchor was found")
        return None
    needed = needs(chain, path)
    # Without partial chains nothing that is added can become an anchor, so nobody needs to know.
    safe = bool(must_be_safe or chain.trusted.flags & PARTIAL_CHAIN) and _are_safe(needed, path, chain.trusted.flags)
    if (must_be_safe or chain.trusted.partial_chains) and not safe:
        debug("an intermediate that would be a trust anchor of its own here is not added")
        return None
    debug(f"completing the chain with {len(needed)} of {len(path.intermediates)} intermediates")
    return needed, safe


def needs(chain: Chain, path: Path) -> list[Certificate]:
    """What of a path OpenSSL must be given: from what was not sent upwards, or what has a rival of the same name.

    All that stands above it too: from the first trusted certificate on, OpenSSL looks for issuers in its store only.
    """

    def is_certain(certificate: Certificate, below: Certificate) -> bool:
        if certificate not in chain.sent and not chain.trusted.holds(certificate):
            return False
        rivals = (*chain.sent, *chain.trusted.issuers_of(below))
        return all(rival == certificate for rival in rivals if rival.subject_key == certificate.subject_key)

    pairs = list(zip(path.intermediates, path.certificates, strict=False))
    return path.intermediates[next((at for at, pair in enumerate(pairs) if not is_certain(*pair)), len(pairs)) :]


def _are_safe(needed: list[Certificate], path: Path, flags: int) -> bool:
    from .constraints import carries_all, is_outlived_by

    return not flags & (CRL_CHECKS | POLICY_CHECKS) and all(
        carries_all(certificate, path.above(certificate)) and is_outlived_by(certificate, path.above(certificate))
        for certificate in needed
    )


def _seconds_to_fetch(settings: Settings) -> float:
    """How long this handshake may fetch: less where the thread runs an event loop, which stands still meanwhile."""
    running_loop = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    if running_loop is not None and running_loop() is not None:
        return settings.async_budget
    return HANDSHAKE_SECONDS


def opened(settings: Settings) -> Store:
    """The store of this process: where nothing can be written, its memory is all there is."""
    global _opened
    with _opening:
        if _opened is None or _opened[0] != settings.dir:
            _opened = settings.dir, open_store(settings)
        return _opened[1]
