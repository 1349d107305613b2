"""The search for a certification path (RFC 4158), by names and key identifiers; OpenSSL judges each path."""

from __future__ import annotations

import sys

from . import importing
from .certificate import Certificate, DERError
from .contexts import NO_CHECK_TIME
from .settings import debug
from .store import store_of_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from .rehearsal import Chain
    from .settings import Settings
    from .store import IntermediateStore

    IssuersOf = Callable[[Certificate], Iterable[Certificate]]


class Budget:
    """The limits of one search. Each is at least as strict as that of any browser or operating system."""

    intermediates = 10  # in a path; paths of the CCADB have 1 to 3
    steps = 200  # certificates tried as issuers, per walk; Chromium stops after 20 paths, GnuTLS after 16 links
    rehearsals = 32  # paths judged by OpenSSL, per walk: about 1 ms each
    fetches = 3  # per chain; Windows: 3, Apple: 3
    urls = 5  # tried per certificate, in the CA's order; Chromium: 5, Windows: 5
    too_many_urls = 10  # a certificate that names so many gets no fetch; those of the CCADB name 3 at most
    fetch_seconds = 5.0  # for one fetch; Chromium: 10
    fair_seconds = 2.5  # a host that had less time to answer is not blamed
    handshake_seconds = 10.0  # for all fetches of a handshake, as long as Chromium waits for one

    def __init__(self, seconds: float = 0.0) -> None:
        """`seconds` is the time for all fetches; with 0, nothing is fetched."""
        self.seconds = seconds


class Path:
    """A certification path that OpenSSL accepted: from the leaf to the anchor, both included."""

    def __init__(self, certificates: list[Certificate]) -> None:
        self.certificates = certificates
        self.sources: dict[Certificate, str] = {}  # the URL of each that was fetched

    @property
    def intermediates(self) -> list[Certificate]:
        return self.certificates[1:-1]

    def above(self, certificate: Certificate) -> list[Certificate]:
        """The certificates above this one in the path, its issuer first."""
        return self.certificates[self.certificates.index(certificate) + 1 :]


def search_for(chain: Chain, settings: Settings) -> Search:
    """The search for the chain of a handshake."""
    return Search(chain, store_of_process(settings), Budget(seconds_to_fetch(settings)))


def seconds_to_fetch(settings: Settings) -> float:
    """How many seconds this handshake may fetch: fewer if the thread runs an event loop, which each fetch stops."""
    running_loop = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    if running_loop is not None and running_loop() is not None:
        return settings.async_budget
    return Budget.handshake_seconds


class Findings:
    """What an unsuccessful search found out. It may outlive the search: it refers to none of the program's objects."""

    __slots__ = ("answered", "failed", "found", "has_time", "is_offline", "paused", "refusals", "revoked")

    def __init__(self, search: Search, settings: Settings) -> None:
        self.found = [*search.stored, *search.fetched]
        self.refusals = list(search.refused.values())  # why OpenSSL refused paths
        self.revoked = list(search.revoked)  # intermediates whose paths were skipped
        self.failed = search.failed
        self.paused = search.paused
        self.answered = {url for url, reply in search.replies.items() if reply}
        self.has_time = search.has_time
        self.is_offline = settings.offline


