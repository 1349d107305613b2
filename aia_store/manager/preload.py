"""Know intermediates before any handshake needs them: those in the CCADB's reports that lead to a trust anchor here.

What is kept serves handshakes, and stands in no bundle before one needed it (see `store`). What was preloaded before
is not verified again: that is what a refresh is for. Nothing in a report is believed but that a certificate is
revoked.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from ..inside.certificate import readable
from ..inside.pauses import Failures
from ..inside.store import MOST_FILES, MOST_OF_ONE_NAME, crowded_note, sound_store
from . import mirror, reports, roots
from .documents import DocumentError, MisnamedError, contents
from .download import Downloader
from .fitness import unfitness
from .quiet import quietly
from .revocation.update import known
from .verified import Verified
from .verify import Verifier, VerifyError, remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..inside.certificate import Certificate
    from ..inside.settings import Settings
    from ..inside.store import Folder, Store
    from .verify import Reason

#: The intermediates that are neither expired nor revoked and lead to a root that Mozilla trusts for web sites.
DEFAULT = "https://ccadb.my.salesforce-sites.com/mozilla/MozillaIntermediateCertsCSVReport"
MOST_BYTES = 64 << 20  # of one report
SECONDS = 300.0  # for all that is fetched


class PreloadError(Exception):
    """A report that cannot be had, read or kept; the message is one line that names it and says what to do."""


class MisnamedReportError(PreloadError):
    """There can be no such report."""


class Skipped(NamedTuple):
    """What a report offered and was not kept; `certificate` is None where none could be read."""

    name: str  # what the report calls it, hostile until it is made harmless
    certificate: Certificate | None
    reason: str


class Outcome(NamedTuple):
    """What was done: how many are new, how many were preloaded before, and the others.

    `found` says of each mirror of upki's what it is; `faults` are for whole reports that could not be had or
    read, or not to their end; `notes` for revocation lists.
    """

    new: int
    known: int
    skipped: list[Skipped]
    found: list[str]
    faults: list[PreloadError]
    notes: list[str]


def preload(
    sources: Iterable[str], settings: Settings, progress: Callable[[int, int], None] = lambda done, total: None
) -> Outcome:
    """Keep what is fit of these reports of the CCADB, files or http or https URLs, and of upki's mirrors, folders too.

    One fault ends neither the others nor what can be read of its own report. `progress` is told how many of how many
    new certificates are done. Raises StoreError, RootsError, and PreloadError where the store cannot be written.
    """
    store = sound_store(settings, to_write=True)
    home = store.home
    assert home is not None  # or sound_store would have said so
    anchors = roots.load(roots.source(settings))
    downloader = Downloader(settings, Failures(home, patient=False), time.monotonic() + SECONDS)
    entries: list[reports.Entry] = []
    found: list[str] = []
    faults: list[PreloadError] = []
    for source in sources:
        try:
            what, report = _read(source, settings, downloader)
        except PreloadError as error:
            faults.append(error)
            continue
        entries += report.entries
        if what is not None:
            found.append(f"{source}: {what}")
        if report.fault is not None:
            faults.append(PreloadError(f"{source}: {report.fault}"))
    revocation = known(settings, home, downloader)
    run = _Run(store, home.preloaded)
    run.keep(run.sift(entries), anchors, revocation.reason, progress)
    return Outcome(run.new, run.known, run.skipped, found, faults, revocation.notes)


def _read(source: str, settings: Settings, downloader: Downloader) -> tuple[str | None, reports.Contents]:
    """What a mirror is, in words, None of a report; and what is in it. Raises PreloadError."""
    manifest = mirror.manifest_of(source)
    try:
        if manifest is not None:
            found = mirror.read(manifest, lambda place, most: contents(place, settings, downloader, most))
            return found.found, found.contents
        report = reports.read(contents(source, settings, downloader, MOST_BYTES))
        fault = f"{report.fault}; what stands before was read" if report.fault is not None else None
        return None, report._replace(fault=fault)
    except MisnamedError as error:
        raise MisnamedReportError(f"{source}: {error}") from error
    except DocumentError as error:
        raise PreloadError(f"{source}: {error}") from error
    except mirror.MirrorError as error:
        raise PreloadError(f"{source}: {error}") from error
    except reports.ReportError as error:
        raise PreloadError(f"{source}: {error}; of the CCADB's reports, {reports.LAYOUTS} can be read") from error


class _Run:
    """What becomes of what the reports offer."""

    def __init__(self, store: Store, home: Folder) -> None:
        self._store = store
        self._home = home
        names = (os.path.basename(path) for folder in store.preloaded for path in folder.paths())
        self._stored = {name.removesuffix(".pem") for name in names}
        self._revoked: dict[str, str] = {}  # by the reports' word
        self._beside: dict[bytes, list[Certificate]] = {}  # what else is in the reports, by subject
        self.new = self.known = 0
        self.skipped: list[Skipped] = []

    def sift(self, entries: list[reports.Entry]) -> dict[Certificate, str]:
        """What is neither preloaded nor revoked by a report's word, with what the report calls it."""
        offered = {}
        self._revoked = {_sha256(entry.der): entry.revoked for entry in entries if entry.der and entry.revoked}
        for entry in {entry.der or entry: entry for entry in entries}.values():
            if entry.der is None:
                self.skipped.append(Skipped(entry.name, None, "its row holds no certificate in PEM"))
                continue
            sha256 = _sha256(entry.der)
            if sha256 in self._stored and sha256 not in self._revoked:
                self.known += 1
                continue
            certificate = next(readable([entry.der]), None)
            if certificate is not None:
                namesakes = self._beside.setdefault(certificate.subject_key, [])
                if len(namesakes) < MOST_OF_ONE_NAME:
                    namesakes.append(certificate)
            if sha256 in self._revoked:
                self.skipped.append(Skipped(entry.name, certificate, f"it is revoked {self._revoked[sha256]}"))
            elif certificate is None or not _is_parsed(certificate):
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
        """Verify each, and keep it or note why not. `reason` says why one is revoked."""
        on_disk = remembered(self._store.find)
        verified = Verified(self._home, anchors)
        verifier = Verifier(
            anchors,
            lambda subject: [*self._beside.get(subject.issuer_key, ()), *on_disk(subject)],
            lambda certificate, issuer: self._revoked.get(certificate.fingerprint) or reason(certificate, issuer),
            verified,
        )
        for done, (certificate, name) in enumerate(offered.items()):
            progress(done, len(offered))
            refusal = unfitness(certificate) or _refusal(certificate, verifier)
            if refusal is None:
                self._keep_one(certificate)
            else:
                self.skipped.append(Skipped(name, certificate, refusal))
        verified.save()
        progress(len(offered), len(offered))

    def _keep_one(self, certificate: Certificate) -> None:
        if len(self._stored) + self.new >= MOST_FILES:
            raise PreloadError(f"{crowded_note(self._home)}; run `aia-store clear`")
        try:
            self._home.keep(certificate)
        except OSError as error:
            raise PreloadError(
                f"{self._home.path} cannot be written ({error.strerror}); what was kept before stays"
            ) from error
        self.new += 1


def _refusal(certificate: Certificate, verifier: Verifier) -> str | None:
    """Why a certificate leads to no trust anchor of this machine; None if it does."""
    try:
        verifier.path(certificate)
    except VerifyError as error:
        return str(error)
    return None


def _is_parsed(certificate: Certificate) -> bool:
    """Whether `cryptography`, which checks signatures here and is stricter than OpenSSL, can read it at all."""
    try:
        with quietly():
            x509.load_der_x509_certificate(certificate.der)
    except ValueError:
        return False
    return True


def _sha256(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()
