"""Answers as one HTML file: nothing in it is loaded from elsewhere, and nothing in it runs.

Every text that is put into it was said by somebody else: `text` escapes it, and the page's own policy forbids all but
its style sheet, should that ever fail.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from importlib.resources import files
from typing import IO, TYPE_CHECKING

from ...manager.words import counted
from ...version import __version__
from .. import output
from .answer import Result
from .drawing import section, text
from .headline import headline, summary

if TYPE_CHECKING:
    from .answer import Answer

_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
<header>
<h1>{heading}</h1>
{tally}<p class="when">Checked on {when} with the roots in <code>{roots}</code></p>
</header>
"""
_FOOT = """<footer>aia-store {version}. What works in a client is expected from what OpenSSL says and from how that \
client behaves.</footer>
</html>
"""
_PIECE = 1 << 20


class Page:
    """Writes one page about all answers to a file."""

    def __init__(self, file: IO[str], roots_path: str, *, offline: bool) -> None:
        self._file = file
        self._roots_path = roots_path
        self._offline = offline
        self._results: Counter[Result] = Counter()
        self._rows: list[str] = []
        self._only: Answer
        # Aside until the head is written, which sums up; on disk, as there may be ten thousand.
        self._sections = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # closed in `end`

    def add(self, answer: Answer) -> None:
        """Draw one answer."""
        self._results[answer.result] += 1
        self._only = answer
        anchor = f"host-{len(self._rows) + 1}"
        name = f'<a href="#{anchor}">{text(answer.title)}</a>'
        self._rows.append(f'<tr class="{answer.result}"><td>{name}<td>{text(headline(answer))}\n')
        self._sections.write(section(answer, anchor, self._roots_path, offline=self._offline))

    def end(self) -> None:
        """Write the page."""
        many = len(self._rows) > 1
        title = summary(self._results).rstrip(".") if many else f"{self._only.title}: {headline(self._only)}"
        heading = counted(len(self._rows), "host") if many else f"The chain of {self._only.title}"
        style = (files(__package__) / "page.css").read_text(encoding="utf-8")
        self._file.write(
            _HEAD.format(
                title=text(title),
                heading=text(heading),
                style=style,
                tally=self._tally() if many else "",
                when=output.timestamp(time.time()).replace("T", " ").replace("Z", " UTC"),
                roots=text(self._roots_path),
            )
        )
        if many:
            self._file.write("<table>\n" + "".join(self._rows) + "</table>\n")
        with self._sections as sections:
            sections.seek(0)
            while piece := sections.read(_PIECE):
                self._file.write(piece)
        self._file.write(_FOOT.format(version=__version__))

    def _tally(self) -> str:
        """How many hosts came to what."""
        parts = (
            f'<span class="{result}">{self._results[result]:,} {result.replace("-", " ")}</span>'
            for result in Result
            if self._results[result]
        )
        return f'<p class="tally">{" ".join(parts)}</p>\n'
