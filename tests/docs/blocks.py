"""The fenced code blocks of the documents."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]

SHELLS = {"sh": "sh", "console": "sh", "bash": "bash", "fish": "fish"}  # the fence's language and what runs it
PROMPT = "$ "

_FENCE = re.compile(r"^( *)(`{3,})(\S*)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One fenced block."""

    page: Path
    line: int  #: of the first line of its text, counted from 1
    language: str  #: what the fence says, or nothing
    text: str

    @property
    def name(self) -> str:
        """Its name in `exceptions`: the page and the block's first line."""
        return f"{self.page.name}: {self.text.strip().partition(chr(10))[0]}"

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}"

    @property
    def commands(self) -> str:
        """What a shell is to run: if some lines begin with a prompt, only those, because the others are output."""
        prompted = [line.removeprefix(PROMPT) for line in self.text.splitlines() if line.startswith(PROMPT)]
        return "\n".join(prompted) + "\n" if prompted else self.text


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start(4)) + 1, found[3], textwrap.dedent(found[4]))
        for found in _FENCE.finditer(text)
    ]


def named(beginning: str) -> Block:
    """The only block whose page and text begin so, as in `README.md: import aia_store`; else raises ValueError."""
    pages = [page for page in PAGES if page.name == beginning.partition(":")[0]]
    (found,) = [
        block
        for page in pages
        for block in blocks_of(page)
        if f"{page.name}: {block.text.lstrip()}".startswith(beginning)
    ]
    return found
