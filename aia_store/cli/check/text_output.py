"""Answers as text: a tree and a verdict for each chain, or one line for each if there are many hosts."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from ...check.asked import FileTarget
from ...check.finding import Finding
from .. import output
from ..errors import say
from . import advice
from .result import Answer, Here, Result, worst_tone
from .symbols import OF_LINKS, OF_RESULTS, Sign

MOST_TREES = 8  # hosts; if there are more, each gets one line


class Unanswered:
    """Says on standard error which hosts could not be checked. Used when standard output has another format."""

    def add(self, answers: Sequence[Answer]) -> None:
        """Say for each answer without a finding why it has none."""
        for answer in answers:
            if answer.finding is None:
                say(answer.error or "")

    def end(self) -> None:
        """Print nothing: there is no summary."""


class Shown:
    """Prints answers as text; hosts that could not be checked go to standard error."""

    def __init__(self, count: int, here: Here, *, quiet: bool, details: bool = False) -> None:
        """`count` is how many hosts there will be; `details` shows all fields of each certificate."""
        self._details = details
        self._count = count
        self._here = here
        self._quiet = quiet
        self._results: Counter[Result] = Counter()
        self._names_hosts = False

    def add(self, answers: Sequence[Answer]) -> None:
        """Print the answers for one host."""
        self._results[worst_tone(answers)] += 1
        self._names_hosts = self._names_hosts or not isinstance(answers[0].target, FileTarget)
        for answer in answers:
            self._show(answer)

    def _show(self, answer: Answer) -> None:
        if answer.finding is None:
            say(answer.error or "")
        elif self._quiet and answer.result is Result.COMPLETE:
            return
        elif self._count > MOST_TREES:
            sign = OF_RESULTS[answer.tone].shown(output.console())
            line = Text.assemble(sign, (answer.full_title, "bold"), f"  {advice.headline(answer)}")
            output.console().print(line, soft_wrap=True)
        else:
            output.console().print(_tree(answer, answer.finding, self._here))
            for sentence in advice.sentences(answer, self._here):
                _say(sentence, advice.fullchain_command(answer.finding.target))
            if self._details:
                _print_details(answer.finding)

    def end(self) -> None:
        """Print a summary if there were several hosts or files."""
        if self._count > 1:
            output.say(advice.summary(self._results, "host" if self._names_hosts else "file"))
            if self._count > MOST_TREES and self._results.total() > self._results[Result.COMPLETE]:
                output.say("`aia-store check HOST` shows one in detail; `--html FILE` draws them all.")


def _say(sentence: str, command: str) -> None:
    """Print a sentence. If the terminal is too narrow for it, its command gets a line of its own, to be copied."""
    before, found, _ = sentence.partition(command)
    if found and sys.stdout.isatty() and cell_len(sentence) > output.console().width:
        output.say(before.rstrip())
        output.console().print(Text(command), soft_wrap=True)
    else:
        output.say(sentence)


def _print_details(finding: Finding) -> None:
    """Print all fields of each certificate of the path."""
    from .details import rows

    for certificate in finding.drawn:
        output.console().print(Text(f"\n{output.subject(certificate)}", "bold"))
        for label, value in rows(certificate):
            line = Text.assemble((f"{label}: ", "dim"), value)
            if sys.stdout.isatty():
                output.console().print(Padding(line, (0, 0, 0, 4)))
            else:
                output.console().print(Text("    ") + line, soft_wrap=True)


def _tree(answer: Answer, finding: Finding, here: Here) -> Tree:
    """The path that was found, from the leaf to the trust anchor, and beside it the useless certificates."""
    how = ", ".join(filter(None, [advice.how_reached(finding), answer.part]))
    tree = Tree(Text.assemble((answer.title, "bold"), (f"  {how}".rstrip(), "dim")))
    branch, console = tree, output.console()
    for link in advice.links(finding):
        branch = branch.add(_shown(link, finding, here.anchor_path))
    if finding.not_found is not None:
        branch.add(Text.assemble(Sign.BAD.shown(console), output.short_name(finding.not_found), ("  not found", "dim")))
    for certificate in finding.useless:
        sign = Sign.UNNEEDED if certificate in finding.chain.sent else Sign.BAD
        note = (f"  {advice.uselessness(certificate, finding)}", "dim")
        tree.add(Text.assemble(sign.shown(console), output.subject(certificate), note))
    for url, reason in finding.failed.items():
        note = (f"  {output.url(reason)}", "dim")
        tree.add(Text.assemble(Sign.DOUBT.shown(console), output.url(url), note))
    return tree


def _shown(link: advice.Link, finding: Finding, anchor_path: str) -> Text:
    source = advice.source_of(link.certificate, finding)
    note = {
        "anchor": f"trust anchor, in {anchor_path}",
        "missing": f"NOT {advice.how_sent(finding).upper()}; {source}",
        "bad": f"{source}, but {link.fault}",
        "ending": source,
        "sent": source,
    }[link.kind]
    notes = (f"  {', '.join([note, *link.notes])}", "dim")
    return Text.assemble(OF_LINKS[link.kind].shown(output.console()), output.subject(link.certificate), notes)
