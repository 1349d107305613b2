"""A finding as JSON, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import output
from .words import source_of, verdict

if TYPE_CHECKING:
    from ... import probe
    from ...der import Certificate


def as_json(finding: probe.Finding, *, offline: bool) -> dict[str, object]:
    path = finding.path.certificates if finding.path is not None else []
    return {
        "host": finding.host,
        "port": finding.port,
        "complete": finding.refusal is None and not finding.hangs_on_revoked,
        "refusal": finding.refusal,
        "refusal_when_completed": finding.completed_refusal,
        "verdict": " ".join(verdict(finding, offline=offline)),
        "path": [_certificate(certificate) | {"source": source_of(certificate, finding)} for certificate in path],
        "missing": [certificate.fingerprint for certificate in finding.missing],
        "sent": [_certificate(certificate) for certificate in (finding.chain.leaf, *finding.chain.sent)],
        "failed": finding.failed,
        "revoked": {certificate.fingerprint: reason for certificate, reason in finding.revoked.items()},
    }


def _certificate(certificate: Certificate) -> dict[str, object]:
    return {
        "sha256": certificate.fingerprint,
        "subject": output.long_name(certificate.subject),
        "issuer": output.long_name(certificate.issuer),
        "not_before": output.timestamp(certificate.validity[0]),
        "not_after": output.timestamp(certificate.validity[1]),
    }
