"""Answers as text: a tree and a verdict for each chain, or one line for each if there are many hosts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click
from rich.text import Text
from rich.tree import Tree

from .. import output
from ..errors import say
from .answer import Result, worst
from .verdict import Link, headline, how_reached, links, sentences, source_of, summary, uselessness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...check import Finding
    from .answer import Answer, Here

_BAD = ("✗ ", "bold red")
_DOUBT = ("! ", "yellow")
MOST_TREES = 8  # hosts; if there are more, each gets one line
_MARKS = {
    Result.COMPLETE: ("✓ ", "green"),
    Result.ENDING: _DOUBT,
    Result.INCOMPLETE: _BAD,
    Result.BROKEN: _BAD,
    Result.COULD_NOT_TELL: ("? ", "yellow"),
}


class Shown:
    """Prints answers as text; hosts that could not be checked go to standard error."""

    def __init__(self, count: int, here: Here, *, quiet: bool) -> None:
        """`count` is how many hosts there will be."""
        self._count = count
        self._here = here
        self._quiet = quiet
        self._results: Counter[Result] = Counter()

    def add(self, answers: Sequence[Answer]) -> None:
        """Print the answers for one host."""
        self._results[worst(answers)] += 1
        for answer in answers:
            self._show(answer)

    def _show(self, answer: Answer) -> None:
        if answer.finding is None:
            say(answer.error or "")
        elif self._quiet and answer.result is Result.COMPLETE:
            return
        elif self._count > MOST_TREES:
            line = Text.assemble(_MARKS[answer.tone], (answer.full_title, "bold"), f"  {headline(answer)}")
            output.console().print(line, soft_wrap=True)
        else:
            output.console().print(_tree(answer, answer.finding, self._here))
            for sentence in sentences(answer, self._here):
                output.say(sentence)

    def end(self) -> None:
        """Print a summary if there were several."""
        if self._count > 1:
            click.echo(summary(self._results))
            if self._count > MOST_TREES and self._results.total() > self._results[Result.COMPLETE]:
                output.say("`aia-store check HOST` shows one in detail; `--html FILE` draws them all.")


def _tree(answer: Answer, finding: Finding, here: Here) -> Tree:
    """The path that was found, from the leaf to the trust anchor, and beside it the useless certificates."""
    how = ", ".join(filter(None, [how_reached(finding), answer.part]))
    tree = Tree(Text.assemble((answer.title, "bold"), (f"  {how}".rstrip(), "dim")))
    branch = tree
    for link in links(finding):
        branch = branch.add(_shown(link, finding, here.roots_path))
    if finding.not_found is not None:
        branch.add(Text.assemble(_BAD, output.short_name(finding.not_found), ("  not found", "dim")))
    for certificate in finding.useless:
        mark = ("? ", "yellow") if certificate in finding.chain.sent else _BAD
        note = (f"  {uselessness(certificate, finding)}", "dim")
        tree.add(Text.assemble(mark, output.subject(certificate), note))
    for url, reason in finding.failed.items():
        tree.add(Text.assemble(_DOUBT, output.harmless(url), (f"  {output.harmless(reason)}", "dim")))
    return tree


def _shown(link: Link, finding: Finding, roots_path: str) -> Text:
    """One certificate of the path."""
    source = source_of(link.certificate, finding)
    mark, note = {
        "anchor": (("◆ ", "cyan"), f"trust anchor, in {roots_path}"),
        "missing": (_BAD, f"NOT SENT; {source}"),
        "bad": (_BAD, f"{source}, but {link.fault}"),
        "ending": (_DOUBT, "sent"),
        "sent": (("✓ ", "green"), "sent"),
    }[link.kind]
    return Text.assemble(mark, output.subject(link.certificate), (f"  {', '.join([note, *link.notes])}", "dim"))