class Search:
    """The search for a path for one chain. `chain.refusal(path)` says why OpenSSL refuses a path, or returns None."""

    def __init__(self, chain: Chain, store: IntermediateStore, budget: Budget) -> None:
        self._chain = chain
        self._store = store
        self._budget = budget
        self.stored: set[Certificate] = set()  # what was found in the store
        self.refused: dict[tuple[Certificate, ...], str] = {}  # the paths that OpenSSL refused, and why
        self.revoked: dict[Certificate, Certificate] = {}  # revoked intermediates of skipped paths, and their issuers
        self.failed: dict[str, str] = {}  # the URLs that could not be fetched, and why
        self.paused: dict[str, float] = {}  # the URLs that are paused, and until when (seconds since 1970)
        self.replies: dict[str, list[Certificate]] = {}  # the certificates behind each URL that was fetched
        self.fetched: dict[Certificate, str] = {}  # fetched certificates with the sought name, and their URLs

    @property
    def has_time(self) -> bool:
        """Whether the budget allows any fetch."""
        return self._budget.seconds > 0

    def path(self, settings: Settings, *, patient: bool = True) -> Path | None:
        """Find the first accepted path, without a fetch if possible, else by AIA; keep its intermediates in the store.

        Without `patient`, URLs that failed recently are tried too. Raises Interrupted if a signal handler raises.
        """
        path = self._accepted(self._at_hand)
        if path is not None:
            self._keep(path)
        elif self.has_time and not settings.offline:
            path = self._chain.fetch(
                lambda seconds: self._path_by_aia(settings, seconds, patient=patient), self._budget.seconds
            )
        return path

    def _path_by_aia(self, settings: Settings, seconds: float, *, patient: bool) -> Path | None:
        """Find a path by AIA, in up to three walks.

        The first walk fetches only issuers that are not at hand. If OpenSSL refused a path, the second walk also
        fetches the leaf's issuer, because that intermediate is usually the wrong one. The third fetches any issuer.
        """
        with importing:
            from .aia import AIA

        aia = AIA(settings, self._store, Budget(seconds), self._chain.anchors, self._newly_stored, patient=patient)
        with aia:
            self.failed, self.paused, self.replies, self.fetched = aia.failed, aia.paused, aia.replies, aia.sources

            def accepted(asks_for: Callable[[Certificate], bool]) -> Path | None:
                def issuers_of(subject: Certificate) -> Iterator[Certificate]:
                    yield from self._at_hand(subject)
                    if asks_for(subject):
                        yield from aia.issuers_of(subject)

                return self._accepted(issuers_of)

            path = accepted(lambda subject: not self._has_issuer_at_hand(subject))
            if path is None and self.refused:
                path = accepted(lambda subject: subject == self._chain.leaf)
            if path is None:
                path = accepted(lambda _: True)
            if path is not None:
                path.sources = aia.sources
                self._keep(path)
                aia.proved.update(path.intermediates)
            return path

    def _accepted(self, issuers_of: IssuersOf) -> Path | None:
        """The first path over these issuers that OpenSSL accepts. A path that it has refused is not tried again.

        A path with an intermediate that is known to be revoked is skipped, wherever the intermediate came from.
        """
        rehearsals = 0
        paths = self._walk(issuers_of).paths(self._chain.leaf)
        try:
            for path in paths:
                if tuple(path) in self.refused or self._is_revoked(path):
                    continue
                refusal = self._chain.refusal(path)
                if refusal is None:
                    debug(f"OpenSSL accepts a path of {len(path)} certificates")
                    return Path(path)
                debug(f"OpenSSL refuses a path of {len(path)} certificates: {refusal}")
                self.refused[tuple(path)] = refusal
                rehearsals += 1
                if rehearsals >= self._budget.rehearsals:
                    return None
            return None
        finally:
            paths.close()  # if the collector closed it, Python would lose what a signal handler raises meanwhile

    def _walk(self, issuers_of: IssuersOf) -> Walk:
        trusted = self._chain.trusted
        now = None if trusted.flags & NO_CHECK_TIME else self._chain.now
        return Walk(issuers_of, trusted.is_anchor, now, self._budget)

    def _at_hand(self, subject: Certificate) -> Iterator[Certificate]:
        """The issuers that need no fetch: from what the program trusts, what was sent, and the store."""
        yield from self._chain.trusted.issuers_of(subject)
        yield from likeliest_first(subject, self._chain.sent, self._is_near)
        stored = self._store.find(subject.issuer_key)
        self.stored.update(stored)
        yield from likeliest_first(subject, stored, self._is_near)

    def _newly_stored(self, subject: Certificate) -> list[Certificate]:
        """The issuers that other processes have put into the store since this search looked there."""
        found = [issuer for issuer in self._store.find(subject.issuer_key) if issuer not in self.stored]
        self.stored.update(found)
        return likeliest_first(subject, found)

    def _is_near(self, certificate: Certificate) -> bool:
        """Whether a trusted certificate bears the name of this certificate's issuer."""
        return bool(self._chain.trusted.issuers_of(certificate))

    def _has_issuer_at_hand(self, subject: Certificate) -> bool:
        """Whether a walk without AIA can go on from this certificate."""
        walk = self._walk(self._at_hand)
        candidates = [*self._at_hand(subject)]  # all, because an abandoned generator loses what a signal handler raises
        return any(walk.may_lead_on(candidate, subject) for candidate in candidates)

    def _is_revoked(self, path: list[Certificate]) -> bool:
        if not self._store.may_know_revoked():
            return False
        with importing:
            from .revoked import is_revoked

        found = {
            certificate: issuer
            for certificate, issuer in zip(path[1:-1], path[2:])
            if is_revoked(certificate, issuer, self._store.folders)
        }
        self.revoked.update(found)
        return bool(found)

    def _keep(self, path: Path) -> None:
        """Keep the intermediates of an accepted path, unless the server sent all that OpenSSL needs."""
        if needs(self._chain, path):
            for certificate in path.intermediates:
                if certificate not in self.stored:
                    self._store.keep(certificate, path.sources.get(certificate))
                self._store.note_use(certificate)


