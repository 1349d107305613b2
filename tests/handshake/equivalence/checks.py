"""What must hold after each handshake, according to the judge."""

from __future__ import annotations

import itertools
import ssl
from dataclasses import replace
from pathlib import Path

from .judge import TooDense
from .memory import Outcome
from .model import CRL_CHECK_CHAIN, Made, Settings, Step
from .tally import Tally
from .trial import Trial

MOST_PATHS = 2000  # that are tried; then there is assumed to be no good one


def check(trial: Trial, step: Step, outcome: Outcome, tally: Tally) -> bool:
    """Compare one outcome with the judge's; returns whether the chain stayed broken, for plain OpenSSL and for us."""
    counts, settings = tally.counts, trial.settings_of(step)
    plain = trial.judge(step.server.host, settings).verdict(step.server.message)
    counts["handshakes"] += 1
    counts["right servers"] += plain.accepted
    if plain.accepted and not outcome.accepted:
        _report(trial, tally, "a right server refused", str(outcome.refusal))
    if outcome.accepted and not plain.accepted:
        counts["completed"] += 1
        counts["completed" + _remark(trial, step)] += 1
        _check_acceptance(trial, step, outcome, tally)
    if trial.state() != trial.before:
        _report(trial, tally, "settings changed", f"{trial.before} to {trial.state()}")
    if added := trial.added():
        _report(trial, tally, "the program's context changed", "\n".join(made.label for made in added))
    return not (outcome.accepted or plain.accepted)


def check_what_is_kept(trial: Trial, outcome: Outcome, tally: Tally) -> None:
    """What the hook kept in the store is on an accepted path."""
    for place in map(Path, trial.store.paths()):
        if place not in trial.planted:
            trial.planted.add(place)
            made = trial.made[ssl.PEM_cert_to_DER_cert(place.read_text(encoding="ascii"))]
            if not _is_proved(trial, made, outcome, tally):
                _report(trial, tally, "kept without an accepted path", made.label)


def _remark(trial: Trial, step: Step) -> str:
    if step.early:
        return " early"
    if trial.world.trust:
        return " with trust settings"
    return " with CRLs" if trial.settings.flags & CRL_CHECK_CHAIN else " otherwise"


def _check_acceptance(trial: Trial, step: Step, outcome: Outcome, tally: Tally) -> None:
    """Promise 1: there is a path that plain OpenSSL accepts, exactly that one."""
    host, settings = step.server.host, trial.settings_of(step)
    chain = [trial.made[der] for der in outcome.chain]
    if chain[-1] in trial.trusted and trial.accepts(host, settings, chain):
        return
    try:
        paths = itertools.islice(trial.paths(step.server.leaf), MOST_PATHS)
        if any(trial.accepts(host, settings, path) for path in paths):
            return
    except TooDense:
        tally.counts["undecided"] += 1
        return
    early = " by an object made before the hook" if step.early else ""
    _report(trial, tally, f"wrongly accepted{early}", "\n".join(made.label for made in chain))


def _is_proved(trial: Trial, made: Made, outcome: Outcome, tally: Tally) -> bool:
    """Whether a leaf has an accepted path through this certificate, to one of the anchors alone."""

    def prove(path: list[Made]) -> bool:
        leads_there = made in path[1:-1] and path[-1] in trial.trusted
        if leads_there and any(trial.accepts(None, settings, path) for settings in known):
            trial.proved.update(path[1:-1])
        return made in trial.proved

    if made in trial.proved:
        return True
    # What is revoked for one program is still kept for the others.
    known = {_without_crls(trial.settings), _without_crls(trial.world.settings)}
    if outcome.accepted and prove([trial.made[der] for der in outcome.chain]):
        return True
    leaves = dict.fromkeys(step.server.leaf for step in trial.world.steps)
    try:
        return any(prove(path) for leaf in leaves for path in trial.paths(leaf))
    except TooDense:
        tally.counts["undecided"] += 1
        return True


def _without_crls(settings: Settings) -> Settings:
    return replace(settings, flags=settings.flags & ~CRL_CHECK_CHAIN)


def _report(trial: Trial, tally: Tally, kind: str, detail: str) -> None:
    tally.findings.append((kind, trial.world.seed, trial.story(f"{kind}: {detail}")))


#: Findings that must never occur.
FORBIDDEN = (
    "wrongly accepted",
    "wrongly accepted by an object made before the hook",
    "settings changed",
    "the program's context changed",
    "kept without an accepted path",
    "a right server refused",
)
