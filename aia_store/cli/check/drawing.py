"""One answer as a section of the page: the chain, link by link, what it comes to, and in which clients it works."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from ...probe.names import names
from ...probe.views import views
from .. import output
from .answer import Result
from .words import command_for, fault_of, how_reached, lasting, revocation_of, source_of, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...der import Certificate
    from ...probe import Finding
    from .answer import Answer

MOST_NAMES = 8  # of the leaf, shown
_LEAF, _CA, _ANCHOR = "Server", "Intermediate", "Trust anchor"


def text(value: str) -> str:
    """Any text as HTML, also within an attribute's quotes."""
    return html.escape(output.harmless(value))


def section(answer: Answer, anchor: str, roots_path: str, *, offline: bool) -> str:
    """One host, as HTML; `anchor` is the fragment that leads here."""
    finding = answer.finding
    if finding is None:
        body = f"<p class=verdict>{text(answer.error or '')}</p>\n"
    else:
        body = "".join(_body(answer, finding, roots_path, offline=offline))
    return (
        f'<section id="{anchor}" class="{answer.result}">\n'
        f"<h2>{text(answer.title)} <span class=badge>{answer.result.replace('-', ' ')}</span></h2>\n{body}</section>\n"
    )


def _body(answer: Answer, finding: Finding, roots_path: str, *, offline: bool) -> Iterator[str]:
    how = how_reached(finding.target)
    if how:
        yield f"<p class=how>{text(how)}</p>\n"
    command = f"{command_for(finding.target)} --fullchain FILE"
    for sentence in verdict(answer, offline=offline):
        if sentence.startswith("Works in: "):
            continue  # drawn below
        shown = text(sentence).replace(text(command), f"<code>{text(command)}</code>")
        yield f"<p class=verdict>{shown}</p>\n"
    yield "<ol class=chain>\n"
    path = finding.path.certificates if finding.path is not None else [finding.chain.leaf]
    for certificate in path:
        yield _link(certificate, finding, roots_path)
    if finding.path is None and not finding.chain.is_hopeless():
        yield f"<li class=gap><b>{text(output.issuer(path[-1]))}</b><span class=state>not found</span>\n"
    yield "</ol>\n"
    yield from _aside(finding, path)
    yield from _clients(finding)
    if answer.result is Result.INCOMPLETE:
        yield f"<details><summary>The full chain to install</summary><pre>{text_of_pem(finding)}</pre></details>\n"


def text_of_pem(finding: Finding) -> str:
    """The full chain, whose lines are kept."""
    return html.escape(finding.fullchain)


def _link(certificate: Certificate, finding: Finding, roots_path: str) -> str:
    """One certificate of the path, as a card."""
    is_leaf = certificate == finding.chain.leaf
    if finding.path is not None and certificate is finding.path.certificates[-1]:
        kind, role, state = "anchor", _ANCHOR, f"trusted here, in {roots_path}"
    elif certificate in finding.missing:
        kind, role, state = "missing", _CA, f"not sent; {source_of(certificate, finding)}"
    else:
        role = _LEAF if is_leaf else _CA
        is_bad = certificate in finding.revoked_links or (is_leaf and finding.refusal and finding.chain.is_hopeless())
        kind, state = ("bad" if is_bad else "sent"), "sent"
    rows = [lasting(certificate, finding), revocation_of(certificate, finding)]
    if is_leaf:
        found = names(certificate)
        rows.append("for " + ", ".join(found[:MOST_NAMES]) + (", …" if len(found) > MOST_NAMES else ""))
    details = "".join(f"<span>{text(row)}</span>" for row in rows if row)
    return (
        f"<li class={kind}><small>{role}</small><b>{text(output.subject(certificate))}</b>"
        f"<span class=state>{text(state)}</span>{details}\n"
    )


def _aside(finding: Finding, path: list[Certificate]) -> Iterator[str]:
    """What was sent or found and is no part of the path, and what could not be fetched."""
    useless = {link: "sent, but no part of the path" for link in finding.chain.sent if link not in path}
    useless = {**dict.fromkeys(finding.revoked, "found, but of no use"), **useless}
    found = [
        f"<b>{text(output.subject(link))}</b>: {said}: {text(fault_of(link, finding))}"
        for link, said in useless.items()
    ]
    found += [f"<code>{text(url)}</code>: {text(reason)}" for url, reason in finding.failed.items()]
    if found:
        yield "<ul class=aside>\n" + "".join(f"<li>{one}\n" for one in found) + "</ul>\n"


def _clients(finding: Finding) -> Iterator[str]:
    """In which clients it is expected to work, and why."""
    seen = views(finding)
    yield "<div class=clients>\n"
    for works, title in ((True, "Works in"), (False, "Fails in")):
        items = "".join(
            f"<li><b>{text(view.client)}</b> <span>{text(view.why)}</span>\n" for view in seen if view.works is works
        )
        if items:
            yield f"<div class={'works' if works else 'fails'}><h3>{title}</h3><ul>\n{items}</ul></div>\n"
    yield "</div>\n"
