"""The full chain that a server's owner should install, as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ... import probe


class FullchainError(Exception):
    """The full chain cannot be written; the message is one line that says why."""


def write_fullchain(finding: probe.Finding, path: str) -> None:
    if finding.path is None:
        raise FullchainError(f"{path} was not written: no path to a trust anchor was found")
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(finding.fullchain)
    except OSError as error:
        raise FullchainError(f"{path} cannot be written ({error.strerror})") from error
    count = len(finding.path.intermediates)
    click.echo(f"wrote {path}: the leaf and {count} intermediate{'s' * (count != 1)}", err=True)
