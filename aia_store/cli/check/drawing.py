"""One answer as a section of the page: the chain, link by link, what it comes to, and in which clients it works."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from ...check.views import views
from .. import output
from .answer import Result
from .phrases import command_for, fault_of, how_reached, lasting, names_of, revocation_of, source_of, uselessness
from .verdict import WORKS_IN, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...check import Finding
    from ...check.views import View
    from ...inside.certificate import Certificate
    from .answer import Answer


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
    for sentence in verdict(finding, answer.expiry_days, offline=offline):
        if sentence.startswith(WORKS_IN):
            continue  # drawn below
        shown = text(sentence).replace(text(command), f"<code>{text(command)}</code>")
        yield f"<p class=verdict>{shown}</p>\n"
    yield "<ol class=chain>\n"
    for certificate in finding.drawn:
        yield _link(certificate, finding, roots_path)
    if finding.not_found is not None:
        name = text(output.short_name(finding.not_found))
        yield f"<li class=missing><small>Issuer</small><b>{name}</b><span class=state>not found</span>\n"
    yield "</ol>\n"
    yield from _aside(finding)
    yield from _clients(finding)
    if answer.result is Result.INCOMPLETE:
        pem = html.escape(finding.fullchain)
        yield f"<details><summary>The full chain to install</summary><pre>{pem}</pre></details>\n"


def _link(certificate: Certificate, finding: Finding, roots_path: str) -> str:
    """One certificate of the path, as a card."""
    is_leaf = certificate == finding.chain.leaf
    role = "Server" if is_leaf else "Intermediate"
    fault = fault_of(certificate, finding)
    rows = [lasting(certificate, finding), revocation_of(certificate, finding)]
    if finding.is_anchor(certificate) and not is_leaf:
        kind, role, state = "anchor", "Trust anchor", "trusted here"
        rows.append(f"in {roots_path}")
    elif certificate in finding.missing:
        kind, state = "missing", "not sent"
        rows.append(source_of(certificate, finding))
    elif fault is not None:
        kind, state = "bad", f"sent, but {fault}"
    else:
        kind, state = "sent", "sent"
    if is_leaf:
        rows.append(f"for {names_of(certificate)}")
    details = "".join(f"<span>{text(row)}</span>" for row in rows if row)
    return (
        f"<li class={kind}><small>{role}</small><b>{text(output.subject(certificate))}</b>"
        f"<span class=state>{text(state)}</span>{details}\n"
    )


def _aside(finding: Finding) -> Iterator[str]:
    """What was sent or found and is no part of the path, and what could not be fetched."""
    found = [
        f"<b>{text(output.subject(certificate))}</b>: {text(uselessness(certificate, finding))}"
        for certificate in finding.useless
    ]
    found += [f"<code>{text(url)}</code>: {text(reason)}" for url, reason in finding.failed.items()]
    if found:
        yield "<ul class=aside>\n" + "".join(f"<li>{one}\n" for one in found) + "</ul>\n"


def _clients(finding: Finding) -> Iterator[str]:
    """In which clients it is expected to work, those together for which the reason is the same."""
    seen = views(finding)
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
