"""The command that says what is wrong with a server's chain, and what its owner should do."""

from __future__ import annotations

import click
from rich.text import Text

from ... import config, probe
from ...pki import roots
from .. import output
from ..errors import WrongUseError, report
from .document import as_json as document
from .fullchain import write_fullchain
from .tree import tree_of
from .words import verdict


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
        answers.append(document(finding, offline=settings.offline))
        if not as_json:
            output.console().print(tree_of(finding, source.path))
            for line in verdict(finding, offline=settings.offline):
                output.say(line)
    if as_json:
        output.print_json(answers)
    if fullchain is not None and findings:
        write_fullchain(findings[0], fullchain)
    if len(findings) < len(targets) or any(
        finding.refusal is not None or finding.hangs_on_revoked for finding in findings
    ):
        raise click.exceptions.Exit(1)
