"""The overview of a page about several chains: what is wrong, by cause, and with which hosts.

A browser has to hold the whole page. So if there are very many chains, only some of each cause are drawn, and the
others are named.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...manager.words import counted
from .html_escaping import text
from .one_sentence import Cause
from .result import Result

MOST_CAUSES = 12  # in the overview, which is to fit a screen
MOST_LINKS = 6  # to hosts, for each cause
MOST_DRAWN = 500  # chains


class Drawing(NamedTuple):
    """What the overview says of one chain, and where the section about it is."""

    title: str
    full_title: str
    is_file: bool
    tone: Result
    rank: int
    cause: Cause
    number: int  # of the section, in the order in which they came
    at: int  # its place among the sections, in bytes
    size: int


class Group(NamedTuple):
    """The chains with one cause."""

    number: int  # the worst first
    drawn: list[Drawing]
    rest: list[Drawing]  # those that are only named
    noun: str  # what the chains are of: "host" or "file"

    @property
    def tone(self) -> Result:
        """The result by which all chains of the group are coloured."""
        return (self.drawn or self.rest)[0].tone

    def cause(self, drawings: list[Drawing], more: str = "") -> str:
        """What these chains of the group have in common, as a sentence: "12 hosts lack X CA"."""
        return text(drawings[0].cause.of(len({drawing.title for drawing in drawings}), f"{more}{self.noun}"))


def fragment(number: int) -> str:
    """The fragment by which links refer to the section with this number."""
    return f"host-{number + 1}"


def groups(drawings: Iterable[Drawing], noun: str) -> list[Group]:
    """The chains by cause: the worst cause first; of equally bad causes, the most frequent.

    The chains to draw are taken from the causes in turn, so that each cause has some.
    """
    by_cause: dict[tuple[Cause, Result], list[Drawing]] = {}
    for drawing in drawings:
        by_cause.setdefault((drawing.cause, drawing.tone), []).append(drawing)
    found = sorted(by_cause.values(), key=lambda group: (group[0].rank, group[0].tone is Result.COMPLETE, -len(group)))
    in_turn = sorted((turn, number) for number, group in enumerate(found) for turn in range(len(group)))
    shares = [0] * len(found)
    for _, number in in_turn[:MOST_DRAWN]:
        shares[number] += 1
    return [
        Group(number, group[:share], group[share:], noun)
        for number, (group, share) in enumerate(zip(found, shares, strict=True))
    ]


def table(found: list[Group]) -> str:
    """What is wrong, by cause, and with which hosts: as much as fits a screen, and the rest folded."""
    rows = [_row(group) for group in found]
    shown, folded = rows[:MOST_CAUSES], rows[MOST_CAUSES:]
    made = f"<table class=overview>\n{''.join(shown)}</table>\n"
    if folded:
        more = f"<summary>{counted(len(folded), 'more cause')}</summary>"
        made += f"<details>{more}<table class=overview>\n{''.join(folded)}</table></details>\n"
    return made


def _row(group: Group) -> str:
    drawings = [*group.drawn, *group.rest]
    targets = [*(fragment(drawing.number) for drawing in group.drawn), *[_rest_of(group)] * len(group.rest)]
    links = [
        f'<a href="#{target}">{text(drawing.full_title)}</a>'
        for drawing, target in list(zip(drawings, targets, strict=True))[:MOST_LINKS]
    ]
    if len(drawings) > MOST_LINKS:
        links.append(f'<a href="#{targets[MOST_LINKS]}">and {len(drawings) - MOST_LINKS:,} more</a>')
    return f'<tr class="{group.tone}"><td>{group.cause(drawings)}<td>{", ".join(links)}\n'


def named(group: Group) -> str:
    """The chains of a group that are not drawn."""
    if not group.rest:
        return ""
    names = ", ".join(text(drawing.full_title) for drawing in group.rest)
    return (
        f'<section id="{_rest_of(group)}" class="{group.tone}">\n'
        f"<details><summary>{group.cause(group.rest, 'more ' if group.drawn else '')}</summary>\n"
        f"<p>They are not drawn here; <code>aia-store check</code> draws each. {names}</p></details></section>\n"
    )


def _rest_of(group: Group) -> str:
    """The fragment by which links refer to the chains that are not drawn."""
    return f"rest-{group.number + 1}"
