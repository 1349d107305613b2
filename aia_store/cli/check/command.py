"""The command that says what is wrong with the chains of servers, and what their owners should do."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Protocol

import click

from ... import check as probe
from ...check import many
from ...check.starttls import PROTOCOLS
from ...inside import settings as config
from ...manager import roots
from ...manager.words import counted, one_line
from .. import output
from ..files import appearing
from .answer import Answer, Result, exit_status
from .document import Document
from .fullchain import write_fullchain
from .page import Page
from .prometheus import Metrics
from .shown import Shown
from .targets import How, named

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_AT_ONCE = 256  # each holds a few descriptors, of which a process mostly has 1,024

_file = click.Path(dir_okay=False)


class Report(Protocol):
    """Something that is made of the answers: it hears of each in its order, and that there are no more."""

    def add(self, answer: Answer) -> None: ...

    def end(self) -> None: ...


@click.command("check")
@click.argument("hosts", nargs=-1, metavar="HOST[:PORT]...")
@click.option("--file", "file", metavar="FILE", help="Ask the hosts in FILE too, one a line; - is standard input.")
@click.option("--starttls", type=click.Choice(list(PROTOCOLS)), help="Ask for TLS in this protocol, at its port.")
@click.option("--servername", metavar="NAME", help="Ask for this name, and verify it, instead of the host's.")
@click.option("--connect", metavar="HOST[:PORT]", help="Connect there, whichever host was named.")
@click.option("--revocation", is_flag=True, help="Ask the CRL of every certificate of the chain.")
@click.option(
    "--expiry-days", type=click.IntRange(min=0), default=0, metavar="N", help="Fail if it ends within N days."
)
@click.option("--fullchain", type=_file, help="Write what the owner should install (PEM) here.")
@click.option("--html", type=_file, help="Write a report with the chains drawn here: one file, to show around.")
@click.option("--prometheus", type=_file, help="Write metrics here, for the node exporter's textfile collector.")
@click.option("--jobs", type=click.IntRange(1, MOST_AT_ONCE), default=many.AT_ONCE, help="How many to ask at once.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing of hosts that are complete.")
@output.json_option
def check_command(
    hosts: tuple[str, ...],
    file: str | None,
    starttls: str | None,
    servername: str | None,
    connect: str | None,
    revocation: bool,
    expiry_days: int,
    fullchain: str | None,
    html: str | None,
    prometheus: str | None,
    jobs: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Say what servers send, what is missing, where it was found, and what their owners should do.

    Status 0: every chain is complete; 1: one is not; 2: one host could not be asked, and the rest is complete.
    """
    asked = named(hosts, file, How(servername, connect, starttls))
    if not asked:
        raise click.UsageError(f"{file} names no host" if file else "name a HOST, or a file of hosts with --file FILE")
    if fullchain is not None and len(asked) != 1:
        raise click.UsageError("--fullchain is for one host at a time")
    settings = config.load()
    source = roots.source(settings)
    anchors = roots.load(source)

    def ask(answer: Answer) -> Answer:
        if answer.target is None:
            return answer
        try:
            finding = probe.probe(
                *answer.target[:2],
                settings,
                anchors,
                servername=answer.target.servername,
                connect=answer.target.connect,
                starttls=starttls,
                revocation=revocation,
            )
        except probe.ProbeError as error:
            return answer._replace(error=str(error))
        return answer._replace(finding=finding, expiry_days=expiry_days)

    results: Counter[Result] = Counter()
    last = asked[-1]
    with contextlib.ExitStack() as files:
        to_write: list[tuple[str | None, Callable[..., Report]]] = [
            (html, lambda file: Page(file, source.path, offline=settings.offline)),
            (prometheus, Metrics),
        ]
        reports = [make(files.enter_context(appearing(path))) for path, make in to_write if path is not None]
        if as_json:
            reports.append(Document(offline=settings.offline))
        else:
            reports.append(Shown(len(asked), source.path, offline=settings.offline, quiet=quiet))
        title = f"asking {asked[0].title if len(asked) == 1 else counted(len(asked), 'host')}"
        with output.progress(one_line(title)) as progress:
            for answer in many.in_order(ask, asked, jobs, progress):
                last = answer
                results[answer.result] += 1
                for report in reports:
                    report.add(answer)
        for report in reports:
            report.end()
    if fullchain is not None:
        write_fullchain(last, fullchain)
    if status := exit_status(results):
        raise click.exceptions.Exit(status)
