"""The revocation lists in the settings: files or URLs with OneCRL (JSON) or the CCADB's report (CSV).

A copy of each readable list is kept. If the list cannot be read later, its copy is used.
"""

from __future__ import annotations

import os

from ...inside.pauses import digest_of
from ...inside.settings import Settings
from ...inside.store import KEPT_LISTS, Folder, read_regular_file
from ..documents import DocumentError, MisnamedError, contents
from ..download import Downloader
from ..words import day
from . import onecrl, revoked_report

MOST_BYTES = 32 << 20
MOST_DIGESTS = 100_000  # of all lists


def read_all(settings: Settings, folder: Folder, downloader: Downloader) -> tuple[dict[bytes, str], list[str]]:
    """Read every list, or its last copy. Returns why certificates are revoked, by digest, and notes on failures."""
    reasons: dict[bytes, str] = {}
    notes = []
    for source in settings.revocation_lists:
        try:
            content = contents(source, settings, downloader, MOST_BYTES)
            found, bad = _parsed(content)
        except DocumentError as error:
            kept, remark = _kept(folder, source)
            reasons |= kept
            advice = "; correct AIA_STORE_REVOCATION_LISTS" if isinstance(error, MisnamedError) else ""
            notes.append(f"{source}: {error}{advice}; {remark}")
            continue
        reasons |= found
        if bad:
            notes.append(f"{source}: {bad} entries cannot be read and were left out")
        try:
            folder.write(content, KEPT_LISTS, digest_of(source))
        except OSError as error:
            notes.append(f"{source}: no copy can be kept ({error.strerror})")
    if len(reasons) > MOST_DIGESTS:
        notes.append(f"the revocation lists are too long; {MOST_DIGESTS} of {len(reasons)} entries are used")
        reasons = dict(list(reasons.items())[:MOST_DIGESTS])
    return reasons, notes


def _parsed(content: bytes) -> tuple[dict[bytes, str], int]:
    """Why certificates are revoked, by their digest, and how many entries are unreadable. Raises DocumentError."""
    reasons: dict[bytes, str] = {}
    bad = 0
    try:
        if content.lstrip()[:1] in (b"{", b"["):
            entries = ((onecrl.REASON, onecrl.digests(record)) for record in onecrl.records(content))
        else:
            entries = ((reason, revoked_report.digests(row)) for reason, row in revoked_report.rows(content))
    except ValueError as error:
        raise DocumentError(
            f"it is neither OneCRL as JSON nor a report of the CCADB about revocation ({error})"
        ) from error
    for reason, digests in entries:
        try:
            reasons.update(dict.fromkeys(digests, reason))
        except ValueError:
            bad += 1
    if bad and not reasons:
        raise DocumentError("not one of its entries can be read")
    return reasons, bad


def _kept(folder: Folder, source: str) -> tuple[dict[bytes, str], str]:
    """The reasons in the copy of a list (certificate digest to why it is revoked), and a remark on its date."""
    path = os.path.join(folder.path, KEPT_LISTS, digest_of(source))
    try:
        found, _ = _parsed(read_regular_file(path, MOST_BYTES))
        return found, f"what it said on {day(os.stat(path).st_mtime)} is used"
    except (OSError, DocumentError):
        return {}, "nothing of it is known"
