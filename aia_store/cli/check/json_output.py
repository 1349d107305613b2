"""Answers as JSON, for programs: one array, printed as the answers come. docs/check.schema.json is its schema."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

import click

from ...check import views as clients
from ...check.asked import FileTarget, Target
from ...check.connection import Seen
from ...check.finding import Finding
from ...inside.certificate import Certificate
from .. import output
from .advice import sentences, source_of
from .result import Answer, Here, Result


class Document:
    """Prints one array of answers."""

    def __init__(self, here: Here, *, details: bool = False) -> None:
        """`details`: whether to print all fields of each certificate."""
        self._here = here
        self._details = details
        self._is_empty = True

    def add(self, answers: Sequence[Answer]) -> None:
        """Print the answers for one host."""
        for answer in answers:
            text = json.dumps(as_json(answer, self._here, details=self._details), indent=2, ensure_ascii=False)
            click.echo(("[\n" if self._is_empty else ",\n") + textwrap.indent(text, "  "), nl=False)
            self._is_empty = False

    def end(self) -> None:
        """Close the array."""
        click.echo("[]" if self._is_empty else "\n]")


def as_json(answer: Answer, here: Here, *, details: bool = False) -> dict[str, object]:
    """One answer."""
    target, finding = answer.target, answer.finding
    host = target if isinstance(target, Target) else None
    head: dict[str, object] = {
        "target": output.harmless(answer.named),
        "host": host.host if host is not None else None,
        "port": host.port if host is not None else None,
        "file": output.harmless(target.path) if isinstance(target, FileTarget) else None,
        "result": answer.result,
    }
    if finding is None or target is None:
        return head | {"error": output.harmless(answer.error or "")}
    seen = finding.seen
    reached = [_link(certificate, finding, details=details) for certificate in finding.drawn]
    return head | {
        "servername": output.harmless(finding.target.name),
        "connected_to": _connected_to(host, seen) if host is not None else None,
        "starttls": host.starttls if host is not None else None,
        "key": finding.key_kind,
        "handshake": {"failure": seen.failure, "asks_client": seen.asks_client} if host is not None else None,
        "weakness": next(iter(finding.weaknesses), None),
        "complete": answer.result in (Result.COMPLETE, Result.ENDING),
        "faults": [str(fault) for fault in finding.faults],
        "refusal": finding.refusal,
        "refusal_when_completed": finding.installed_refusal,
        "verdict": " ".join(sentences(answer, here)),
        "expiry": {
            "not_after": output.timestamp(finding.ends),
            "days_left": min(map(finding.days_left, finding.links)),
        },
        "path": reached if finding.path is not None else [],
        "reached": reached,
        "missing": [certificate.fingerprint for certificate in finding.missing],
        "sent": [output.described(certificate) for certificate in (finding.chain.leaf, *finding.chain.sent)],
        "advice": [
            {
                "about": advice.about,
                "certificates": [link.fingerprint for link in advice.certificates],
                "bytes": advice.size,
            }
            for advice in finding.advice
        ],
        "failed": {output.harmless(url): output.harmless(reason) for url, reason in finding.failed.items()},
        "revoked": {link.fingerprint: output.harmless(reason) for link, reason in finding.revoked_links.items()},
        "views": [
            {"client": view.client, "rule": view.rule, "works": view.works, "why": output.harmless(view.why)}
            for view in clients.of(finding)
        ],
    }


def _connected_to(target: Target, seen: Seen) -> dict[str, object]:
    host, port = target.place
    return {"host": host, "port": port, "address": seen.address, "proxy": seen.proxy}


def _link(certificate: Certificate, finding: Finding, *, details: bool) -> dict[str, object]:
    status = finding.asked.get(certificate)
    more: dict[str, object] = {}
    if details:
        from . import details as all_in  # which takes a moment to import

        more["details"] = all_in.as_json(certificate)
    return (
        output.described(certificate)
        | more
        | {
            "source": source_of(certificate, finding),
            "days_left": finding.days_left(certificate),
            "revoked": status.is_revoked if status is not None else None,
            "revocation": output.harmless(status.reason) if status is not None else None,
        }
    )
