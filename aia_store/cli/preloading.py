"""The command preload."""

from __future__ import annotations

import click

from ..inside import settings as config
from ..manager import preload
from ..manager.preload import DEFAULT, MisnamedReportError, PreloadReport, Skipped
from ..manager.words import one_line
from . import output
from .errors import WrongUseError, report, say

MOST_NAMED = 5  # skipped certificates, for each reason
LONGEST_NAME = 200  # characters of a name in a report


@click.command("preload")
@click.argument("sources", nargs=-1, metavar="[FILE|FOLDER|URL...]")
@output.json_option
def preload_command(sources: tuple[str, ...], as_json: bool) -> None:
    """Learn the intermediates in reports of the CCADB, files or URLs; by default, in the CCADB's current report.

    The CCADB is the Common CA Database, which browser vendors run. A folder is a mirror made by the tool upki, or
    upki's cache; a URL that ends with /manifest.json names such a mirror.

    A certificate is kept if it leads to a trust anchor of this machine, is fit for TLS servers and not revoked. Python
    programs with the hook find it, and it is in the trust folder (`aia-store bundle --folder`), but it enters the CA
    bundle only once a handshake on this machine needed it; `aia-store add` puts a whole report into the bundle. The
    status is 1 if a report cannot be read completely, and 2 if it does not exist.
    """
    settings = config.load()
    with output.progress("Verifying") as progress:
        found = preload.run(sources or (DEFAULT,), settings, progress)
    if as_json:
        output.print_json(
            {
                "new": found.new,
                "known": found.known,
                "skipped": [_skipped(one) for one in found.skipped],
                "found": found.found,
                "faults": [str(fault) for fault in found.faults],
                "notes": found.notes,
            }
        )
    elif len(found.faults) < len(sources or (DEFAULT,)) or found.new or found.known or found.skipped:
        _print(found)
    status = 0
    for fault in found.faults:
        is_misnamed = isinstance(fault, MisnamedReportError)
        status = max(status, report(WrongUseError(str(fault)) if is_misnamed else fault))
    if status:
        raise click.exceptions.Exit(status)


def _print(found: PreloadReport) -> None:
    for line in found.found:
        click.echo(one_line(line))
    by_reason: dict[str, list[Skipped]] = {}
    for one in found.skipped:
        by_reason.setdefault(one.reason, []).append(one)
    for reason, skipped in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        click.echo(f"{len(skipped):,} skipped: {output.harmless(reason)}")
        for one in skipped[:MOST_NAMED]:
            click.echo(f"    {_name(one) if one.certificate is None else output.subject(one.certificate)}")
        if len(skipped) > MOST_NAMED:
            click.echo(f"    and {len(skipped) - MOST_NAMED:,} more; `--json` names all")
    for note in found.notes:
        say(note)
    click.echo(f"{found.new:,} new, {found.known:,} preloaded before, {len(found.skipped):,} skipped.")


def _name(one: Skipped) -> str:
    return one_line(one.name)[:LONGEST_NAME]


def _skipped(one: Skipped) -> dict[str, str | None]:
    certificate = one.certificate
    return {
        "name": _name(one),
        "sha256": certificate.fingerprint if certificate is not None else None,
        "subject": output.long_name(certificate.subject) if certificate is not None else None,
        "reason": one.reason,
    }
