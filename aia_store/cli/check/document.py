"""Answers as JSON, for programs: one array, printed as the answers come. docs/check.schema.json is its schema."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import click

from ...check import views as clients
from .. import output
from .answer import Result
from .verdict import sentences, source_of

if TYPE_CHECKING:
    from ...check import Finding
    from ...inside.certificate import Certificate
    from .answer import Answer


class Document:
    """Prints one array of answers."""

    def __init__(self, *, offline: bool) -> None:
        self._offline = offline
        self._is_empty = True

    def add(self, answer: Answer) -> None:
        """Print one answer."""
        text = json.dumps(as_json(answer, offline=self._offline), indent=2, ensure_ascii=False)
        click.echo(("[\n" if self._is_empty else ",\n") + textwrap.indent(text, "  "), nl=False)
        self._is_empty = False

    def end(self) -> None:
        """Close the array."""
        click.echo("[]" if self._is_empty else "\n]")


def as_json(answer: Answer, *, offline: bool) -> dict[str, object]:
    """One answer."""
    target, finding = answer.target, answer.finding
    head: dict[str, object] = {
        "target": output.harmless(answer.named),
        "host": target.host if target is not None else None,
        "port": target.port if target is not None else None,
        "result": answer.result,
    }
    if finding is None or target is None:
        return head | {"error": output.harmless(answer.error or "")}
    path = finding.path.certificates if finding.path is not None else []
    return head | {
        "servername": target.name,
        "connected_to": dict(zip(("host", "port"), target.place, strict=True)),
        "starttls": target.starttls,
        "complete": answer.result in (Result.COMPLETE, Result.ENDING),
        "faults": [str(fault) for fault in finding.faults],
        "refusal": finding.refusal,
        "refusal_when_completed": finding.completed_refusal,
        "verdict": " ".join(sentences(finding, answer.expiry_days, offline=offline)),
        "expiry": {
            "not_after": output.timestamp(finding.ends),
            "days_left": min(map(finding.days_left, finding.links)),
        },
        "path": [_link(certificate, finding) for certificate in path],
        "missing": [certificate.fingerprint for certificate in finding.missing],
        "sent": [output.described(certificate) for certificate in (finding.chain.leaf, *finding.chain.sent)],
        "failed": {output.harmless(url): output.harmless(reason) for url, reason in finding.failed.items()},
        "revoked": {link.fingerprint: output.harmless(reason) for link, reason in finding.revoked_links.items()},
        "views": [
            {"client": view.client, "rule": view.rule, "works": view.works, "why": output.harmless(view.why)}
            for view in clients.of(finding)
        ],
    }


def _link(certificate: Certificate, finding: Finding) -> dict[str, object]:
    """A certificate of the path."""
    status = finding.asked.get(certificate)
    return output.described(certificate) | {
        "source": source_of(certificate, finding),
        "days_left": finding.days_left(certificate),
        "revoked": status.is_revoked if status is not None else None,
        "revocation": output.harmless(status.reason) if status is not None else None,
    }
