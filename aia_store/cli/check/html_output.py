"""Answers as one HTML file, which loads nothing from elsewhere, and runs nothing.

Its texts come from hosts and certificates. `text` escapes them. If that ever failed, the page's Content-Security-Policy
would still allow only its style sheet.
"""

from __future__ import annotations

import html
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from urllib.parse import quote

from ...check import views as clients
from ...check.asked import FileTarget
from ...check.finding import Finding
from ...check.views import View
from ...inside.certificate import Certificate
from ...manager.words import counted
from ...version import __version__
from .. import output
from ..files import Writable
from . import advice, html_overview, one_sentence, servers
from .advice import Link
from .html_escaping import dated, text
from .html_overview import Drawing
from .result import Answer, Here, Result, worst_tone
from .servers import Lines

MOST_BESIDE = 5  # links beside one another; a longer chain is drawn from top to bottom

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


class Page:
    """Writes one page about all answers to a file: the worst first, grouped by cause."""

    def __init__(self, file: Writable, here: Here, *, details: bool = False) -> None:
        self._file = file
        self._here = here
        self._details = details
        self._results: Counter[Result] = Counter()
        self._drawings: list[Drawing] = []
        self._last: Answer
        # Kept until all are there, to be sorted; on disk, because there may be ten thousand.
        self._sections = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `end`

    def add(self, answers: Sequence[Answer]) -> None:
        """Draw the answers for one host."""
        self._results[worst_tone(answers)] += 1
        for answer in answers:
            number, at = len(self._drawings), self._sections.tell()
            size = self._sections.write(_section(answer, number, self._here, details=self._details).encode())
            is_file, cause = isinstance(answer.target, FileTarget), one_sentence.cause(answer)
            self._drawings.append(
                Drawing(answer.title, answer.full_title, is_file, answer.tone, answer.rank, cause, number, at, size)
            )
            self._last = answer

    def end(self) -> None:
        """Write the page."""
        many = len(self._drawings) > 1
        only = self._last
        noun = "file" if all(drawing.is_file for drawing in self._drawings) else "host"
        summary = advice.summary(self._results, noun).rstrip(".")
        title = summary if many else f"{only.title}: {advice.headline(only)}"
        heading = counted(self._results.total(), noun) if many else f"The chain of {only.title}"
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
        groups = html_overview.groups(self._drawings, noun)
        if many:
            self._file.write(html_overview.table(groups))
        with self._sections as sections:
            for group in groups:
                for drawing in group.drawn:
                    sections.seek(drawing.at)
                    self._file.write(sections.read(drawing.size).decode())
                self._file.write(html_overview.named(group))
        self._file.write(_FOOT.format(version=__version__))

    def _tally(self) -> str:
        """The number of hosts for each result."""
        parts = (
            f'<span class="{result}">{self._results[result]:,} {result.replace("-", " ")}</span>'
            for result in Result
            if self._results[result]
        )
        return f'<p class="tally">{" ".join(parts)}</p>\n'


def _section(answer: Answer, number: int, here: Here, *, details: bool) -> str:
    """One chain as HTML; links refer to it by this number."""
    finding = answer.finding
    badge = answer.result.replace("-", " ")
    rest = "".join(_body(answer, finding, here, details=details)) if finding is not None else ""
    return (
        f'<section id="{html_overview.fragment(number)}" class="{answer.tone}">\n'
        f"<h2><span class=name>{text(answer.full_title)}</span> <span class=badge>{badge}</span></h2>\n"
        f"<p class=lead>{text(one_sentence.sentence(answer))}</p>\n{rest}</section>\n"
    )


def _body(answer: Answer, finding: Finding, here: Here, *, details: bool) -> Iterator[str]:
    """What to do, the path, what is not part of the path, and which clients can connect."""
    sentences = "".join(_sentences(answer, finding, here))
    is_mended_by_chain = answer.result is Result.INCOMPLETE
    yield _install(finding) if is_mended_by_chain else sentences
    cards = [_card(link, finding, here.anchor_path, details=details) for link in advice.links(finding)]
    if finding.not_found is not None:
        name = text(output.short_name(finding.not_found))
        cards.append(f"<li class=missing><small>Issuer</small><b>{name}</b><span class=state>not found</span>\n")
    yield f'<ol class="chain{" long" if len(cards) > MOST_BESIDE else ""}">\n{"".join(cards)}</ol>\n'
    yield from _aside(finding)
    yield sentences if is_mended_by_chain else ""
    yield from _clients(finding)


