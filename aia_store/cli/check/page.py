"""Answers as one HTML file, which loads nothing from elsewhere, and runs nothing.

Its texts come from hosts and certificates. `text` escapes them, and should that ever fail, the page's own policy allows
nothing but its style sheet.
"""

from __future__ import annotations

import html
import tempfile
import time
from collections import Counter
from importlib.resources import files
from typing import IO, TYPE_CHECKING

from ...check import views as clients
from ...manager.words import counted
from ...version import __version__
from .. import output
from . import verdict
from .answer import Result, worst

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...check import Finding
    from ...check.views import View
    from .answer import Answer, Here
    from .verdict import Link

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
_FOOT = """<footer>aia-store {version}. What to expect of a client follows from what OpenSSL says and from how that \
client behaves.</footer>
</html>
"""
_PIECE = 1 << 20


class Page:
    """Writes one page about all answers to a file."""

    def __init__(self, file: IO[str], here: Here) -> None:
        self._file = file
        self._here = here
        self._results: Counter[Result] = Counter()
        self._rows: list[str] = []
        self._only: Answer
        # Kept until the head with the totals is written; on disk, because there may be ten thousand.
        self._sections = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # closed in `end`

    def add(self, answers: Sequence[Answer]) -> None:
        """Draw the answers for one host."""
        self._results[worst(answers)] += 1
        for answer in answers:
            self._only = answer
            anchor = f"host-{len(self._rows) + 1}"
            name = f'<a href="#{anchor}">{text(answer.full_title)}</a>'
            self._rows.append(f'<tr class="{answer.tone}"><td>{name}<td>{text(verdict.headline(answer))}\n')
            self._sections.write(_section(answer, anchor, self._here))

    def end(self) -> None:
        """Write the page."""
        many = len(self._rows) > 1
        only = self._only
        title = verdict.summary(self._results).rstrip(".") if many else f"{only.title}: {verdict.headline(only)}"
        heading = counted(self._results.total(), "host") if many else f"The chain of {only.title}"
        style = (files(__package__) / "page.css").read_text(encoding="utf-8")
        self._file.write(
            _HEAD.format(
                title=text(title),
                heading=text(heading),
                style=style,
                tally=self._tally() if many else "",
                when=output.timestamp(time.time()).replace("T", " ").replace("Z", " UTC"),
                roots=text(self._here.roots_path),
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
        """The number of hosts for each result."""
        parts = (
            f'<span class="{result}">{self._results[result]:,} {result.replace("-", " ")}</span>'
            for result in Result
            if self._results[result]
        )
        return f'<p class="tally">{" ".join(parts)}</p>\n'


def text(value: str) -> str:
    """Any text as HTML, which may also be used in a quoted attribute."""
    return html.escape(output.harmless(value))


def _section(answer: Answer, anchor: str, here: Here) -> str:
    """One chain as HTML; `anchor` is its fragment in links."""
    finding = answer.finding
    if finding is None:
        body = f"<p class=verdict>{text(answer.error or '')}</p>\n"
    else:
        body = "".join(_body(answer, finding, here))
    badge = answer.result.replace("-", " ")
    return (
        f'<section id="{anchor}" class="{answer.tone}">\n'
        f"<h2>{text(answer.full_title)} <span class=badge>{badge}</span></h2>\n{body}</section>\n"
    )


def _body(answer: Answer, finding: Finding, here: Here) -> Iterator[str]:
    how = verdict.how_reached(finding)
    if how:
        yield f"<p class=how>{text(how)}</p>\n"
    command = f"{verdict.command_for(finding.target)} --fullchain FILE"
    for sentence in verdict.sentences(answer, here):
        if sentence.startswith(verdict.WORKS_IN):
            continue  # drawn below
        shown = text(sentence).replace(text(command), f"<code>{text(command)}</code>")
        yield f"<p class=verdict>{shown}</p>\n"
    yield "<ol class=chain>\n"
    for link in verdict.links(finding):
        yield _card(link, finding, here.roots_path)
    if finding.not_found is not None:
        name = text(output.short_name(finding.not_found))
        yield f"<li class=missing><small>Issuer</small><b>{name}</b><span class=state>not found</span>\n"
    yield "</ol>\n"
    yield from _aside(finding)
    yield from _clients(finding)
    if answer.result is Result.INCOMPLETE:
        pem = html.escape(finding.fullchain)
        yield f"<details><summary>The full chain to install</summary><pre>{pem}</pre></details>\n"


def _card(link: Link, finding: Finding, roots_path: str) -> str:
    """One certificate of the path."""
    is_leaf = link.certificate == finding.chain.leaf
    role = "Trust anchor" if link.kind == "anchor" else "Server" if is_leaf else "Intermediate"
    source = verdict.source_of(link.certificate, finding)
    state, *rows = {
        "anchor": ["trusted here", *link.notes, f"in {roots_path}"],
        "missing": ["not sent", *link.notes, source],
        "bad": [f"{source}, but {link.fault}", *link.notes],
        "ending": ["sent", *link.notes],
        "sent": ["sent", *link.notes],
    }[link.kind]
    if is_leaf:
        rows.append(f"for {verdict.names_of(link.certificate)}")
    details = "".join(f"<span>{text(row)}</span>" for row in rows)
    return (
        f"<li class={link.kind}><small>{role}</small><b>{text(output.subject(link.certificate))}</b>"
        f"<span class=state>{text(state)}</span>{details}\n"
    )


def _aside(finding: Finding) -> Iterator[str]:
    """What was sent or found but is not part of the path, and what could not be fetched."""
    found = [
        f"<b>{text(output.subject(certificate))}</b>: {text(verdict.uselessness(certificate, finding))}"
        for certificate in finding.useless
    ]
    found += [f"<code>{text(url)}</code>: {text(reason)}" for url, reason in finding.failed.items()]
    if found:
        yield "<ul class=aside>\n" + "".join(f"<li>{one}\n" for one in found) + "</ul>\n"


def _clients(finding: Finding) -> Iterator[str]:
    """Which clients are expected to connect, grouped by reason."""
    seen = clients.of(finding)
    yield "<div class=clients>\n"
    for works, title in ((True, "Works in"), (False, "Fails in")):
        side = [view for view in seen if view.works is works]
        if side:
            all_alike = len({view.why for view in seen}) == 1
            groups = (_alike(reason, side) for reason in dict.fromkeys(view.why for view in side))
            shown = f"<p>every client: {text(side[0].why)}</p>" if all_alike else "".join(groups)
            yield f"<div class={'works' if works else 'fails'}><h3>{title}</h3>{shown}</div>\n"
    yield "</div>\n"


def _alike(reason: str, side: list[View]) -> str:
    """The clients with this reason."""
    clients = "".join(f"<li>{text(view.client)}" for view in side if view.why == reason)
    return f"<ul>{clients}</ul><p>{text(reason)}</p>\n"
