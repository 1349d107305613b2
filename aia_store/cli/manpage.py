"""Print the man page, which is made from the commands: `python -m aia_store.cli.manpage > aia-store.1`."""

from __future__ import annotations

import os
import re
import sys
import time
from typing import TYPE_CHECKING

import click

from ..inside import settings as config
from ..version import __version__
from .commands import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "aia-store"
_SETTINGS = ("/etc/xdg/aia-store/config.toml", "~/.config/aia-store/config.toml")


def page() -> str:
    """The man page, in the man macros of troff.

    Its date comes from SOURCE_DATE_EPOCH, which package builders set (reproducible-builds.org), or is today's.
    """
    day = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    return "\n".join([f'.TH AIA\\-STORE 1 "{day}" "aia-store {__version__}" "User Commands"', *_sections(), ""])


def _sections() -> Iterator[str]:
    context = click.Context(cli, info_name=_NAME, **cli.context_settings)
    summary, *paragraphs = _paragraphs(cli)
    yield f".SH NAME\n{_text(_NAME)} \\- {_text(_as_phrase(summary))}"
    yield f".SH SYNOPSIS\n{_synopsis(cli, context)}"
    yield ".SH DESCRIPTION"
    yield "\n.PP\n".join(_text(paragraph) for paragraph in paragraphs)
    yield from _options(cli, context)
    yield ".SH COMMANDS"
    yield from _commands(cli, context)
    yield ".SH ENVIRONMENT\nEach is also a key of the configuration files, in lower case and without the prefix."
    for key in config.KEYS:
        yield f".TP\n.B AIA_STORE_{key.upper()}"
    yield ".SH FILES\nSettings; the second overrides the first:"
    yield from (f".TP\n.I {_text(file)}" for file in _SETTINGS)


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, context, info_name=name)
        yield f".SS {_text(inner.command_path)}\n{_synopsis(command, inner)}\n.PP"
        yield "\n.PP\n".join(_text(paragraph) for paragraph in _paragraphs(command))
        yield from _options(command, inner)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _synopsis(command: click.Command, context: click.Context) -> str:
    return f".B {_text(context.command_path)}\n{_text(' '.join(command.collect_usage_pieces(context)))}"


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            yield f".TP\n.B {_text(record[0])}\n{_text(record[1])}"


def _paragraphs(command: click.Command) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", command.help or "")]


def _as_phrase(sentence: str) -> str:
    """In the form for a man page's NAME, which `apropos` lists."""
    return sentence[0].lower() + sentence[1:].partition(":")[0].rstrip(".")


def _text(text: str) -> str:
    """Text that troff prints unchanged, except `code`, which is bold."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    escaped = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", escaped)
    return re.sub(r"^([.'])", r"\\&\1", escaped)


if __name__ == "__main__":
    sys.stdout.write(page())
