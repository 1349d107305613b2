"""Answers as people read them: a tree and a verdict each, or, of many, one line each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click
from rich.text import Text

from .. import output
from ..errors import say
from .answer import Result
from .headline import headline, summary
from .tree import tree_of
from .verdict import verdict

if TYPE_CHECKING:
    from .answer import Answer

MOST_TREES = 8  # hosts; of more, each gets a line
_MARKS = {
    Result.COMPLETE: ("✓ ", "green"),
    Result.ENDING: ("! ", "yellow"),
    Result.INCOMPLETE: ("✗ ", "bold red"),
    Result.BROKEN: ("✗ ", "bold red"),
}


class Shown:
    """Prints answers to people; what could not be asked goes to standard error."""

    def __init__(self, count: int, roots_path: str, *, offline: bool, quiet: bool) -> None:
        """`count` is how many there will be."""
        self._count = count
        self._roots_path = roots_path
        self._offline = offline
        self._quiet = quiet
        self._results: Counter[Result] = Counter()

    def add(self, answer: Answer) -> None:
        """Print one answer."""
        self._results[answer.result] += 1
        if answer.finding is None:
            say(answer.error or "")
        elif self._quiet and answer.result is Result.COMPLETE:
            return
        elif self._count > MOST_TREES:
            line = Text.assemble(_MARKS[answer.result], (answer.title, "bold"), f"  {headline(answer)}")
            output.console().print(line, soft_wrap=True)
        else:
            output.console().print(tree_of(answer.finding, self._roots_path))
            for sentence in verdict(answer.finding, answer.expiry_days, offline=self._offline):
                output.say(sentence)

    def end(self) -> None:
        """Sum up, where there were several."""
        if self._count > 1:
            click.echo(summary(self._results))
            if self._count > MOST_TREES and self._results.total() > self._results[Result.COMPLETE]:
                output.say("`aia-store check HOST` says all about one; `--html FILE` draws them all.")
