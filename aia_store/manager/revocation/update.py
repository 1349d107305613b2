"""Read the CRLs and the revocation lists, once per refresh, and note which certificates are revoked."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import NamedTuple

from ...inside.certificate import Certificate
from ...inside.pauses import Failures, digest_of
from ...inside.settings import Settings, escaped
from ...inside.store import KEPT_CRLS, KEPT_LISTS, Folder, folders_of
from .. import upkeep
from ..download import Downloader
from ..parallel import in_order
from ..turns import in_turn
from ..verify import Verifier, VerifyError
from ..words import counted
from . import lists
from .crls import CRLs
from .points import crl_urls, worth_fetching
from .record import Record, reader

MOST_CRLS = 2_000  # in one refresh
AT_ONCE = 8
SECONDS = 300.0  # for all fetches of one refresh


class Revocation:
    """Which certificates are known to be revoked after an update. `notes` say what could not be read, one line each."""

    def __init__(self, record: Record, elsewhere: Iterable[Folder], notes: list[str]) -> None:
        self._record = record
        self._elsewhere = reader(elsewhere)
        self.notes = notes

    def reason(self, certificate: Certificate, issuer: Certificate) -> str | None:
        """Why this certificate of this issuer is revoked, in words; None if it is not known to be revoked."""
        return self._record.reason(certificate, issuer) or self._elsewhere(certificate, issuer)


class _Wanted(NamedTuple):
    """A CRL to read, and the certificates that name it."""

    path: list[Certificate]  # of the first certificate that names it
    urls: list[str]
    subjects: list[Certificate]  # all certificates that name it

    @property
    def issuer(self) -> Certificate:
        return self.path[1]


class _Answer(NamedTuple):
    wanted: _Wanted
    reasons: dict[Certificate, str]
    others: set[bytes]
    fault: str | None


def run(settings: Settings, folder: Folder, certificates: Iterable[Certificate], verifier: Verifier) -> Revocation:
    """Find out which of these intermediates are revoked, note it in the folder, and make the verifier refuse them.

    If a CRL or list cannot be read, nothing is raised: a note says so, and what was known before stays known.
    """
    failures = Failures(folder)
    downloader = Downloader(settings, failures, time.monotonic() + SECONDS)
    listed, notes = lists.read_all(settings, folder, downloader)
    record = Record(folder, listed)
    elsewhere = [other for other in folders_of(settings) if other.path != folder.path and other.fault() is None]
    revocation = Revocation(record, elsewhere, notes)
    verifier.revoked = revocation.reason
    wanted = _wanted(certificates, verifier)
    if len(wanted) > MOST_CRLS:
        revocation.notes.append(f"there are {len(wanted)} CRLs to read; only {MOST_CRLS} were read")
    source = CRLs(folder, failures, downloader)
    answers = list(in_order(lambda one: _ask(source, one), wanted[:MOST_CRLS], AT_ONCE))
    downwards = sorted(answers, key=lambda answer: len(answer.wanted.path))  # the CRL of a revoked CA does not count
    faults = [fault for answer in downwards if (fault := _take(answer, revocation, record)) is not None]
    for answer in answers:  # again in turn, because the record has a limit
        if not _is_by_revoked(answer.wanted, revocation):
            record.add_others(answer.others)
    if settings.offline and faults:
        faults = [f"AIA_STORE_OFFLINE is set: {counted(len(faults), 'CRL')} could not be fetched"]
    revocation.notes += faults
    try:
        record.write()
    except OSError as error:
        revocation.notes.append(f"{folder.path} cannot be written ({error.strerror}); programs do not learn of this")
    _sweep(folder, KEPT_CRLS, [url for one in wanted for url in worth_fetching(one.urls)])
    _sweep(folder, KEPT_LISTS, settings.revocation_lists)
    # They contain URLs from certificates and text from hosts.
    revocation.notes[:] = map(escaped, revocation.notes)
    return revocation


def known(settings: Settings, folder: Folder, downloader: Downloader) -> Revocation:
    """What the lists say now, and what earlier refreshes noted in all store folders. Reads no CRL, notes nothing."""
    listed, notes = lists.read_all(settings, folder, downloader)
    sound = [one for one in folders_of(settings) if one.fault() is None]
    return Revocation(Record(folder, listed), sound, list(map(escaped, notes)))


def _wanted(certificates: Iterable[Certificate], verifier: Verifier) -> list[_Wanted]:
    """The CRLs that valid certificates name, each once, sorted by `in_turn`, those of higher CAs first."""
    found: dict[tuple[bytes, bytes, tuple[str, ...]], _Wanted] = {}
    for certificate in certificates:
        urls = crl_urls(certificate)
        if not urls:
            continue
        try:
            path = verifier.path(certificate)
        except VerifyError:
            continue
        key = (path[1].subject_key, path[1].public_key, tuple(urls))
        found.setdefault(key, _Wanted(path, urls, [])).subjects.append(certificate)
    return in_turn(sorted(found.values(), key=lambda one: len(one.path)), lambda one: one.path)


def _ask(source: CRLs, wanted: _Wanted) -> _Answer:
    crl, fault, _ = source.obtain(wanted.urls, wanted.issuer)
    if crl is None:
        return _Answer(wanted, {}, set(), fault)
    reasons = {subject: reason for subject in wanted.subjects if (reason := crl.reason(subject)) is not None}
    return _Answer(wanted, reasons, crl.digests(), fault)


def _take(answer: _Answer, revocation: Revocation, record: Record) -> str | None:
    """Note what a CRL says. If there is no current CRL, return a line on how many intermediates are kept without it."""
    wanted = answer.wanted
    if _is_by_revoked(wanted, revocation):
        return None
    for certificate, reason in answer.reasons.items():
        record.add(certificate, wanted.issuer, reason)
    left = len(wanted.subjects) - len(answer.reasons)
    if answer.fault is None or not left:
        return None
    return f"CRL {answer.fault}; {counted(left, 'intermediate')} kept without it"


def _is_by_revoked(wanted: _Wanted, revocation: Revocation) -> bool:
    """Whether the issuer of a CRL is known to be revoked. A trust anchor is never revoked."""
    return len(wanted.path) > 2 and revocation.reason(wanted.issuer, wanted.path[2]) is not None


def _sweep(folder: Folder, part: str, used: Iterable[str]) -> None:
    """Remove the copies in this part of the folder, except those of the URLs in `used`."""
    names = set(map(digest_of, used))
    for path, _ in upkeep.own_files(folder, part):
        if os.path.basename(path) not in names:
            upkeep.unlink(path)
