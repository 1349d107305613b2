"""Learn intermediates before any handshake needs them: those in the CCADB's reports that lead to a trust anchor here.

Handshakes can use these *preloaded* intermediates. They enter the bundle once a handshake has needed them (see
`inside/store.py`). Each refresh verifies them again. A report is only believed if it calls a certificate revoked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..inside.certificate import Certificate, readable, sha256
from ..inside.pauses import Failures
from ..inside.settings import Settings
from ..inside.store import IntermediateStore, sound_store
from . import mirror, reports, roots
from .admission import Admission, CrowdedError, is_parsed
from .ccadb import ReportError
from .documents import DocumentError, MisnamedError, contents
from .download import Downloader
from .revocation.record import Reason
from .revocation.update import known
from .snapshot import fingerprints

#: The intermediates that are neither expired nor revoked and lead to a root that Mozilla trusts for web sites.
DEFAULT = "https://ccadb.my.salesforce-sites.com/mozilla/MozillaIntermediateCertsCSVReport"
MOST_BYTES = 64 << 20  # of one report
SECONDS = 300.0  # for all fetches


class PreloadError(Exception):
    """A report cannot be fetched or read, or a certificate cannot be kept. The message, one line, says what to do."""


class MisnamedReportError(PreloadError):
    """The report cannot exist: there is no such file, or the URL's scheme is not http or https."""


class Skipped(NamedTuple):
    """A certificate in a report that was not kept, and why; `certificate` is None if it could not be read."""

    name: str  # its name in the report, which must be escaped
    certificate: Certificate | None
    reason: str


class PreloadReport(NamedTuple):
    """What was done: how many certificates are new, how many were preloaded before, and which were skipped.

    `found` describes each mirror. `faults` say which reports could not be read, wholly or in part. `notes` say which
    revocation lists could not be read.
    """

    new: int
    known: int
    skipped: list[Skipped]
    found: list[str]
    faults: list[PreloadError]
    notes: list[str]


def run(
    sources: Iterable[str], settings: Settings, progress: Callable[[int, int], None] = lambda done, total: None
) -> PreloadReport:
    """Keep the intermediates in these sources (CCADB reports or mirrors) that lead to a trust anchor here.

    A source is a file, a folder, or an http or https URL. If a part of a source cannot be read, the rest and the other
    sources still are. `progress` is called with the number of finished new certificates and the total. Raises
    StoreError, RootsError, and PreloadError if the store cannot be written.
    """
    store = sound_store(settings, to_write=True)
    home = store.home
    assert home is not None  # otherwise sound_store raises
    anchors = roots.load(roots.source(settings))
    downloader = Downloader(settings, Failures(home, patient=False), time.monotonic() + SECONDS)
    entries: list[reports.Entry] = []
    found: list[str] = []
    faults: list[PreloadError] = []
    for source in sources:
        try:
            report = _read(source, settings, downloader)
        except PreloadError as error:
            faults.append(error)
            continue
        entries += report.entries
        if report.found is not None:
            found.append(f"{source}: {report.found}")
        if report.fault is not None:
            faults.append(PreloadError(f"{source}: {report.fault}"))
    revocation = known(settings, home, downloader)
    this = _Run(store)
    this.keep(this.sift(entries), anchors, revocation.reason, progress)
    return PreloadReport(this.new, this.known, this.skipped, found, faults, revocation.notes)


def _read(source: str, settings: Settings, downloader: Downloader) -> reports.Contents:
    """Read a report or a mirror. Raises PreloadError."""
    try:
        manifest = mirror.manifest_of(source)
        if manifest is not None:
            return mirror.read(manifest, lambda place, most: contents(place, settings, downloader, most))
        report = reports.read(contents(source, settings, downloader, MOST_BYTES))
        fault = f"{report.fault}; what comes before was read" if report.fault is not None else None
        return report._replace(fault=fault)
    except MisnamedError as error:
        raise MisnamedReportError(f"{source}: {error}") from error
    except DocumentError as error:
        raise PreloadError(f"{source}: {error}") from error
    except ReportError as error:
        raise PreloadError(f"{source}: {error}; of the CCADB's reports, {reports.LAYOUTS} can be read") from error


class _Run:
    """One run over the entries of all reports."""

    def __init__(self, store: IntermediateStore) -> None:
        self._store = store
        self._stored = fingerprints(store.preloaded)
        self._revoked: dict[str, str] = {}  # according to the reports
        self._beside: list[Certificate] = []  # in the reports and not yet preloaded, revoked or not
        self.new = self.known = 0
        self.skipped: list[Skipped] = []

    def sift(self, entries: list[reports.Entry]) -> dict[Certificate, str]:
        """The certificates that are not preloaded and that no report calls revoked, each with its name in a report."""
        offered = {}
        self._revoked = {sha256(entry.der): entry.revoked for entry in entries if entry.der and entry.revoked}
        for entry in {entry.der or entry: entry for entry in entries}.values():
            if entry.der is None:
                self.skipped.append(Skipped(entry.name, None, "its row holds no certificate in PEM"))
                continue
            digest = sha256(entry.der)
            if digest in self._stored and digest not in self._revoked:
                self.known += 1
                continue
            certificate = next(readable([entry.der]), None)
            if certificate is not None:
                self._beside.append(certificate)
            if digest in self._revoked:
                self.skipped.append(Skipped(entry.name, certificate, f"it is revoked {self._revoked[digest]}"))
            elif certificate is None or not is_parsed(certificate):
                self.skipped.append(Skipped(entry.name, None, "it cannot be parsed"))
            else:
                offered[certificate] = entry.name
        return offered

    def keep(
        self,
        offered: dict[Certificate, str],
        anchors: list[Certificate],
        reason: Reason,
        progress: Callable[[int, int], None],
    ) -> None:
        """Keep each certificate that can be verified, and note why others cannot. `reason` says why one is revoked."""
        admission = Admission(
            self._store,
            anchors,
            lambda certificate, issuer: self._revoked.get(certificate.fingerprint) or reason(certificate, issuer),
            self._beside,
        )
        try:
            for done, (certificate, name) in enumerate(offered.items()):
                progress(done, len(offered))
                refusal = admission.refusal(certificate)
                if refusal is None:
                    self.new += 1
                else:
                    self.skipped.append(Skipped(name, certificate, refusal))
        except CrowdedError as error:
            raise PreloadError(str(error)) from error
        except OSError as error:
            where = admission.home.path
            raise PreloadError(f"{where} cannot be written ({error.strerror}); what was kept before stays") from error
        admission.save()
        progress(len(offered), len(offered))
