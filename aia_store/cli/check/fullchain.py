"""The full chain that a server's owner should install, as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ...manager.words import counted
from ..files import OutputError, appearing

if TYPE_CHECKING:
    from .answer import Answer


def write_fullchain(answer: Answer, path: str) -> None:
    """Write it, if the host could be asked. Raises OutputError where there is none, and leaves what was there."""
    finding = answer.finding
    if finding is None:
        return
    if finding.path is None:
        raise OutputError(f"{path} was not written: no path to a trust anchor was found")
    with appearing(path) as file:
        file.write(finding.fullchain)
    click.echo(f"wrote {path}: the leaf and {counted(len(finding.path.intermediates), 'intermediate')}", err=True)
