"""Issuers by AIA (RFC 5280, 4.2.2.1): the last source of a search, and the only one that uses the network.

There is one fetch per URL and machine. The process that holds a URL's lock fetches the URL. It keeps the lock while it
searches upwards from the reply. Processes that waited for the lock then find the certificates in the store, or a note
that the fetch failed.
"""

from __future__ import annotations

import time

from . import Interrupted
from .certificate import DERError, sha256
from .fetch import FetchError, is_fetchable, proxy_name
from .fetch import get as fetch
from .locks import LockError, acquire, acquire_in_process, sleep
from .pauses import FIRST_PAUSE, Failures, host_of, key_of, longest_pause
from .reply import certificates as certificates_in
from .settings import debug

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol, TypeVar

    from .certificate import Certificate
    from .locks import Lock, Turn
    from .settings import Settings
    from .store import IntermediateStore

    T = TypeVar("T")

    class Budget(Protocol):
        """The attributes of `search.Budget` (the limits of one search) that `AIA` uses."""

        seconds: float
        fetches: int
        urls: int
        too_many_urls: int
        fetch_seconds: float
        fair_seconds: float


class AIA:
    """Fetches issuers from caIssuers URLs for one search, within the search's budget. Use it as a context manager."""

    def __init__(
        self,
        settings: Settings,
        store: IntermediateStore,
        budget: Budget,
        anchors: Callable[[], str],
        newly_stored: Callable[[Certificate], Iterable[Certificate]],
        *,
        patient: bool = True,
    ) -> None:
        """`anchors` returns a text that changes whenever the trust anchors change. `newly_stored` takes a certificate,
        and returns those of its issuers that other processes have put into the store during the search. If `patient` is
        false, URLs that failed recently are tried too."""
        self._allowed_networks = settings.allowed_networks
        self._proxy = settings.proxy
        self._home = store.home
        self._failures = Failures(self._home, store.failures, patient=patient)
        self._budget = budget
        self._is_hasty = budget.seconds < budget.fetch_seconds  # less time than for one fetch, as under an event loop
        self._anchors = anchors
        self._anchors_digest: str | None = None
        self._newly_stored = newly_stored
        self._deadline = time.monotonic() + budget.seconds
        self._fetches_left = budget.fetches
        self._purposes: dict[str, set[str]] = {}  # why each URL was fetched, to be noted if the reply proves useless
        self._noted: set[str] = set()
        self._locks: dict[str, Lock | Turn] = {}  # by URL
        self.proved: set[Certificate] = set()  # the intermediates of the path that was accepted
        self.sources: dict[Certificate, str] = {}  # the URL of each certificate that was found
        self.replies: dict[str, list[Certificate]] = {}  # the certificates behind each URL that was fetched
        self.failed: dict[str, str] = {}  # the URLs that could not be fetched, and why
        self.paused: dict[str, float] = {}  # the URLs that are paused, and until when (seconds since 1970)

    def __enter__(self) -> AIA:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """End the search: note the replies that led to no accepted path, and release the locks."""
        try:
            for url in self.replies if kind is None else ():
                self._note_use(url)
        finally:
            for held in self._locks.values():
                held.release()

    def issuers_of(self, subject: Certificate) -> Iterator[Certificate]:
        """Yield certificates with the name of the subject's issuer; fetch them if needed. May raise Interrupted."""
        before = None
        for url in urls_to_fetch(subject, self._budget):
            if before is not None:  # the URL before this one led to no path
                self._note_use(before)
                # A hostile certificate may name an honest CA's URL, and slow URLs after it. We release the lock of the
                # CA's URL before we try those, so that other processes need not wait.
                held = self._locks.pop(before, None)
                if held is not None:
                    held.release()
            yield from self._behind(url, subject)
            before = url

    def _note_use(self, url: str) -> None:
        """Note whether this URL's reply was useful. If the search had little time and it ran out, note nothing."""
        found = self.replies.get(url)
        if not found or (self._is_hasty and time.monotonic() >= self._deadline):
            return
        for purpose in self._purposes.get(url, ()):
            if not self.proved.isdisjoint(found):
                self._failures.succeeded(purpose)
            elif purpose not in self._noted:
                self._failures.failed(purpose, longest_pause(proxy_name(url, self._proxy)))
                self._noted.add(purpose)

    def _behind(self, url: str, subject: Certificate) -> Iterator[Certificate]:
        purpose = self._purpose(url, subject)
        if url not in self.replies:
            if not self._may_fetch(url, purpose) or not self._is_locked(url):
                return
            # While we waited for the lock, another process may have stored the issuer, or have failed.
            yield from self._newly_stored(subject)
            if not self._may_fetch(url, purpose):
                return
            self.replies[url] = self._fetched(url)
        self._purposes.setdefault(url, set()).add(purpose)
        for candidate in self.replies[url]:
            if candidate.subject_key == subject.issuer_key:
                self.sources.setdefault(candidate, url)
                yield candidate

    def _purpose(self, url: str, subject: Certificate) -> str:
        """The key under which a reply from this URL is noted as useless.

        The note holds for this subject only. Otherwise a hostile leaf could block the URL of an honest CA by naming it.
        It holds for the same trust anchors only, because another program may trust the root that this program lacks. It
        holds for the same proxy (or none) only, because a proxy may have replaced the host's reply.
        """
        if self._anchors_digest is None:
            self._anchors_digest = self._anchors()
        key = key_of(url, proxy_name(url, self._proxy))
        return f"{key} for {subject.fingerprint} under {self._anchors_digest}"

    def _may_fetch(self, url: str, purpose: str) -> bool:
        """Whether the budget has a fetch left, and no pause runs for this URL or for `purpose` (see `_purpose`)."""
        if self._fetches_left <= 0:
            return False
        proxy = proxy_name(url, self._proxy)
        if self._failures.url_is_paused(url, proxy) or (self._is_hasty and self._was_too_slow(url, proxy)):
            which = "it" if proxy is None else f"the proxy {proxy}, or what is behind it,"
            self.failed.setdefault(url, f"{which} failed a short while ago")
            self._note_pause(url, proxy)
            return False
        if self._failures.paused(purpose):
            self.paused[url] = self._failures.pause_ends(purpose)
            return False
        return True

    def _was_too_slow(self, url: str, proxy: str | None) -> bool:
        """Whether a search with little time recently waited in vain for this URL or for the proxy."""
        keys = (key_of(url, proxy), *([] if proxy is None else [proxy]))
        return any(self._failures.paused(_in_a_hurry(key)) for key in keys)

    def _note_pause(self, url: str, proxy: str | None) -> None:
        keys = key_of(url, proxy), host_of(url) if proxy is None else proxy
        self.paused[url] = self._failures.pause_ends(*keys, *map(_in_a_hurry, keys))

    def _is_locked(self, url: str) -> bool:
        """Take the lock of this URL. False if time ran out. If no file can be locked, the lock is for threads only."""
        if url in self._locks:
            return True  # an earlier walk of this search took it, and ended before the fetch
        name = sha256(url.encode())
        held: Lock | Turn | None
        try:
            if self._home is None:
                raise LockError("no folder can be written")
            held = acquire(self._home, name, self._deadline, _sleep)
        except LockError:
            held = _waiting(lambda: acquire_in_process(name, self._deadline))
        if held is not None:
            self._locks[url] = held
        return held is not None

    def _fetched(self, url: str) -> list[Certificate]:
        """Fetch the certificates behind a URL. If the fetch fails, note what is to blame, and return an empty list."""
        proxy = proxy_name(url, self._proxy)
        debug(f"fetching {url}" + (f" through the proxy {proxy}" if proxy is not None else ""))
        began = time.monotonic()
        deadline = min(self._deadline, began + self._budget.fetch_seconds)
        try:
            body = fetch(url, self._allowed_networks, deadline, proxy=self._proxy)
        except FetchError as error:
            failure = error
        except BaseException as error:
            raise Interrupted(error) from None
        else:
            found = certificates_in(body)
            if found:
                self._fetches_left -= 1
                self._failures.forgive(url, proxy)
                self._failures.succeeded(_in_a_hurry(key_of(url, proxy)))
                return found
            failure = FetchError("a reply that holds no certificate", proxy=proxy)
        debug(f"{url}: {failure}")
        self.failed[url] = str(failure)
        if not failure.is_ours:  # otherwise nothing was requested
            self._fetches_left -= 1
            self._blame(url, proxy, failure, began, deadline)
            self._note_pause(url, proxy)
        return []

    def _blame(self, url: str, proxy: str | None, failure: FetchError, began: float, deadline: float) -> None:
        """Note a failed fetch, which had the time from `began` to `deadline` (in seconds of the monotonic clock)."""
        if time.monotonic() < deadline:
            self._failures.blame(url, failure, proxy)
        elif deadline - began < min(self._budget.fair_seconds, self._budget.seconds / 2):
            pass  # other hosts used up the time: a hostile leaf could name slow hosts to block an honest CA
        elif not self._is_hasty:
            self._failures.blame(url, failure, proxy)
        elif failure.is_proxy_dead and failure.proxy is not None:
            self._failures.failed(_in_a_hurry(failure.proxy), FIRST_PAUSE)
        else:
            self._failures.failed(_in_a_hurry(key_of(url, proxy)), longest_pause(proxy))


def _waiting(wait: Callable[[], T]) -> T:
    """Call a function that only waits, and return its result. If a signal handler raises, raise Interrupted instead."""
    try:
        return wait()
    except BaseException as error:
        raise Interrupted(error) from None


def _sleep(seconds: float) -> None:
    _waiting(lambda: sleep(seconds))


def _in_a_hurry(key: str) -> str:
    """The key of a pause that holds only for searches with little time. `key` is that of a slow URL or proxy."""
    return f"{key} in a hurry"


def urls_to_fetch(subject: Certificate, budget: Budget) -> list[str]:
    """The subject's caIssuers URLs that may be fetched, in the CA's order (CA/B Baseline Requirements, 7.1.2.7.7)."""
    try:
        urls = subject.ca_issuers
    except DERError:
        return []
    if not urls or len(urls) >= budget.too_many_urls:
        return []
    named = dict.fromkeys(url.strip(" \t") for url in urls)
    return [url for url in named if is_fetchable(url)][: budget.urls]
