"""The full chain that a server's owner should install, as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ...words import counted
from .files import OutputError, appearing

if TYPE_CHECKING:
    from .answer import Answer


class Fullchain:
    """Writes the full chain of one host. Raises OutputError where there is none, and leaves what was there."""

    def __init__(self, path: str) -> None:
        self._path = path

    def add(self, answer: Answer) -> None:
        """Write it, if the host could be asked."""
        finding = answer.finding
        if finding is None:
            return
        if finding.path is None:
            raise OutputError(f"{self._path} was not written: no path to a trust anchor was found")
        with appearing(self._path) as file:
            file.write(finding.fullchain)
        count = counted(len(finding.path.intermediates), "intermediate")
        click.echo(f"wrote {self._path}: the leaf and {count}", err=True)

    def end(self) -> None:
        """Nothing more to write."""
