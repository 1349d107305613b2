"""The command check: what is wrong with the chains of servers, and what their owners should do."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import click

from ...check import certificate_files
from ...check.asked import FileTarget, Target
from ...check.connection import ProbeError, addresses
from ...check.finding import Finding
from ...check.host import probe
from ...check.starttls import PROTOCOLS
from ...inside import settings as config
from ...manager import parallel, roots
from ...manager.safe_reading import opened
from ...manager.target import HTTPS, TargetError, parse_target
from ...manager.words import counted, one_line
from .. import output
from ..errors import WRONG_USE, OutputError, WrongUseError, say
from ..files import STANDARD_OUTPUT, appearing
from .html_output import Page
from .json_output import Document
from .metrics_output import Metrics
from .result import Answer, Here, Result, exit_status, worst
from .text_output import Shown, Unanswered

MOST_HOSTS = 100_000
LONGEST_LINE = 2_048  # bytes, in a file of hosts
MOST_LINES = 1_000_000
MOST_AT_ONCE = 256  # each uses a few descriptors, of which a process usually has 1,024

_WANTED, _REQUIRED = "wanted", "required"  # whether revocation may stay unknown

_file = click.Path(dir_okay=False, allow_dash=True)


class Form(Protocol):
    """An output format: `add` gets the answers for each host, in order; `end` is called last."""

    def add(self, answers: Sequence[Answer]) -> None: ...

    def end(self) -> None: ...


class _Check(click.Command):
    """Reads `--revocation` without a value, too: click alone would take the next argument as its value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f"{arg}={_WANTED}" if arg == "--revocation" else arg for arg in args])


