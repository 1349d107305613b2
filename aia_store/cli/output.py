"""Output of all commands: escaped names, times in words, tables, progress, JSON."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import click
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..inside.certificate import Certificate, DERError
from ..manager import names
from ..manager.words import day as day
from ..manager.words import harmless as harmless
from ..manager.words import shortened, shown_time

LONGEST_URL = 256  # characters, in prose
MOST_LAID_OUT = 500  # rows of a table that rich lays out
NARROW = 72  # columns; on a terminal with fewer, the columns of a table would be too narrow to read

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


class _PlainConsole(Console):
    """A console that raises an error at a closed pipe, where rich would end the process with status 1."""

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704  # what rich has just caught


def console() -> Console:
    """The console of standard output, which shows text unchanged, with any brackets in it."""
    return _console("stdout")


@functools.cache
def _console(name: Literal["stdout", "stderr"]) -> Console:
    """The console of a stream. If the stream is no terminal, the console is very wide.

    There is one per stream, because rich keeps output out of a progress bar only if both use the same console.
    """
    stream = getattr(sys, name)
    width = None if stream.isatty() else 200
    return _PlainConsole(file=stream, highlight=False, markup=False, emoji=False, width=width)


def print_json(value: object) -> None:
    """Print a value as JSON, for programs."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def say(sentence: str) -> None:
    """Print prose: wrapped between words on a terminal, as one line elsewhere."""
    console().print(Text(sentence), soft_wrap=not sys.stdout.isatty())


def print_table(headings: list[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print rows, under headings unless these are empty; on a narrow terminal, each cell gets its own line."""
    if len(rows) > MOST_LAID_OUT:
        _print_columns([headings, *rows] if headings else rows)
        return
    if console().width < NARROW:
        _print_cells(headings, rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=bool(headings))
    for heading in headings or [""] * len(rows[0]):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row))
    console().print(table)


def _print_cells(headings: list[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print each row as several lines: first the cells without a heading, then each other cell, indented."""
    for row in rows:
        titled = list(zip(headings or [""] * len(row), row, strict=True))
        first = Text(" ").join([_text(cell) for heading, cell in titled if not heading] or [_text(row[0])])
        console().print(first)
        for heading, cell in titled if any(not heading for heading, _ in titled) else titled[1:]:
            if heading and str(cell):
                console().print(Padding(Text(f"{heading}: ", "dim").append_text(_text(cell)), (0, 0, 0, 4)))


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)


def _print_columns(rows: Sequence[Sequence[str | Text]]) -> None:
    """Print rows in columns as wide as needed, without rich, which takes seconds for thousands of rows."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def subject(certificate: Certificate) -> str:
    """The subject in short: its common name, else its last attribute."""
    return short_name(certificate.subject)


def ca_issuers(certificate: Certificate) -> list[str]:
    """The caIssuers URLs of a certificate, escaped for output; none if its AIA cannot be read."""
    try:
        return [harmless(url) for url in certificate.ca_issuers]
    except DERError:
        return []


def url(text: str) -> str:
    """A URL from a certificate, for people: cut if it is very long."""
    return shortened(text, LONGEST_URL)


def short_name(name: bytes) -> str:
    """A Name (DER) in short: its common name, else its last attribute, else its bytes."""
    return _printed(name, names.in_short)


def long_name(name: bytes) -> str:
    """A Name (DER) as RFC 4514 writes it, else its bytes."""
    return _printed(name, names.as_rfc4514)


def _printed(name: bytes, form: Callable[[bytes], str]) -> str:
    try:
        return form(name)
    except DERError:
        return name.hex()


def timestamp(seconds: float) -> str:
    """A time in the format of RFC 3339 (UTC), for JSON."""
    return shown_time(seconds, "%Y-%m-%dT%H:%M:%SZ")


def described(certificate: Certificate) -> dict[str, object]:
    """The fields of a certificate in JSON documents."""
    return {
        "sha256": certificate.fingerprint,
        "subject": long_name(certificate.subject),
        "issuer": long_name(certificate.issuer),
        "not_before": timestamp(certificate.validity[0]),
        "not_after": timestamp(certificate.validity[1]),
    }


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar, if standard error is a terminal. Output to the same terminal appears above the bar."""
    from rich.progress import Progress

    bar = Progress(
        console=_console("stdout" if sys.stdout.isatty() else "stderr"),
        transient=True,
        disable=not sys.stderr.isatty(),
        redirect_stdout=sys.stdout.isatty(),  # if it is a file, output must stay in it
    )
    with bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
