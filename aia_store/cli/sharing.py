"""The command share."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import click

from ..inside import settings as config
from ..inside.settings import Settings
from ..inside.store import sound_store
from ..manager.share import rounds, summary
from ..manager.share.rounds import Round
from . import output
from .errors import WrongUseError, say

MOST_ROUNDS = 40  # of one command; each takes 500 certificates at most
SECONDS = 600.0  # of one command; then no further round begins


@click.group("share")
def share_command() -> None:
    """Share intermediates with other machines, over the shelf that AIA_STORE_SHARE names.

    A shelf is a folder (file:///mnt/aia-store), a place in an object store (s3://, gs:// or az://), or a web server's
    folder (https://), which is only read. Nothing on it is believed: what is taken is verified up to this
    machine's trust anchors, and kept as preloaded. `refresh` and the daemon share by themselves.
    """


@share_command.command("pull")
@output.json_option
def pull(as_json: bool) -> None:
    """Take what other machines have learned, and hand nothing in: for a container's start, or to build an image."""
    _print(_repeated(rounds.pull), as_json)


@share_command.command("publish")
@output.json_option
def publish(as_json: bool) -> None:
    """Be a hub: verify what other machines handed in, and publish it together with what was needed here: for cron."""
    _print(_repeated(functools.partial(rounds.run, publishes=True)), as_json)


@share_command.command("status")
@output.json_option
def status(as_json: bool) -> None:
    """Say what is shared, with whom, when last, and what was refused. The status is 1 if the last round failed."""
    settings = _settings()
    found = summary.of(settings, sound_store(settings))
    if as_json:
        output.print_json(found._asdict())
    else:
        output.print_table([], [[name, output.harmless(value)] for name, value in found.lines()])
    if found.failed:
        raise click.exceptions.Exit(1)


def _settings() -> Settings:
    """The settings. Raises WrongUseError if they name no shelf."""
    settings = config.load()
    if not settings.share:
        raise WrongUseError("no shelf is set; set AIA_STORE_SHARE, or `share` in config.toml, for instance to s3://…")
    return settings


def _repeated(make: Callable[[Settings], Round]) -> Round:
    """Share in rounds, until nothing is left to share or a limit is reached. Returns all rounds as one."""
    settings = _settings()
    deadline = time.monotonic() + SECONDS
    done = make(settings)
    for _ in range(MOST_ROUNDS):
        if not done.more or time.monotonic() > deadline:
            break
        done = done.followed_by(make(settings))
    return done


def _print(done: Round, as_json: bool) -> None:
    if as_json:
        output.print_json(done.as_dict())
        return
    for reason, count in sorted(done.refused.items(), key=lambda item: -item[1]):
        click.echo(f"{count:,} refused: {output.harmless(reason)}")
    for note in done.notes:
        say(note)
    click.echo(f"{done._replace(notes=[]).message}.")