@click.command("check", cls=_Check)
@click.argument("hosts", nargs=-1, metavar="HOST[:PORT]|FILE...")
@click.option("--file", "file", metavar="FILE", help="Also check the hosts in FILE, one per line; - is standard input.")
@click.option(
    "--starttls",
    type=click.Choice(list(PROTOCOLS)),
    metavar="PROTOCOL",
    help=f"Start TLS in this protocol, at its port: {', '.join(PROTOCOLS)}.",
)
@click.option("--servername", metavar="NAME", help="Send and verify this name instead of the host's.")
@click.option("--connect", metavar="HOST[:PORT]", help="Connect to this address, whichever host was named.")
@click.option("--all-addresses", is_flag=True, help="Check every address of each host.")
@click.option(
    "--revocation",
    type=click.Choice([_WANTED, _REQUIRED]),
    metavar="[=required]",
    help="Read the CRL of every certificate of the chain; if required, all of them must be readable.",
)
@click.option(
    "--expiry-days",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Fail if the leaf or an intermediate expires within N days.",
)
@click.option("--details", is_flag=True, help="Show all that is in each certificate of the chain.")
@click.option("--fullchain", type=_file, help="Write what the owner should install (PEM) here; - is standard output.")
@click.option("--html", type=_file, help="Write one HTML file with the chains drawn, to pass on; - is standard output.")
@click.option("--prometheus", type=_file, help="Write metrics here, for the node exporter's textfile collector.")
@click.option(
    "--jobs",
    type=click.IntRange(1, MOST_AT_ONCE),
    default=parallel.AT_ONCE,
    metavar="N",
    help=f"Check N hosts at once; {parallel.AT_ONCE} by default.",
)
@click.option("--quiet", "-q", is_flag=True, help="Leave out hosts whose chains are complete.")
@output.json_option
def check_command(
    hosts: tuple[str, ...],
    file: str | None,
    starttls: str | None,
    servername: str | None,
    connect: str | None,
    all_addresses: bool,
    revocation: str | None,
    expiry_days: int,
    details: bool,
    fullchain: str | None,
    html: str | None,
    prometheus: str | None,
    jobs: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Say what servers send, what is missing, where it was found, and what their owners should do.

    A path that exists, or has a slash, is a FILE in PEM, DER or PKCS#7 with a server's certificate: it is checked as if
    a server sent it. In a folder, every such file is checked.

    Status 0: every chain is complete; 1: one is not; 2: one host could not be checked, and the others are complete.
    """
    to_stdout = [path for path in (fullchain, html, prometheus) if path == STANDARD_OUTPUT]
    if len(to_stdout) + as_json > 1:
        raise click.UsageError("only one of the documents can be written to standard output")
    asked = _named(hosts, file, servername, connect, starttls)
    if not asked:
        raise click.UsageError(f"{file} names no host" if file else "name a HOST or FILE, or a file of hosts by --file")
    if fullchain is not None and len(asked) != 1:
        raise click.UsageError("--fullchain is for one host or file at a time")
    settings = config.load()
    source = roots.source(settings)
    anchors = roots.load(source)
    here = Here(source.name, source.name_for_one, settings.offline)

    def places(target: Target | FileTarget) -> Sequence[Target | FileTarget]:
        return addresses(target, settings) if all_addresses and isinstance(target, Target) else [target]

    def probed(target: Target | FileTarget) -> list[Finding]:
        return probe(target, settings, anchors, revocation=revocation is not None)

    def ask(named: Answer) -> list[Answer]:
        wanted = named._replace(expiry_days=expiry_days, requires_revocation=revocation == _REQUIRED)
        return _answers(wanted, places, probed)

    results: Counter[Result] = Counter()
    title = f"checking {asked[0].title if len(asked) == 1 else counted(len(asked), 'host')}"
    try:
        with contextlib.ExitStack() as files:
            forms: list[Form] = []
            if html is not None:
                forms.append(Page(files.enter_context(appearing(html)), here, details=details))
            if prometheus is not None:
                forms.append(Metrics(files.enter_context(appearing(prometheus))))
            if as_json:
                forms.append(Document(here, details=details))
            else:
                forms.append(Unanswered() if to_stdout else Shown(len(asked), here, quiet=quiet, details=details))
            with output.progress(one_line(title)) as progress:
                last = _tell(forms, parallel.in_order(ask, asked, jobs, progress), results)
            for form in forms:
                form.end()
        if fullchain is not None:
            _write_fullchain(last, fullchain)
    except OutputError as error:  # the results for the hosts stay true
        say(str(error))
        raise click.exceptions.Exit(exit_status(results) or WRONG_USE) from error
    if status := exit_status(results):
        raise click.exceptions.Exit(status)


def _tell(forms: Sequence[Form], hosts: Iterable[Sequence[Answer]], results: Counter[Result]) -> Sequence[Answer]:
    """Pass the answers for each host to `forms`, and count the results. Returns the answers for the last host."""
    answers: Sequence[Answer] = ()
    for answers in hosts:
        results[worst(answers)] += 1
        for form in forms:
            form.add(answers)
    return answers


def _answers(
    wanted: Answer,
    places: Callable[[Target | FileTarget], Sequence[Target | FileTarget]],
    probe_one: Callable[[Target | FileTarget], list[Finding]],
) -> list[Answer]:
    """Check one host or file. Returns an answer for each chain that it sends, at each address that `places` returns."""
    if wanted.target is None or wanted.error is not None:
        return [wanted]
    try:
        targets = places(wanted.target)
    except ProbeError as error:
        return [wanted._replace(error=str(error))]
    found: list[Answer] = []
    for target in targets:
        place = target.place[0] if isinstance(target, Target) and len(targets) > 1 else ""
        try:
            findings = probe_one(target)
        except ProbeError as error:
            found.append(wanted._replace(target=target, error=str(error), part=place))
            continue
        for finding in findings:
            key = f"{finding.key_kind} key" if len(findings) > 1 else ""
            part = ", ".join(filter(None, [place, key]))
            found.append(wanted._replace(target=target, finding=finding, part=part))
    return found


def _named(
    hosts: Iterable[str], file: str | None, servername: str | None, connect: str | None, starttls: str | None
) -> list[Answer]:
    """The hosts and files to check, in order and each once. If a text names neither, its answer holds the error.

    Raises WrongUseError if an option or the list of hosts in `file` cannot be used.
    """
    port = PROTOCOLS[starttls].port if starttls is not None else HTTPS
    try:
        name = parse_target(servername)[0] if servername is not None else None
        if connect is not None:
            parse_target(connect)
    except TargetError as error:
        raise WrongUseError(str(error)) from error
    found: dict[object, Answer] = {}
    for text, where in [*((host, "") for host in hosts), *(_lines(file) if file is not None else ())]:
        if not where and certificate_files.is_file(text):
            found.update((answer.target, answer) for answer in _files_at(text, name))
            continue
        try:
            host, at = parse_target(text, port)
        except TargetError as error:
            found[where or text] = Answer(text, None, error=f"{where}{error}")
            continue
        target = Target(host, at, name, parse_target(connect, at) if connect is not None else None, starttls)
        found.setdefault(target, Answer(text, target))
    return list(found.values())


def _files_at(path: str, servername: str | None) -> Iterator[Answer]:
    """A file to check, or the files of a folder. If one in the folder cannot be read, its answer holds the error."""
    if not os.path.isdir(path):
        yield Answer(path, FileTarget(path, servername))
        return
    none = f"{path} holds no file with a server's certificate"
    try:
        for place, fault in certificate_files.found_in(path):
            none = ""
            yield Answer(place, FileTarget(place, servername), error=fault)
    except ProbeError as error:
        none = str(error)
    if none:
        yield Answer(path, FileTarget(path), error=none)


def _lines(file: str) -> Iterator[tuple[str, str]]:
    """Each host that a file lists, and its place, such as "hosts.txt, line 3: ". Comments and empty lines are skipped.

    Raises WrongUseError if the file holds something else, is too large, or cannot be read.
    """
    name = "standard input" if file == "-" else file
    count = 0
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if file == "-" else opened(file) as source:
            number = 0
            while line := source.readline(LONGEST_LINE):
                number += 1
                if b"\0" in line or (len(line) == LONGEST_LINE and not line.endswith(b"\n")):
                    raise WrongUseError(f"{name} is not a list of hosts: line {number} is binary or too long")
                text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").split("#")[0].strip()
                if text:
                    count += 1
                    yield text, f"{name}, line {number}: "
                if count > MOST_HOSTS or number > MOST_LINES:
                    raise WrongUseError(f"{name} has more than {MOST_HOSTS:,} hosts or {MOST_LINES:,} lines; split it")
    except OSError as error:
        raise WrongUseError(f"{name} cannot be read ({error.strerror})") from error


def _write_fullchain(answers: Sequence[Answer], path: str) -> None:
    """Write the full chain for the worst of a host's answers.

    If the host could not be checked, nothing is written. Raises OutputError, and leaves the old file, if no full chain
    is known or if the old file holds a private key.
    """
    found = sorted((answer for answer in answers if answer.finding is not None), key=lambda answer: answer.rank)
    if not found:
        return
    worst_one, finding = found[0], found[0].finding
    if finding is None or finding.path is None:
        what = "the full chain" if path == STANDARD_OUTPUT else path
        raise OutputError(f"{what} was not written: no path to a trust anchor was found")
    if path != STANDARD_OUTPUT and certificate_files.holds_key(path):
        raise OutputError(f"{path} was not written: it holds a private key, which would be lost")
    with appearing(path) as file:
        file.write(finding.fullchain)
    if path != STANDARD_OUTPUT:
        which = f" ({worst_one.part})" if worst_one.part else ""
        count = counted(len(finding.path.intermediates), "intermediate")
        click.echo(f"wrote {path}: the leaf{which} and {count}", err=True)
