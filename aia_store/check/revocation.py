"""What the CRLs say of each certificate of one path, even if the certificate is not in the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ..inside.certificate import Certificate
from ..inside.pauses import Failures
from ..inside.settings import Settings
from ..inside.store import IntermediateStore
from ..manager.download import Downloader
from ..manager.revocation.crls import CRLs
from ..manager.revocation.points import crl_urls

SECONDS = 60.0  # for all CRLs of one host


class CRLStatus(NamedTuple):
    """Whether one certificate is revoked (None if unknown), and why, in words."""

    is_revoked: bool | None
    reason: str


def ask(path: Sequence[Certificate], settings: Settings, store: IntermediateStore) -> dict[Certificate, CRLStatus]:
    """What the issuers' CRLs say of the leaf and the intermediates of a path (from the leaf to the trust anchor)."""
    home = store.home
    if home is None:
        return {}
    failures = Failures(home, patient=False)
    source = CRLs(home, failures, Downloader(settings, failures, time.monotonic() + SECONDS))
    return {subject: _status(source, subject, issuer) for subject, issuer in pairwise(path)}


def _status(source: CRLs, subject: Certificate, issuer: Certificate) -> CRLStatus:
    urls = crl_urls(subject)
    if not urls:
        return CRLStatus(None, "it names no CRL")
    current, fault, expired = source.obtain(urls, issuer, of_leaf=not subject.basic_constraints[0])
    crl = current or expired  # what was revoked in an expired CRL can hardly be valid again
    reason = crl.reason(subject) if crl is not None else None
    if reason is not None:
        return CRLStatus(True, reason if fault is None else f"{reason} ({fault})")
    if current is None or fault is not None:
        return CRLStatus(None, fault or "its CRL cannot be fetched")
    return CRLStatus(False, "not revoked, according to its issuer's CRL")
