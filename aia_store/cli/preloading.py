"""The command that knows the world's intermediates beforehand: preload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..inside import settings as config
from ..manager.preload import DEFAULT, MisnamedReportError, preload
from ..manager.words import one_line
from . import output
from .errors import WrongUseError, report, say

if TYPE_CHECKING:
    from ..manager.preload import Outcome, Skipped

MOST_NAMED = 5  # of those that were skipped for one reason
LONGEST_NAME = 200  # that a report gives


@click.command("preload")
@click.argument("sources", nargs=-1, metavar="[FILE|FOLDER|URL...]")
@output.json_option
def preload_command(sources: tuple[str, ...], as_json: bool) -> None:
    """Know the intermediates in reports of the CCADB, files or URLs; without any, in the CCADB's current report.

    A folder is upki's cache or its mirror of the intermediates, as is a URL that ends with /manifest.json.

    Kept is what leads to a trust anchor of this machine, is fit for TLS servers and not revoked. It serves Python
    programs with the hook and is in the trust folder (`aia-store bundle --folder`). It enters the CA bundle only when a
    handshake here needed it; `aia-store add` puts what a report holds into the bundle, too. A report that cannot be
    read, or not to its end, makes the status 1; one that does not exist, 2.
    """
    settings = config.load()
    with output.progress("Verifying") as progress:
        found = preload(sources or (DEFAULT,), settings, progress)
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


def _print(found: Outcome) -> None:
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
