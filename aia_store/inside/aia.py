"""Issuers by AIA: the last source asked, and the only one that reaches the network.

One fetch per URL per machine: whoever holds the URL's lock asks, and keeps the lock until its search is over, so that
those who wait find on disk what it kept, or the note that it failed.
"""

from __future__ import annotations

import time

from .certificate import DERError
from .locks import LockError, acquire
from .path import likeliest_first
from .pauses import Failures
from .settings import debug
from .waiting import in_a_thread, interruptible, lock, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .certificate import Certificate
    from .completion import Builder, Path
    from .locks import Lock
    from .settings import Settings
    from .store import Store

MOST_FETCHES = 3  # in one handshake
MOST_URLS_TRIED = 5  # of one certificate
TOO_MANY_URLS = 10  # a certificate with so many gets none fetched
FAIR_SECONDS = 2.5  # who had less to answer is not to blame

_without_a_disk = lock()  # where no folder can be written, one fetch at a time in this process


_failures: tuple[Store, Failures] | None = None  # for the process: its memory may be all there is


def failures_of(store: Store) -> Failures:
    """The memory of failed fetches that belongs to a store."""
    global _failures
    if _failures is None or _failures[0] is not store:
        _failures = store, Failures(store.home)
    return _failures[1]


class AIA:
    """What the caIssuers URLs of certificates lead to, within the bounds of one handshake; used in a `with`."""

    def __init__(
        self, settings: Settings, store: Store, failures: Failures, anchors: Callable[[], str], seconds: float
    ) -> None:
        """`anchors` gives a text that is another for other trust anchors; `seconds` is the time for all fetches."""
        self._settings = settings
        self._store = store
        self._failures = failures
        self._anchors = anchors
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._fetches_left = MOST_FETCHES
        self._replies: dict[str, list[Certificate]] = {}
        self._asked: dict[str, str] = {}  # what to note where a reply proves useless, and its URL
        self._locks: list[Lock] = []
        self._locked: set[str] = set()  # the URLs of these locks
        self._holds_process_lock = False
        self._proved: set[Certificate] = set()
        self.sources: dict[Certificate, str] = {}  # where what was found came from, to be shown
        self.failed: dict[str, str] = {}  # what could not be fetched, and why

    def __enter__(self) -> AIA:
        return self

    def __exit__(self, *raised: object) -> None:
        """End the search: note the replies that led to no accepted path, and let those go on who wait for us."""
        try:
            for note, url in self._asked.items() if not self._was_hurried() else ():
                if self._replies[url] and self._proved.isdisjoint(self._replies[url]):
                    self._failures.failed(note)
        finally:
            for held in self._locks:
                held.release()
            if self._holds_process_lock:
                _without_a_disk.release()

    def path(self, builder: Builder, leaf: Certificate) -> Path | None:
        """The first path that OpenSSL accepts of what is at hand and what AIA gives; its intermediates are kept.

        AIA is asked first where no issuer is at hand; then, if OpenSSL refused what is at hand, for the leaf's, as a
        wrong intermediate is mostly that one; then for any.
        """
        found = self._accepted(builder, lambda subject: not builder.has_issuer_at_hand(subject))
        if found is None and builder.refused:
            found = self._accepted(builder, lambda subject: subject == leaf)
        if found is None:
            found = self._accepted(builder, lambda _: True)
        if found is not None:
            found.sources = self.sources
            builder.keep(found)
            self._proved.update(found.intermediates)
        return found

    def _accepted(self, builder: Builder, asks_for: Callable[[Certificate], bool]) -> Path | None:
        def issuers_of(subject: Certificate) -> Iterable[Certificate]:
            yield from builder.at_hand(subject)
            if asks_for(subject):
                yield from self._issuers_of(subject, builder)

        return builder.accepted(issuers_of)

    def _issuers_of(self, subject: Certificate, builder: Builder) -> Iterator[Certificate]:
        """Certificates that bear the name of the subject's issuer, URL by URL, each fetched when it is asked for."""
        for url in urls_to_fetch(subject):
            yield from self._behind(url, subject, builder)

    def _behind(self, url: str, subject: Certificate, builder: Builder) -> Iterator[Certificate]:
        # Noted for this subject only: or a hostile leaf could name, and so silence, the URL of an honest CA. And for
        # these anchors only: what leads nowhere in one program may be all that another needs.
        useless = f"{url} for {subject.fingerprint} under {self._anchors()}"
        if url not in self._replies:
            if not self._may_fetch(url, useless):
                return
            # Another process may have kept the issuer while we waited for the lock.
            kept = [c for c in self._store.find(subject.issuer_key) if c not in builder.stored]
            builder.stored.update(kept)
            yield from likeliest_first(subject, kept)
            if self._fetches_left <= 0 or self._is_paused(url, useless):
                return
            self._fetches_left -= 1
            self._replies[url] = self._fetched(url)
        self._asked[useless] = url
        for candidate in self._replies[url]:
            if candidate.subject_key == subject.issuer_key:
                self.sources.setdefault(candidate, url)
                yield candidate

    def _may_fetch(self, url: str, useless: str) -> bool:
        """Whether there is a point in fetching this URL, once its lock is ours."""
        if self._fetches_left <= 0 or self._is_paused(url, useless):
            return False
        if url in self._locked:
            return True  # by a search that ended before it fetched
        home = self._store.home
        if home is None:
            if not self._holds_process_lock:
                wait = max(0, self._deadline - time.monotonic())
                self._holds_process_lock = interruptible(lambda: _without_a_disk.acquire(timeout=wait))
            return self._holds_process_lock
        import hashlib

        name = hashlib.sha256(url.encode()).hexdigest()
        try:
            had = acquire(home, name, self._deadline, sleep)
        except LockError:
            return True  # a full disk: better to fetch twice than not at all
        if had is not None:
            self._locks.append(had)
            self._locked.add(url)
        return had is not None

    def _is_paused(self, url: str, useless: str) -> bool:
        keys = (url, host_of(url), *([_in_a_hurry(url)] if self._is_hasty() else []))
        if any(map(self._failures.paused, keys)):
            self.failed.setdefault(url, "it failed a short while ago, and is not asked again yet")
            return True
        return self._failures.paused(useless)

    def _is_hasty(self) -> bool:
        """Whether there is less time than any fetch may take, as under an event loop."""
        from .fetch import SECONDS

        return self._seconds < SECONDS

    def _was_hurried(self) -> bool:
        """Whether it was for want of time that we failed: that says nothing of the host to those who have more."""
        return self._is_hasty() and time.monotonic() >= self._deadline

    def _fetched(self, url: str) -> list[Certificate]:
        """The certificates behind a URL, fetched by a thread, so that nothing can hold us past the deadline."""
        from . import fetch, reply

        debug(f"fetching {url}")
        began = time.monotonic()
        deadline = min(self._deadline, began + fetch.SECONDS)
        dead_url = None
        try:
            body = in_a_thread(lambda: fetch.fetch(url, self._settings.allowed_networks, deadline), deadline)
            found = reply.certificates(body)
            if found:
                for key in (url, host_of(url), _in_a_hurry(url)):
                    self._failures.succeeded(key)
                return found
            reason = "a reply that holds no certificate"
        except fetch.FetchError as error:
            reason, dead_url = str(error), error.dead_url
        except TimeoutError as error:
            reason, dead_url = str(error), url
        debug(f"{url}: {reason}")
        self.failed[url] = reason
        if time.monotonic() >= deadline:
            if deadline - began < min(FAIR_SECONDS, self._seconds / 2):
                # Hosts before it used its time up; a hostile leaf could name them, and so silence an honest CA.
                return []
            if self._is_hasty():
                self._failures.failed(_in_a_hurry(url))
                return []
        self._failures.failed(url)
        if dead_url is not None:
            self._failures.failed(host_of(dead_url))
        return []


def _in_a_hurry(url: str) -> str:
    """What is paused when a URL took longer than a hasty handshake could wait."""
    return f"{url} in a hurry"


def urls_to_fetch(subject: Certificate) -> list[str]:
    """The URLs worth a fetch, in the order that the CA gave them (CA/B Baseline Requirements, 7.1.2.7.7)."""
    try:
        urls = subject.ca_issuers
    except DERError:
        return []
    if not urls or len(urls) >= TOO_MANY_URLS:
        return []
    from .fetch import is_fetchable

    return [url for url in dict.fromkeys(urls) if is_fetchable(url)][:MOST_URLS_TRIED]


def host_of(url: str) -> str:
    """The scheme, host and port of a URL: what is paused when the host is dead."""
    return "/".join(url.split("/", 3)[:3]).lower()
