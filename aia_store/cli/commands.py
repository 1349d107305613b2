"""The commands by name; each module is imported when its command is used."""

from __future__ import annotations

import importlib

import click

from .. import __version__
from .errors import NO, say

COMMANDS = {
    "add": "contents",
    "bundle": "machine",
    "check": "check",
    "clear": "contents",
    "daemon": "background",
    "env": "machine",
    "hook": "hooks",
    "list": "contents",
    "refresh": "contents",
    "remove": "contents",
    "selftest": "machine",
    "show": "contents",
    "status": "machine",
}


class Commands(click.Group):
    """A group whose commands live in modules that are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(importlib.import_module(f".{module}", __package__), f"{cmd_name}_command")
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="aia-store")
def cli() -> None:
    """Complete the certificate chains that servers forget to complete: safely, for every program on this machine.

    Start with `aia-store selftest`, then `aia-store hook install` for Python programs, and
    `export SSL_CERT_FILE=$(aia-store bundle)` for curl, git, Node and the rest.

    Exit status: 0 fine; 1 the answer is no; 2 wrong use, or `check` could not tell.
    """


def run() -> int:
    """Run the command line; returns the exit status."""
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
    except click.Abort:
        say("stopped")
        return NO
