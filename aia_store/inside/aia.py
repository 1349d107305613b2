"""Issuers by AIA (RFC 5280, 4.2.2.1): the last source asked, and the only one that reaches the network.

One fetch per URL per machine: whoever holds the URL's lock asks, and keeps it while the search goes on upwards from
the reply, so that those who wait find in the store what was kept, or the note that it failed.
"""

from __future__ import annotations

import time

from . import Interrupted, fetch, reply
from .certificate import DERError, sha256
from .locks import LockError, acquire, acquire_in_process, sleep
from .pauses import Failures, host_of
from .settings import debug

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol, TypeVar

    from .certificate import Certificate
    from .locks import Lock, Turn
    from .settings import Settings
    from .store import Store

    T = TypeVar("T")

    class Budget(Protocol):
        """As much of `search.Budget` as is needed here."""

        seconds: float
        fetches: int
        urls: int
        too_many_urls: int
        fetch_seconds: float
        fair_seconds: float


class AIA:
    """What the caIssuers URLs of certificates lead to, within the budget of one search; used in a `with`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        budget: Budget,
        anchors: Callable[[], str],
        newly_stored: Callable[[Certificate], Iterable[Certificate]],
        *,
        patient: bool = True,
    ) -> None:
        """`anchors` gives a text that is another for other trust anchors, `newly_stored` the issuers of a certificate
        that others have put into the store since it was last looked at. Who is not `patient` does not pause."""
        self._allowed_networks = settings.allowed_networks
        self._home = store.home
        self._failures = Failures(self._home, store.failures, patient=patient)
        self._budget = budget
        self._anchors = anchors
        self._anchors_digest: str | None = None
        self._newly_stored = newly_stored
        self._deadline = time.monotonic() + budget.seconds
        self._fetches_left = budget.fetches
        self._purposes: dict[str, set[str]] = {}  # what each reply was looked at for: noted if it proves useless
        self._noted: set[str] = set()
        self._locks: dict[str, Lock | Turn] = {}  # by URL
        self._proved: set[Certificate] = set()
        self.replies: dict[str, list[Certificate]] = {}  # the certificates behind each URL that was asked
        self.sources: dict[Certificate, str] = {}  # the URL of each certificate that was found
        self.failed: dict[str, str] = {}  # the URLs that could not be fetched, and why
        self.paused: dict[str, float] = {}  # the URLs that pause, and until when (seconds since 1970)

    def __enter__(self) -> AIA:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """End the search: note the replies that led to no accepted path, and let those go on who wait for us."""
        try:
            for url in self.replies if kind is None else ():
                self._note_use(url)
        finally:
            for held in self._locks.values():
                held.release()

    def note_proved(self, intermediates: Iterable[Certificate]) -> None:
        """Say which certificates stand in the path that was accepted."""
        self._proved.update(intermediates)

    def issuers_of(self, subject: Certificate) -> Iterator[Certificate]:
        """Certificates that bear the name of the subject's issuer, URL by URL, each fetched when it is asked for.

        Raises Interrupted where a signal handler raises something meanwhile.
        """
        before = None
        for url in urls_to_fetch(subject, self._budget):
            if before is not None:
                # It led nowhere. A hostile certificate may name slow URLs beside an honest CA's: nobody who needs
                # that one is to wait for them.
                self._let_go(before)
            yield from self._behind(url, subject)
            before = url

    def _let_go(self, url: str) -> None:
        self._note_use(url)
        held = self._locks.pop(url, None)
        if held is not None:
            held.release()

    def _note_use(self, url: str) -> None:
        """Note a reply that led to no accepted path, unless that was for want of time; forget it of one that did."""
        found = self.replies.get(url)
        if not found or self._was_hurried():
            return
        for purpose in self._purposes.get(url, ()):
            if not self._proved.isdisjoint(found):
                self._failures.succeeded(purpose)
            elif purpose not in self._noted:
                self._failures.failed(purpose)
                self._noted.add(purpose)

    def _behind(self, url: str, subject: Certificate) -> Iterator[Certificate]:
        purpose = self._purpose(url, subject)
        if url not in self.replies:
            if not self._may_fetch(url, purpose) or not self._is_locked(url):
                return
            # Another process may have kept the issuer, or failed, while we waited for the lock.
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
        """What is noted where a reply proves useless.

        For this subject only: or a hostile leaf could name, and so silence, the URL of an honest CA. And for these
        anchors only: what leads nowhere in one program may be all that another needs.
        """
        if self._anchors_digest is None:
            self._anchors_digest = self._anchors()
        return f"{url} for {subject.fingerprint} under {self._anchors_digest}"

    def _may_fetch(self, url: str, purpose: str) -> bool:
        """Whether a fetch is left, and this URL does not pause."""
        if self._fetches_left <= 0:
            return False
        if self._failures.url_is_paused(url) or (self._is_hasty() and self._failures.paused(_in_a_hurry(url))):
            self.failed.setdefault(url, "it failed a short while ago")
            self._note_pause(url)
            return False
        if self._failures.paused(purpose):
            self.paused[url] = self._failures.pause_ends(purpose)
            return False
        return True

    def _note_pause(self, url: str) -> None:
        self.paused[url] = self._failures.pause_ends(url, host_of(url), _in_a_hurry(url))

    def _is_locked(self, url: str) -> bool:
        """Whether nobody else may fetch this URL now. Where no file can be locked, that is so in this process only."""
        if url in self._locks:
            return True  # by a walk that ended before it fetched
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

    def _is_hasty(self) -> bool:
        """Whether there is less time than any fetch may take, as under an event loop."""
        return self._budget.seconds < self._budget.fetch_seconds

    def _was_hurried(self) -> bool:
        """Whether it was for want of time that we failed: that says nothing of the host to those who have more."""
        return self._is_hasty() and time.monotonic() >= self._deadline

    def _fetched(self, url: str) -> list[Certificate]:
        """The certificates behind a URL; where there are none, that is noted against whoever is to blame."""
        debug(f"fetching {url}")
        began = time.monotonic()
        deadline = min(self._deadline, began + self._budget.fetch_seconds)
        try:
            body = fetch.fetch(url, self._allowed_networks, deadline)
        except fetch.FetchError as error:
            failure = error
        except BaseException as error:
            raise Interrupted(error) from None
        else:
            found = reply.certificates(body)
            if found:
                self._fetches_left -= 1
                self._failures.forgive(url)
                self._failures.succeeded(_in_a_hurry(url))
                return found
            failure = fetch.FetchError("a reply that holds no certificate")
        debug(f"{url}: {failure}")
        self.failed[url] = str(failure)
        if not failure.is_ours:  # else nobody was asked
            self._fetches_left -= 1
            self._blame(url, failure, began, deadline)
            self._note_pause(url)
        return []

    def _blame(self, url: str, failure: fetch.FetchError, began: float, deadline: float) -> None:
        """Note a failed fetch that had from one time to the other (on the monotonic clock)."""
        if time.monotonic() < deadline:
            self._failures.blame(url, failure)
        elif deadline - began < min(self._budget.fair_seconds, self._budget.seconds / 2):
            pass  # hosts before it used its time up; a hostile leaf could name them, and so silence an honest CA
        elif self._is_hasty():
            self._failures.failed(_in_a_hurry(url))
        else:
            self._failures.blame(url, failure)


def _waiting(wait: Callable[[], T]) -> T:
    """Do something that only waits: what it raises is a signal handler's, and leaves as Interrupted."""
    try:
        return wait()
    except BaseException as error:
        raise Interrupted(error) from None


def _sleep(seconds: float) -> None:
    _waiting(lambda: sleep(seconds))


def _in_a_hurry(url: str) -> str:
    """What is paused when a URL took longer than a hasty handshake could wait."""
    return f"{url} in a hurry"


def urls_to_fetch(subject: Certificate, budget: Budget) -> list[str]:
    """The URLs worth a fetch, in the order that the CA gave them (CA/B Baseline Requirements, 7.1.2.7.7)."""
    try:
        urls = subject.ca_issuers
    except DERError:
        return []
    if not urls or len(urls) >= budget.too_many_urls:
        return []
    named = dict.fromkeys(url.strip(" \t") for url in urls)
    return [url for url in named if fetch.is_fetchable(url)][: budget.urls]
