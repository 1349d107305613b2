"""Fetch successors of what will soon expire: a CA publishes the successor of an intermediate under the same URL."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from ..inside import fetch, locks, reply
from ..inside.aia import urls_to_fetch
from ..inside.certificate import sha256
from ..inside.pauses import Failures
from ..inside.search import Budget, may_have_issued

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..inside.certificate import Certificate
    from ..inside.settings import Settings
    from ..inside.store import Folder
    from .verify import Verifier

SOON = 30 * 86_400  # seconds
SECONDS = 30.0  # for all fetches of one refresh; the next refresh does the rest
MOST_FETCHES = 30


class Held(NamedTuple):
    """An intermediate on disk that leads to a trust anchor: its file, and its path, both ends included."""

    folder: Folder
    path: str
    certificate: Certificate
    links: list[Certificate]


class Renewed(NamedTuple):
    """A successor that was fetched and kept."""

    certificate: Certificate
    old: Certificate
    url: str


class Due(NamedTuple):
    """An intermediate that expires soon, and the URLs where its successor may be found."""

    old: Held
    urls: list[str]


def due(held: list[Held]) -> list[Due]:
    """The intermediates that expire soon and have no successor here, the earliest first.

    A URL is the one that an intermediate was fetched from, or one that certificates below it name.
    """
    now = time.time()
    by_end = sorted(held, key=lambda one: one.certificate.validity[1])
    ending = [one for one in by_end if one.certificate.validity[1] - now < SOON]
    lasting = {_identity(one.certificate) for one in by_end[len(ending) :]}
    below: dict[bytes, list[Certificate]] = {}
    for one in held if ending else ():
        below.setdefault(one.certificate.issuer_key, []).append(one.certificate)
    return [
        Due(one, _urls(one, below.get(one.certificate.subject_key, ())))
        for one in ending
        if _identity(one.certificate) not in lasting
    ]


def renew(settings: Settings, due: list[Due], known: set[Certificate], verifier: Verifier) -> list[Renewed]:
    """Fetch and keep the successors of what is due, except `known` ones. Raises nothing.

    The old ones stay until they expire.
    """
    renewal = _Renewal(settings, verifier, set(known))
    return [found for one in due for found in renewal.of(one.old, one.urls)]


class _Renewal:
    """The fetches of one refresh, and their limits."""

    def __init__(self, settings: Settings, verifier: Verifier, known: set[Certificate]) -> None:
        self._settings = settings
        self._verifier = verifier
        self._known = known
        self._deadline = time.monotonic() + SECONDS
        self._replies: dict[str, list[Certificate]] = {}

    def of(self, old: Held, urls: list[str]) -> list[Renewed]:
        """Look for the successors of one intermediate, up to the first URL that has any."""
        failures = Failures(old.folder)
        for url in urls:
            fruitless = f"{url} to renew {old.certificate.fingerprint}"
            if failures.paused(fruitless):
                continue
            offered = self._behind(url, old.folder, failures)
            if offered is None:
                continue
            found = []
            for certificate in offered:
                if self._succeeds(certificate, old.certificate):
                    try:
                        old.folder.keep(certificate, url)
                    except OSError:
                        continue
                    self._known.add(certificate)
                    found.append(Renewed(certificate, old.certificate, url))
            if found:
                return found
            failures.failed(fruitless)
        return []

    def _succeeds(self, certificate: Certificate, old: Certificate) -> bool:
        return (
            certificate not in self._known
            and certificate.subject_key == old.subject_key
            and certificate.validity[1] > old.validity[1]
            and self._verifier.refusal(certificate) is None
        )

    def _is_paused(self, url: str, failures: Failures) -> bool:
        return failures.url_is_paused(url, fetch.proxy_name(url, self._settings.proxy))

    def _behind(self, url: str, home: Folder, failures: Failures) -> list[Certificate] | None:
        """The certificates behind a URL; None if it was not tried: it is paused, busy, or exceeds the limit."""
        if url in self._replies:
            return self._replies[url]
        left = self._deadline - time.monotonic()
        if left <= 0 or len(self._replies) >= MOST_FETCHES or self._is_paused(url, failures):
            return None
        try:
            lock = locks.acquire(home, sha256(url.encode()), 0)
            if lock is None:
                return None
        except locks.LockError:
            lock = None  # a second fetch is better than none
        try:
            deadline = time.monotonic() + min(left, Budget.fetch_seconds)
            self._replies[url] = _fetched(url, self._settings, failures, deadline)
        finally:
            if lock is not None:
                lock.release()
        return self._replies[url]


def _fetched(url: str, settings: Settings, failures: Failures, deadline: float) -> list[Certificate]:
    proxy = fetch.proxy_name(url, settings.proxy)
    try:
        found = reply.certificates(fetch.get(url, settings.allowed_networks, deadline, proxy=settings.proxy))
        if not found:
            raise fetch.FetchError("a reply that holds no certificate", proxy=proxy)
    except fetch.FetchError as error:
        failures.blame(url, error, proxy)
        return []
    failures.forgive(url, proxy)
    return found


def _urls(one: Held, below: Iterable[Certificate]) -> list[str]:
    """The URLs of an intermediate, up to a limit; they may be hostile."""
    urls = [one.folder.source_of(one.certificate) or ""]
    for certificate in below:
        if may_have_issued(one.certificate, certificate):
            urls += urls_to_fetch(certificate, Budget())
    return [url for url in dict.fromkeys(urls) if fetch.is_fetchable(url)][: Budget.urls]


def _identity(certificate: Certificate) -> tuple[bytes, bytes]:
    """The name and the key, by which a leaf finds its issuer."""
    return certificate.subject_key, certificate.public_key