def _sentences(answer: Answer, finding: Finding, here: Here) -> Iterator[str]:
    """The sentences that a terminal shows, except the one about clients, and how the host was reached."""
    command = advice.fullchain_command(finding.target)
    words = " ".join(f"<span>{text(word)}</span>" for word in command.split(" "))
    for sentence in advice.sentences(answer, here):
        if not sentence.startswith(advice.WORKS_IN):
            shown = text(sentence).replace(text(command), f"<code>{words}</code>")
            yield f"<p class=verdict>{shown}</p>\n"
    how = advice.how_reached(finding)
    if how:
        yield f"<p class=how>Reached {text(how)}.</p>\n"


def _install(finding: Finding) -> str:
    """What the owner should install, and how."""
    host = finding.target.name
    chain = _taken(finding.fullchain, servers.file_name(host))
    count = counted(len(finding.links) - 1, "intermediate")
    lines = "".join(_lines(one, finding) for one in servers.lines_for(host))
    return (
        "<div class=install>\n"
        f"<p>To mend it, let the server send {chain}: its certificate and {count}, in the right order. Its private key "
        "stays the same.</p>\n"
        "<details><summary>The lines for nginx, Apache, HAProxy, Caddy, Postfix and IIS</summary>"
        f"<dl>\n{lines}</dl></details>\n"
        f"<details><summary>The file as text</summary><pre>{html.escape(finding.fullchain)}</pre></details>\n</div>\n"
    )


def _lines(of: Lines, finding: Finding) -> str:
    each = [_taken(link.pem, servers.file_name(output.subject(link), ".cer")) for link in finding.links[1:]]
    links = f"<p>{', '.join(each)}</p>" if of.takes_each else ""
    blocks = "".join(f"<pre>{html.escape(block)}</pre>" for block in (of.first, of.lines) if block)
    return f"<dt>{of.server}<dd><p>{text(of.where)}</p>{links}{blocks}\n"


def _taken(pem: str, name: str) -> str:
    """A link that saves a PEM text under a name, without a server and without a script."""
    data = f"data:application/x-pem-file,{quote(pem, safe='+/=')}"
    return f'<a class=file download="{text(name)}" href="{data}">{text(name)}</a>'


def _card(link: Link, finding: Finding, anchor_path: str, *, details: bool) -> str:
    is_leaf = link.certificate == finding.chain.leaf
    if link.kind == "anchor":
        role = "Trust anchor"
    elif is_leaf:
        role = "Server"
    else:
        role = "Root" if link.certificate.is_self_signed else "Intermediate"
    source = advice.source_of(link.certificate, finding)
    state, *rows = {
        "anchor": ["trusted here", *link.notes, f"in {anchor_path}"],
        "missing": [f"not {advice.how_sent(finding)}", *link.notes, source],
        "bad": [f"{source}, but {link.fault}", *link.notes],
        "ending": [source, *link.notes],
        "sent": [source, *link.notes],
    }[link.kind]
    if is_leaf:
        rows.append(f"for {advice.names_of(link.certificate)}")
    spans = "".join(f"<span>{dated(row)}</span>" for row in rows)
    folded = _folded(link.certificate) if details else ""
    return (
        f"<li class={link.kind}><small>{role}</small><b>{text(output.subject(link.certificate))}</b>"
        f"<span class=state>{text(state)}</span>{spans}{folded}\n"
    )


def _folded(certificate: Certificate) -> str:
    from .details import rows

    shown = "".join(f"<dt>{text(label)}<dd>{text(value)}\n" for label, value in rows(certificate))
    return f"<details><summary>Details</summary><dl>\n{shown}</dl></details>"


def _aside(finding: Finding) -> Iterator[str]:
    """What was sent or found but is not part of the path, and what could not be fetched."""
    found = [
        f"<b>{text(output.subject(certificate))}</b>: {text(advice.uselessness(certificate, finding))}"
        for certificate in finding.useless
    ]
    found += [
        f"<code>{text(output.url(url))}</code>: {text(output.url(reason))}" for url, reason in finding.failed.items()
    ]
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
    clients = "".join(f"<li>{text(view.client)}" for view in side if view.why == reason)
    return f"<ul>{clients}</ul><p>{text(reason)}</p>\n"
