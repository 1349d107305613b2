"""Complete one chain: find what is missing, rehearse the whole path, keep it, and say exactly what to add."""

from __future__ import annotations

from _thread import RLock

from .. import config
from ..constraints import carries_all, is_outlived_by
from ..failures import Failures
from ..log import debug
from ..store import open_store
from .aia import AIA, HANDSHAKE_SECONDS
from .path import Search, likeliest_first
from .rehearsal import CRL_CHECKS, Rehearsal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..config import Settings
    from ..der import Certificate
    from ..store import Store
    from .chain import Chain

MOST_REHEARSALS = 32  # in one handshake
POLICY_CHECKS = 0x80 | 0x100 | 0x200 | 0x400  # X509_V_FLAG_POLICY_CHECK, EXPLICIT_POLICY, INHIBIT_ANY, INHIBIT_MAP

_opened: tuple[str | None, Store, Failures] | None = None  # for the process: its memory may be all there is
_opening = RLock()  # reentrant, because a signal handler may connect too


class Path:
    """A certification path that OpenSSL accepted: from the leaf to the anchor, both included."""

    def __init__(self, certificates: list[Certificate], sources: dict[Certificate, str]) -> None:
        self.certificates = certificates
        self.sources = sources  # the URL of each that was fetched

    @property
    def intermediates(self) -> list[Certificate]:
        return self.certificates[1:-1]

    def above(self, certificate: Certificate) -> list[Certificate]:
        """What stands above a certificate of the path, its issuer first."""
        return self.certificates[self.certificates.index(certificate) + 1 :]


def missing(chain: Chain, *, must_be_safe: bool) -> tuple[list[Certificate], bool] | None:
    """What to add to the context, so that OpenSSL completes this chain by itself; None where nothing helps.

    Returns the intermediates, none if nothing is missing after all, and whether each is safe even as a trust anchor
    of its own, which it must be in a context with partial chains, or where the caller says so. What was found is kept
    in the store.
    """
    settings = config.load()
    if settings.disable:
        return None
    path = _found(chain, settings)
    if path is None:
        debug("no path to a trust anchor was found")
        return None
    needed = needs(chain, path)
    safe = not chain.trusted.flags & (CRL_CHECKS | POLICY_CHECKS) and all(
        carries_all(certificate, path.above(certificate)) and is_outlived_by(certificate, path.above(certificate))
        for certificate in needed
    )
    if (must_be_safe or chain.trusted.partial_chains) and not safe:
        debug("an intermediate that would be a trust anchor of its own here is not added")
        return None
    debug(f"completing the chain with {len(needed)} of {len(path.intermediates)} intermediates")
    return needed, safe


def accepted_path(chain: Chain, store: Store, aia: AIA | None) -> Path | None:
    """The first path that OpenSSL accepts: of what was sent and what is on disk, then with what AIA gives.

    AIA is asked first where no issuer is at hand; then, if OpenSSL refused what is at hand, for the leaf's, as a wrong
    intermediate is mostly that one; then for any.
    """

    def local(subject: Certificate) -> Iterator[Certificate]:
        yield from chain.trusted.issuers_of(subject)
        yield from likeliest_first(subject, chain.sent)
        yield from likeliest_first(subject, store.find(subject.issuer_key))

    def with_aia(asks_for: Callable[[Certificate], bool]) -> Callable[[Certificate], Iterator[Certificate]]:
        def issuers_of(subject: Certificate) -> Iterator[Certificate]:
            yield from local(subject)
            if aia is not None and asks_for(subject):
                yield from aia.issuers_of(subject)

        return issuers_of

    def has_no_issuer_at_hand(subject: Certificate) -> bool:
        return not any(search.may_lead_on(candidate, subject) for candidate in local(subject))

    refused: set[tuple[Certificate, ...]] = set()

    def sources() -> Iterator[Callable[[Certificate], Iterator[Certificate]]]:
        yield local
        if aia is not None:
            yield with_aia(has_no_issuer_at_hand)
            if refused:
                yield with_aia(lambda subject: subject == chain.leaf)
            yield with_aia(lambda _: True)

    for issuers_of in sources():
        search = Search(issuers_of, chain.trusted.is_anchor, chain.trusted.flags, chain.now)
        for path in search.paths(chain.leaf):
            if tuple(path) in refused:
                continue
            refusal = _refusal(path, chain)
            if refusal is None:
                return Path(path, aia.sources if aia is not None else {})
            debug(f"OpenSSL refuses a path of {len(path)} certificates: {refusal}")
            refused.add(tuple(path))
            if len(refused) >= MOST_REHEARSALS:
                return None
    return None


def needs(chain: Chain, path: Path) -> list[Certificate]:
    """What of a path OpenSSL must be given: from what was not sent upwards, or what has a rival of the same name.

    All that stands above it too: from the first trusted certificate on, OpenSSL looks for issuers in its store only.
    """

    def is_certain(certificate: Certificate, below: Certificate) -> bool:
        at_hand = [*chain.sent, *chain.trusted.issuers_of(below)]
        rivals = (other for other in at_hand if other.subject_key == certificate.subject_key)
        return certificate in at_hand and all(rival == certificate for rival in rivals)

    pairs = list(zip(path.intermediates, path.certificates, strict=False))
    return path.intermediates[next((at for at, pair in enumerate(pairs) if not is_certain(*pair)), len(pairs)) :]


def _refusal(path: list[Certificate], chain: Chain) -> str | None:
    *certificates, anchor = (certificate.der for certificate in path)
    return Rehearsal(anchor, chain.trusted.flags, chain.trusted.security_level).refusal(certificates)


def _found(chain: Chain, settings: Settings) -> Path | None:
    store, failures = _open(settings)
    aia = None if settings.offline else AIA(settings, store, failures, chain.trusted.digest, HANDSHAKE_SECONDS)
    proved: set[Certificate] = set()
    try:
        path = accepted_path(chain, store, aia)
        if path is not None and needs(chain, path):
            proved.update(path.intermediates)
            for certificate in path.intermediates:
                store.keep(certificate)
                store.note_use(certificate)
        return path
    finally:
        if aia is not None:
            aia.close(proved)


def _open(settings: Settings) -> tuple[Store, Failures]:
    global _opened
    with _opening:
        if _opened is None or _opened[0] != settings.dir:
            store = open_store(settings)
            _opened = settings.dir, store, Failures(store.home)
        return _opened[1:]
