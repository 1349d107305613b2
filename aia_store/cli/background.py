"""The command daemon."""

from __future__ import annotations

import click

from ..inside import settings as config
from ..manager.daemon.journal import FORMATS, Journal
from ..manager.daemon.service import Service


@click.command("daemon")
@click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    help="How each event is written to standard error.",
)
def daemon_command(log_format: str) -> None:
    """Keep the store and the bundle up to date, in the foreground: for systemd or any other supervisor.

    Rebuilds the bundle when the system's trust anchors change, takes what users hand in, and refreshes on schedule.
    SIGHUP reads the settings again, SIGUSR1 refreshes at once, SIGTERM ends it.
    """
    Service(config.load(), Journal(log_format)).run()
