"""The command that says what is wrong with a server's chain, and what its owner should do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.text import Text
from rich.tree import Tree

from .. import config, probe
from ..pki import roots
from . import output
from .errors import WrongUseError, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..der import Certificate


class FullchainError(Exception):
    """The full chain cannot be written; the message is one line that says why."""


@click.command("check", short_help="Say what is wrong with a server's chain.")
@click.argument("hosts", nargs=-1, required=True, metavar="HOST[:PORT]...")
@click.option("--fullchain", type=click.Path(dir_okay=False), help="Write what the owner should install (PEM) here.")
@output.json_option
def check_command(hosts: tuple[str, ...], fullchain: str | None, as_json: bool) -> None:
    """Say what a server sends, what is missing, where it was found, and what its owner should do.

    Status 0: every chain is complete; 1: one is not, or a host cannot be asked.
    """
    if fullchain is not None and len(hosts) != 1:
        raise click.UsageError("--fullchain is for one host at a time")
    settings = config.load()
    source = roots.source(settings)
    anchors = roots.load(source)
    try:
        targets = [probe.parse_target(host) for host in hosts]
    except probe.TargetError as error:
        raise WrongUseError(str(error)) from error
    findings: list[probe.Finding] = []
    answers: list[dict[str, object]] = []
    for target in targets:
        try:
            with output.console(stderr=True).status(Text(f"asking {probe.address(*target)}…")):
                finding = probe.probe(*target, settings, anchors)
        except probe.ProbeError as error:
            report(error)
            answers.append({"host": target[0], "port": target[1], "error": str(error)})
            continue
        findings.append(finding)
        answers.append(_as_json(finding, offline=settings.offline))
        if not as_json:
            output.console().print(_tree(finding, source.path))
            for line in _verdict(finding, offline=settings.offline):
                output.say(line)
    if as_json:
        output.print_json(answers)
    if fullchain is not None and findings:
        _write_fullchain(findings[0], fullchain)
    if len(findings) < len(targets) or any(
        finding.refusal is not None or finding.hangs_on_revoked for finding in findings
    ):
        raise click.exceptions.Exit(1)


def _source(certificate: Certificate, finding: probe.Finding) -> str:
    """Where a certificate of the path came from, in words."""
    if certificate == finding.chain.leaf or certificate in finding.chain.sent:
        return "sent"
    if finding.path is not None and certificate in finding.path.sources:
        return f"fetched from {output.harmless(finding.path.sources[certificate])}"
    return "from the store" if certificate in finding.stored else "trusted here"


def _tree(finding: probe.Finding, roots_path: str) -> Tree:
    tree = Tree(Text(finding.address, style="bold"))
    branch = tree
    path = finding.path.certificates if finding.path is not None else [finding.chain.leaf]
    for certificate in path:
        is_anchor = finding.path is not None and certificate is path[-1]
        if is_anchor:
            mark, note = ("◆ ", "cyan"), f"trust anchor, in {roots_path}"
        elif certificate in finding.missing and certificate not in finding.chain.sent:
            mark, note = ("✗ ", "bold red"), f"NOT SENT; {_source(certificate, finding)}"
        elif finding.chain.is_hopeless():
            mark, note = ("✗ ", "bold red"), f"sent, but {_fault(certificate, finding)}"
        else:
            mark, note = ("✓ ", "green"), "sent"
        expiry = f"until {output.day(certificate.validity[1])}"
        branch = branch.add(Text.assemble(mark, output.subject(certificate), (f"  {note}, {expiry}", "dim")))
    if finding.path is None and not finding.revoked and not finding.chain.is_hopeless():
        branch.add(Text.assemble(("✗ ", "bold red"), f"{output.issuer(path[-1])}", ("  not found", "dim")))
    for certificate in finding.revoked:
        if certificate not in finding.chain.sent:
            note = f"  found, but {_fault(certificate, finding)}"
            tree.add(Text.assemble(("✗ ", "bold red"), output.subject(certificate), (note, "dim")))
    for certificate in finding.chain.sent if not finding.chain.is_hopeless() else ():
        if certificate not in path:
            note = f"  sent, but no part of the path: {_fault(certificate, finding)}"
            tree.add(Text.assemble(("? ", "yellow"), output.subject(certificate), (note, "dim")))
    for url, reason in finding.failed.items():
        tree.add(Text.assemble(("! ", "yellow"), output.harmless(url), (f"  {output.harmless(reason)}", "dim")))
    return tree


def _fault(certificate: Certificate, finding: probe.Finding) -> str:
    if certificate in finding.revoked:
        return f"revoked {output.harmless(finding.revoked[certificate])}"
    if not certificate.validity[0] <= finding.chain.now <= certificate.validity[1]:
        return "out of its time"
    if certificate.is_self_signed:
        return "self-signed" if certificate == finding.chain.leaf else "a root, which clients do not need"
    return "not needed"


def _verdict(finding: probe.Finding, *, offline: bool) -> Iterator[str]:
    """What it comes to, in words, and what to do."""
    if finding.hangs_on_revoked:
        for certificate in finding.revoked:
            yield f"Revoked: {output.subject(certificate)}, {output.harmless(finding.revoked[certificate])}."
        if finding.refusal is None:
            yield "Programs that do not look at revocation connect all the same; browsers do not."
        yield "Its owner needs a certificate from another intermediate."
        return
    if finding.refusal is None:
        yield "Complete: every client that trusts the root can connect."
        return
    if finding.path is None:
        if finding.chain.is_hopeless():
            yield f"Broken: {finding.refusal}. The chain is not what is wrong."
            yield _remedy(finding)
            return
        yield f"Broken: {finding.refusal}. No path to a trust anchor was found."
        if not output.ca_issuers(finding.chain.leaf):
            yield "The certificate names no URL of its issuer (AIA) that can be read, so nobody can look it up."
        elif offline:
            yield "Nothing was fetched: AIA_STORE_OFFLINE is set."
        return
    count = len(finding.missing)
    if finding.completed_refusal is not None and not count:
        yield f"Broken: {finding.completed_refusal}. The chain is not what is wrong."
        yield _remedy(finding)
        return
    if finding.completed_refusal is not None:
        yield f"Broken: {finding.completed_refusal}. Besides, intermediates are missing: {count}."
    elif count:
        yield f"Incomplete: {count} intermediate{'s' * (count > 1)} must be looked up ({finding.refusal})."
    else:
        yield f"Wrong: a certificate that is sent stands in the way of the right one ({finding.refusal})."
    if finding.completed_refusal is None:
        yield "Browsers do that, and Python under the hook; curl, git, Node and plain Python refuse this server."
    yield f"Its owner should install the full chain: aia-store check {finding.address} --fullchain FILE"


def _remedy(finding: probe.Finding) -> str:
    """What to do where the chain is not what is wrong."""
    leaf, now = finding.chain.leaf, finding.chain.now
    if leaf.validity[1] < now:
        return f"Its owner should renew the certificate, which ended on {output.day(leaf.validity[1])}."
    if leaf.validity[0] > now:
        return f"The certificate begins on {output.day(leaf.validity[0])}; is the clock of this machine right?"
    if leaf.is_self_signed:
        return "Its owner should get a certificate from a CA; until then, clients must be given this one to trust."
    return f"Its owner should get a certificate that is good for {output.harmless(finding.host)}."


def _as_json(finding: probe.Finding, *, offline: bool) -> dict[str, object]:
    path = finding.path.certificates if finding.path is not None else []
    return {
        "host": finding.host,
        "port": finding.port,
        "complete": finding.refusal is None and not finding.hangs_on_revoked,
        "refusal": finding.refusal,
        "refusal_when_completed": finding.completed_refusal,
        "verdict": " ".join(_verdict(finding, offline=offline)),
        "path": [_certificate(certificate) | {"source": _source(certificate, finding)} for certificate in path],
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


def _write_fullchain(finding: probe.Finding, path: str) -> None:
    if finding.path is None:
        raise FullchainError(f"{path} was not written: no path to a trust anchor was found")
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(finding.fullchain)
    except OSError as error:
        raise FullchainError(f"{path} cannot be written ({error.strerror})") from error
    count = len(finding.path.intermediates)
    click.echo(f"wrote {path}: the leaf and {count} intermediate{'s' * (count != 1)}", err=True)
