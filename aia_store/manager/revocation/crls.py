"""The CRLs that certificates name. They are fetched, verified, and kept in the store folder until the next one is due.

A CRL on disk is verified again each time it is read. If it has expired and no newer one can be fetched, the
certificates that it revoked stay revoked.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import NamedTuple

from ...inside.certificate import Certificate, sha256
from ...inside.pauses import Failures, digest_of, key_of, longest_pause
from ...inside.store import KEPT_CRLS, Folder, read_regular_file
from .. import download
from ..download import UnavailableError
from .crl import CRL, CRLError, ExpiredError
from .points import worth_fetching

MOST_BYTES = 5_000_000  # of a CRL


class Obtained(NamedTuple):
    """A CRL, or the reason why there is no current one."""

    crl: CRL | None
    fault: str | None  # why there is no current one, with the URL
    expired: CRL | None = None  # if there is none: one that is genuine, but has expired


class CRLs:
    """Gets CRLs from the store folder or the network. Threads may share it."""

    def __init__(self, folder: Folder, failures: Failures, downloader: download.Downloader) -> None:
        self._folder = folder
        self._failures = failures
        self._downloader = downloader

    def obtain(self, urls: list[str], issuer: Certificate, *, of_leaf: bool = False) -> Obtained:
        """Get this issuer's CRL from the first of these URLs that has it; all of them are URLs of the same CRL.

        The CRL must be about all CA certificates; if `of_leaf`, about all end-entity certificates.
        """
        wanted = worth_fetching(urls)
        if not wanted:
            return Obtained(None, f"{urls[0]}: the fetch policy does not allow it (plain http only)")
        old: CRL | None = None
        for url in wanted:
            kept, is_current = self._kept(url, issuer, urls, of_leaf)
            if is_current:
                return Obtained(kept, None)
            old = old or kept
        faults, expired = [], None
        # One deadline for all URLs, so that no certificate takes several times as long.
        deadline = time.monotonic() + download.SECONDS
        for at, url in enumerate(wanted):
            seconds = (deadline - time.monotonic()) / (len(wanted) - at)
            try:
                since = old.this_update if old is not None else 0.0
                return Obtained(self._fetched(url, issuer, urls, of_leaf, seconds, since), None)
            except (CRLError, UnavailableError) as error:
                faults.append(f"{url}: {error}")
                expired = expired or (error.crl if isinstance(error, ExpiredError) else None)
        if old is not None:
            return Obtained(old, f"{faults[0]}; the previous one is used")
        return Obtained(None, faults[0], expired)

    def _kept(self, url: str, issuer: Certificate, urls: list[str], of_leaf: bool) -> tuple[CRL | None, bool]:
        """The valid CRL that was fetched from this URL and is on disk, or None; and whether it is still current."""
        path = os.path.join(self._folder.path, KEPT_CRLS, digest_of(url))
        try:
            fetched = os.stat(path).st_mtime
            crl = CRL(read_regular_file(path, MOST_BYTES), issuer, urls, of_leaf=of_leaf)
        except (OSError, CRLError):
            return None, False
        return crl, max(fetched, crl.this_update) <= time.time() < crl.serves_until(fetched)

    def _fetched(
        self, url: str, issuer: Certificate, urls: list[str], of_leaf: bool, seconds: float, since: float
    ) -> CRL:
        # Noted for this issuer only: otherwise a hostile CA could name the URL of an honest one, and so block it.
        # Noted for this route only: a proxy may have put a page of its own in place of the CRL.
        proxy = self._downloader.proxy_to(url)
        whose = sha256(issuer.public_key)
        useless = f"{key_of(url, proxy)} for {'leaves' if of_leaf else 'CRLs'} of {whose}"
        if self._failures.paused(useless):
            raise CRLError("it was useless recently and is not fetched again yet")
        content = self._downloader.plain(url, MOST_BYTES, seconds)
        try:
            crl = CRL(content, issuer, urls, of_leaf=of_leaf)
            crl.check_dates()
            if crl.this_update < since:  # anybody on the network could replay it, as long as it is valid
                raise CRLError("it is older than the previous one")
        except CRLError:
            self._failures.failed(useless, longest_pause(proxy))
            raise
        self._failures.succeeded(useless)
        with contextlib.suppress(OSError):  # it will be fetched again next time
            self._folder.write(content, KEPT_CRLS, digest_of(url))
        return crl
