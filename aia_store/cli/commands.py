"""The commands by name. The module of a command is imported when the command is used."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..version import __version__
from .errors import INTERRUPTED, NO, say

NARROW = 60  # columns
#: For each command, its module, and its description in lists of commands.
COMMANDS = {
    "add": ("contents", "Learn intermediates ahead of time."),
    "bundle": ("machine", "Print the path of the merged CA bundle."),
    "check": ("check.command", "Say what is wrong with a server's chain."),
    "clear": ("contents", "Empty the store."),
    "completion": ("manpage", "Print the completions of a shell."),
    "daemon": ("background", "Keep the store and the bundle up to date."),
    "env": ("machine", "Print what points all tools at the bundle."),
    "hook": ("hooks", "Install the hook for Python programs."),
    "list": ("contents", "Show which intermediates are in the store."),
    "man": ("manpage", "Print the man page."),
    "preload": ("preloading", "Learn the intermediates of all public CAs."),
    "refresh": ("contents", "Verify everything again and rebuild the bundle."),
    "remove": ("contents", "Remove intermediates from the store."),
    "selftest": ("machine", "Show that it works on this machine."),
    "share": ("sharing", "Share intermediates with other machines."),
    "show": ("contents", "Show one intermediate, and where it leads."),
    "status": ("machine", "Say whether everything is in place here."),
}


class _Formatter(click.HelpFormatter):
    """Fits a narrow terminal too, for which click's lines are too long and its columns too wide."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        columns = shutil.get_terminal_size().columns
        self._is_narrow = columns < NARROW
        super().__init__(indent_increment, columns - 2 if self._is_narrow else width, max_width)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl(rows, 2 if self._is_narrow else col_max, col_spacing)


class _Context(click.Context):
    formatter_class = _Formatter


class _ReaderGoneError(Exception):
    """Nobody reads the output any more. It replaces BrokenPipeError, at which click would end with status 1."""


class Commands(click.Group):
    """A group of commands whose modules are imported only when a command runs, so that listing them is fast."""

    context_class = _Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[cmd_name][0]}", __package__)
        command: click.Command = getattr(module, f"{cmd_name}_command")
        for one in (command, *getattr(command, "commands", {}).values()):
            one.context_class = _Context
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGoneError from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [
            CompletionItem(name, help=about) for name, (_, about) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="aia-store")
def cli() -> None:
    """Complete the certificate chains that servers forget to complete: safely, for every program on this machine.

    Start with `aia-store selftest`, then `aia-store hook install` for Python programs, and
    `export SSL_CERT_FILE=$(aia-store bundle)` for curl, git, Node and the rest.

    Exit status: 0 if all is well, 1 if something is wrong, 2 for wrong use or if `check` could not tell, 130 after
    Ctrl-C.
    """


def run() -> int:
    """Run the command line; returns the exit status. Raises OSError, including BrokenPipeError."""
    try:
        status = cli(prog_name="aia-store", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.UsageError as error:
        message = error.format_message()
        if message.startswith("Usage:"):  # a group without a command
            click.echo(message, err=True)
        else:
            path = error.ctx.command_path if error.ctx is not None else "aia-store"
            say(f"{message.rstrip('.')} (see `{path} --help`)")
        return error.exit_code
    except click.ClickException as error:
        say(error.format_message())
        return error.exit_code
    except click.Abort as error:  # by Ctrl-C, or because the answer to a question was no
        say("stopped")
        return INTERRUPTED if isinstance(error.__context__, KeyboardInterrupt) else NO
    except _ReaderGoneError as error:
        raise BrokenPipeError from error