def needs(chain: Chain, path: Path) -> list[Certificate]:
    """The intermediates of a path that OpenSSL must be given.

    They begin at the first one that was not sent, or that OpenSSL could confuse with another of the same name. All the
    intermediates above it are needed too: OpenSSL looks only in its store for the issuer of a trusted certificate.
    """

    def is_certain(certificate: Certificate, below: Certificate) -> bool:
        if certificate not in chain.sent and not chain.trusted.holds(certificate):
            return False
        rivals = (*chain.sent, *chain.trusted.issuers_of(below))
        return all(rival == certificate for rival in rivals if rival.subject_key == certificate.subject_key)

    for at, certificate in enumerate(path.intermediates):
        if not is_certain(certificate, path.certificates[at]):
            return path.intermediates[at:]
    return []


class Walk:
    """A depth-first walk from a leaf to any trust anchor, bounded in length and in steps (RFC 4158, 8.1).

    `issuers_of` yields the certificates that may have issued a certificate. An expensive source can come last, because
    the walk asks for the next certificate only when it needs it. `now` is in seconds since 1970; None ignores dates.
    """

    def __init__(
        self, issuers_of: IssuersOf, is_anchor: Callable[[Certificate], bool], now: float | None, budget: Budget
    ) -> None:
        self._issuers_of = issuers_of
        self._is_anchor = is_anchor
        self._now = now
        self._most_intermediates = budget.intermediates
        self._steps_left = budget.steps

    def paths(self, leaf: Certificate) -> Generator[list[Certificate], None, None]:
        """Yield every path, from the leaf to the anchor, both included. No path names a subject twice."""
        if self._is_anchor(leaf) or leaf.is_self_signed:
            return
        yield from self._extended([leaf])

    def _extended(self, path: list[Certificate]) -> Generator[list[Certificate], None, None]:
        candidates = _each(self._issuers_of(path[-1]))
        try:
            for candidate in candidates:
                self._steps_left -= 1
                if self._steps_left < 0:
                    return
                if not self.may_lead_on(candidate, path[-1]):
                    continue
                # OpenSSL 3.0 refuses paths that name a subject twice (RFC 4158, 2.4.2): "certificate chain too long".
                if any(candidate.subject_key == other.subject_key for other in path):
                    continue
                if self._is_anchor(candidate):
                    yield [*path, candidate]
                elif len(path) <= self._most_intermediates and _has_room_for(path, candidate):
                    yield from self._extended([*path, candidate])
        finally:
            candidates.close()

    def may_lead_on(self, candidate: Certificate, subject: Certificate) -> bool:
        """Whether a candidate may have issued the subject, and is an anchor or a currently valid intermediate."""
        return may_have_issued(candidate, subject) and (self._is_anchor(candidate) or self._is_intermediate(candidate))

    def _is_intermediate(self, candidate: Certificate) -> bool:
        return (
            candidate.basic_constraints[0]
            and not candidate.is_self_signed
            and (self._now is None or candidate.is_valid_at(self._now))
        )


def _each(certificates: Iterable[Certificate]) -> Generator[Certificate, None, None]:
    """Yield each certificate. Closing this generator also closes the generator that the certificates come from."""
    yield from certificates


def _has_room_for(path: list[Certificate], candidate: Certificate) -> bool:
    """Whether an intermediate's path length constraint allows this path below it; OpenSSL checks it fully later."""
    _, path_length = candidate.basic_constraints
    return path_length is None or path_length >= len(path) - 1


def may_have_issued(issuer: Certificate, subject: Certificate) -> bool:
    """Whether names and key identifiers allow that `issuer` issued `subject`. OpenSSL verifies the signature later."""
    try:
        is_named = issuer.subject == subject.issuer or issuer.subject_key == subject.issuer_key
        return is_named and subject.names_as_issuer(issuer)
    except DERError:
        return False


def surely_issued(issuer: Certificate, subject: Certificate) -> bool:
    """Whether the subject's AKID is the SKID of this issuer, and the names match too."""
    if not may_have_issued(issuer, subject):
        return False
    akid = subject.authority_key_id
    return akid is not None and akid.key_id is not None and akid.key_id == issuer.subject_key_id


def likeliest_first(
    subject: Certificate, candidates: Iterable[Certificate], is_near: Callable[[Certificate], bool] = lambda _: False
) -> list[Certificate]:
    """The candidates, sorted: those whose key the AKID names, then those near an anchor, then those valid longest."""

    def rank(candidate: Certificate) -> tuple[bool, bool, int, bytes]:
        # The bytes come last, so that a store always gives the same path, in whatever order it lists its files.
        return not surely_issued(candidate, subject), not is_near(candidate), -candidate.validity[1], candidate.der

    found = list(candidates)
    return sorted(found, key=rank) if len(found) > 1 else found
