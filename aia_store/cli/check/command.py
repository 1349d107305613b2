"""The command check: what is wrong with the chains of servers, and what their owners should do."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from typing import TYPE_CHECKING, Protocol

import click

from ...check import ProbeError, Target, TargetError, many, parse_target, probe
from ...check.starttls import PROTOCOLS
from ...inside import settings as config
from ...manager import roots
from ...manager.target import HTTPS
from ...manager.words import counted, one_line
from .. import output
from ..errors import WrongUseError
from ..files import OutputError, appearing
from .answer import Answer, Result, exit_status
from .document import Document
from .page import Page
from .prometheus import Metrics
from .shown import Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_HOSTS = 100_000
LONGEST_LINE = 2_048  # characters, in a file of hosts
MOST_AT_ONCE = 256  # each uses a few descriptors, of which a process usually has 1,024

_file = click.Path(dir_okay=False)


class Form(Protocol):
    """An output format: gets each answer, in order, and finally `end`."""

    def add(self, answer: Answer) -> None: ...

    def end(self) -> None: ...


@click.command("check")
@click.argument("hosts", nargs=-1, metavar="HOST[:PORT]...")
@click.option("--file", "file", metavar="FILE", help="Also check the hosts in FILE, one per line; - is standard input.")
@click.option("--starttls", type=click.Choice(list(PROTOCOLS)), help="Start TLS in this protocol, at its port.")
@click.option("--servername", metavar="NAME", help="Send and verify this name instead of the host's.")
@click.option("--connect", metavar="HOST[:PORT]", help="Connect to this address, whichever host was named.")
@click.option("--revocation", is_flag=True, help="Read the CRL of every certificate of the chain.")
@click.option(
    "--expiry-days", type=click.IntRange(min=0), default=0, metavar="N", help="Fail if it expires within N days."
)
@click.option("--fullchain", type=_file, help="Write what the owner should install (PEM) here.")
@click.option("--html", type=_file, help="Write one HTML file with the chains drawn, to pass on.")
@click.option("--prometheus", type=_file, help="Write metrics here, for the node exporter's textfile collector.")
@click.option("--jobs", type=click.IntRange(1, MOST_AT_ONCE), default=many.AT_ONCE, help="How many to check at once.")
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

    Status 0: every chain is complete; 1: one is not; 2: one host could not be checked, and the others are complete.
    """
    asked = _named(hosts, file, servername, connect, starttls)
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
            finding = probe(answer.target, settings, anchors, revocation=revocation)
        except ProbeError as error:
            return answer._replace(error=str(error))
        return answer._replace(finding=finding, expiry_days=expiry_days)

    results: Counter[Result] = Counter()
    last = asked[-1]
    with contextlib.ExitStack() as files:
        to_write: list[tuple[str | None, Callable[..., Form]]] = [
            (html, lambda file: Page(file, source.path, offline=settings.offline)),
            (prometheus, Metrics),
        ]
        forms = [make(files.enter_context(appearing(path))) for path, make in to_write if path is not None]
        if as_json:
            forms.append(Document(offline=settings.offline))
        else:
            forms.append(Shown(len(asked), source.path, offline=settings.offline, quiet=quiet))
        title = f"checking {asked[0].title if len(asked) == 1 else counted(len(asked), 'host')}"
        with output.progress(one_line(title)) as progress:
            for answer in many.in_order(ask, asked, jobs, progress):
                last = answer
                results[answer.result] += 1
                for form in forms:
                    form.add(answer)
        for form in forms:
            form.end()
    if fullchain is not None:
        _write_fullchain(last, fullchain)
    if status := exit_status(results):
        raise click.exceptions.Exit(status)


def _named(
    hosts: Iterable[str], file: str | None, servername: str | None, connect: str | None, starttls: str | None
) -> list[Answer]:
    """The hosts to check, in order and each once. A text that names no host is already answered.

    Raises WrongUseError if the options or the file cannot be used.
    """
    port = PROTOCOLS[starttls].port if starttls is not None else HTTPS
    try:
        name = parse_target(servername)[0] if servername is not None else None
        place = parse_target(connect, port) if connect is not None else None
    except TargetError as error:
        raise WrongUseError(str(error)) from error
    found: dict[object, Answer] = {}
    for text, where in [*((host, "") for host in hosts), *(_lines(file) if file is not None else ())]:
        try:
            host, at = parse_target(text, port)
        except TargetError as error:
            found[where or text] = Answer(text, None, error=f"{where}{error}")
            continue
        target = Target(host, at, name, place, starttls)
        found.setdefault(target, Answer(text, target))
    return list(found.values())


def _lines(file: str) -> Iterator[tuple[str, str]]:
    """The hosts in a file, each with its place, in words; without comments and empty lines."""
    name = "standard input" if file == "-" else file
    count = 0
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if file == "-" else open(file, "rb") as source:
            number = 0
            while line := source.readline(LONGEST_LINE):
                number += 1
                text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").split("#")[0].strip()
                if text:
                    count += 1
                    yield text, f"{name}, line {number}: "
                if count > MOST_HOSTS:
                    raise WrongUseError(f"{name} names more than {MOST_HOSTS:,} hosts; split it")
    except OSError as error:
        raise WrongUseError(f"{name} cannot be read ({error.strerror})") from error


def _write_fullchain(answer: Answer, path: str) -> None:
    """Write the full chain, if the host could be checked. Raises OutputError, and keeps the old file, if unknown."""
    finding = answer.finding
    if finding is None:
        return
    if finding.path is None:
        raise OutputError(f"{path} was not written: no path to a trust anchor was found")
    with appearing(path) as file:
        file.write(finding.fullchain)
    click.echo(f"wrote {path}: the leaf and {counted(len(finding.path.intermediates), 'intermediate')}", err=True)
