"""Fetch the successors of intermediates that will soon expire: a CA publishes a successor under the same URL.

A successor has the same name and key, and lasts longer. So it is also the issuer of the certificates below the old one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from ..inside import fetch, locks, reply
from ..inside.aia import urls_to_fetch
from ..inside.certificate import Certificate, sha256
from ..inside.pauses import Failures, key_of, longest_pause
from ..inside.search import Budget, may_have_issued
from ..inside.settings import Settings
from ..inside.store import Folder
from .download import was_fair
from .history import Renewed
from .turns import in_turn
from .verify import Verifier

SOON = 30 * 86_400  # seconds
SECONDS = 30.0  # for all fetches of one refresh; the next refresh does the rest
MOST_FETCHES = 30


class Held(NamedTuple):
    """An intermediate on disk that leads to a trust anchor: its file, and its path from itself to the anchor."""

    folder: Folder
    path: str
    certificate: Certificate
    links: list[Certificate]


class Due(NamedTuple):
    """An intermediate that expires soon, and the URLs where its successor may be found."""

    old: Held
    urls: list[str]


def due(held: list[Held]) -> list[Due]:
    """The intermediates that expire soon and have no successor on disk, sorted by `in_turn`, the earliest first.

    Their URLs are those that intermediates of the same name and key came from, and that certificates below them name.
    """
    now = time.time()
    alike: dict[tuple[bytes, bytes], list[Held]] = {}
    for one in sorted(held, key=lambda one: -one.certificate.validity[1]):
        alike.setdefault(_identity(one.certificate), []).append(one)
    ending = [found for found in alike.values() if found[0].certificate.validity[1] - now < SOON]
    below: dict[bytes, list[Certificate]] = {}
    for one in held if ending else ():
        below.setdefault(one.certificate.issuer_key, []).append(one.certificate)
    return [
        Due(found[0], _urls(found, below.get(found[0].certificate.subject_key, ())))
        for found in in_turn(reversed(ending), lambda found: found[0].links)
    ]


def renew(settings: Settings, due: list[Due], known: set[Certificate], verifier: Verifier) -> list[Renewed]:
    """For each intermediate that is due, fetch and keep a successor that is not `known`. Returns those that were kept.

    The old intermediates stay until they expire. If a fetch fails, nothing is raised.
    """
    renewal = _Renewal(settings, verifier, set(known))
    return [found for one in due if (found := renewal.of(one.old, one.urls)) is not None]


class _Renewal:
    """Fetches the successors in one refresh, up to a number of URLs and within limited time."""

    def __init__(self, settings: Settings, verifier: Verifier, known: set[Certificate]) -> None:
        self._settings = settings
        self._verifier = verifier
        self._known = known
        self._deadline = time.monotonic() + SECONDS
        self._replies: dict[str, list[Certificate] | None] = {}

    def of(self, old: Held, urls: list[str]) -> Renewed | None:
        """Keep the longest-lasting successor of one intermediate, from the first URL that has any; None if none has."""
        failures = Failures(old.folder)
        for url in urls:
            proxy = fetch.proxy_name(url, self._settings.proxy)
            fruitless = f"{key_of(url, proxy)} to renew {old.certificate.fingerprint}"
            if failures.paused(fruitless):
                continue
            offered = self._behind(url, proxy, old.folder, failures)
            if offered is None:
                continue
            by_end = sorted(offered, key=lambda certificate: certificate.validity[1], reverse=True)
            successor = next((one for one in by_end if self._succeeds(one, old.certificate)), None)
            if successor is None:
                failures.failed(fruitless, longest_pause(proxy))
            elif self._is_kept(successor, old.folder, url):
                return Renewed(successor, old.certificate, url)
        return None

    def _is_kept(self, successor: Certificate, folder: Folder, url: str) -> bool:
        try:
            folder.keep(successor, url)
        except OSError:
            return False
        self._known.add(successor)
        return True

    def _succeeds(self, certificate: Certificate, old: Certificate) -> bool:
        return (
            certificate not in self._known
            and _identity(certificate) == _identity(old)
            and certificate.validity[1] > old.validity[1]
            and self._verifier.refusal(certificate) is None
        )

    def _behind(self, url: str, proxy: str | None, home: Folder, failures: Failures) -> list[Certificate] | None:
        """The certificates at a URL; None if the fetch fails, or if the URL may not be fetched now."""
        if url in self._replies:
            return self._replies[url]
        left = self._deadline - time.monotonic()
        if left <= 0 or len(self._replies) >= MOST_FETCHES or failures.url_is_paused(url, proxy):
            return None
        try:
            lock = locks.acquire(home, sha256(url.encode()), 0)
            if lock is None:
                return None
        except locks.LockError:
            lock = None  # a second fetch is better than none
        try:
            deadline = time.monotonic() + min(left, Budget.fetch_seconds)
            self._replies[url] = self._fetched(url, proxy, failures, deadline)
        finally:
            if lock is not None:
                lock.release()
        return self._replies[url]

    def _fetched(self, url: str, proxy: str | None, failures: Failures, deadline: float) -> list[Certificate] | None:
        """Fetch the certificates at a URL; None if that fails. The failure is noted for the URL, host or proxy."""
        began = time.monotonic()
        networks = self._settings.allowed_networks
        try:
            found = reply.certificates(fetch.get(url, networks, deadline, proxy=self._settings.proxy))
            if not found:
                raise fetch.FetchError("a reply that holds no certificate", proxy=proxy)
        except fetch.FetchError as error:
            if was_fair(began, deadline, Budget.fetch_seconds):
                failures.blame(url, error, proxy)
            return None
        failures.forgive(url, proxy)
        return found


def _urls(alike: list[Held], below: Iterable[Certificate]) -> list[str]:
    """The URLs where a successor of these intermediates (of the same name and key) may be, up to a limit."""
    urls = [one.folder.source_of(one.certificate) or "" for one in alike]
    for certificate in below:
        if may_have_issued(alike[0].certificate, certificate):
            urls += urls_to_fetch(certificate, Budget())
    return [url for url in dict.fromkeys(urls) if fetch.is_fetchable(url)][: Budget.urls]


def _identity(certificate: Certificate) -> tuple[bytes, bytes]:
    """The name and the key of a CA, by which the certificates that it issued find it."""
    return certificate.subject_key, certificate.public_key
