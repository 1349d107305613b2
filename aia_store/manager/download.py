"""Fetch outside of handshakes, with the same rules as there: failures are remembered, and time is limited."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ..inside import fetch
from ..inside.pauses import Failures
from ..inside.search import Budget
from ..inside.settings import Settings

SECONDS = 30.0  # for one fetch


class UnavailableError(Exception):
    """The URL cannot be fetched. The message is the reason."""


class Downloader:
    """Fetches URLs with these settings until `deadline` (on the monotonic clock). Threads may share it."""

    def __init__(self, settings: Settings, failures: Failures, deadline: float) -> None:
        self._settings = settings
        self._failures = failures
        self._deadline = deadline

    def plain(self, url: str, most: int, seconds: float = math.inf) -> bytes:
        """Fetch an http URL and return the body, at most `most` bytes. Raises UnavailableError."""
        networks, proxy = self._settings.allowed_networks, self._settings.proxy
        return self.download(url, lambda deadline: fetch.get(url, networks, deadline, most, proxy), seconds)

    def proxy_to(self, url: str) -> str | None:
        """The proxy (host:port) through which a URL is fetched; None if there is none."""
        return fetch.proxy_name(url, self._settings.proxy)

    def download(self, url: str, get: Callable[[float], bytes], seconds: float = math.inf) -> bytes:
        """Call `get` with a deadline; return its result. Raises UnavailableError, also if `get` raises FetchError."""
        if self._settings.offline:
            raise UnavailableError("AIA_STORE_OFFLINE is set")
        proxy = self.proxy_to(url)
        if self._failures.url_is_paused(url, proxy):
            raise UnavailableError("it failed recently and is not tried again yet")
        began = time.monotonic()
        if began >= self._deadline:
            raise UnavailableError("the time for all fetches is over")
        deadline = min(self._deadline, began + min(SECONDS, seconds))
        try:
            body = get(deadline)
        except fetch.FetchError as error:
            if was_fair(began, deadline, SECONDS):
                self._failures.blame(url, error, proxy)
            raise UnavailableError(str(error)) from error
        self._failures.forgive(url, proxy)
        return body


def was_fair(began: float, deadline: float, usual: float) -> bool:
    """Whether a fetch that has just failed had enough time. If other fetches used it up, the host is not to blame.

    `began` and `deadline` are on the monotonic clock; `usual` is how many seconds a fetch usually has.
    """
    return time.monotonic() < deadline or deadline - began >= min(Budget.fair_seconds, usual / 2)
