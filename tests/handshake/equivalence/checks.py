"""What must hold after each handshake, in the judge's eyes."""

from __future__ import annotations

import itertools
import ssl
from pathlib import Path

from .judge import TooDense, is_self_signed, orders
from .memory import Outcome
from .model import Made, Step
from .tally import Tally
from .trial import BESIDE_A_PIN, Trial

MOST_WAYS = 2000  # to send certificates, before one is thought not to exist


def check(trial: Trial, step: Step, outcome: Outcome, tally: Tally) -> bool:
    """Hold one outcome against the judge's; returns whether the chain stayed broken, for plain OpenSSL and for us."""
    counts, settings = tally.counts, trial.settings_of(step)
    plain = trial.judge(step.server.host, settings).verdict(step.server.message)
    counts["handshakes"] += 1
    counts["right servers"] += plain.accepted
    if plain.accepted and not outcome.accepted:
        # What was added cannot be taken away: one of two certificates of a name and a key can keep the other from
        # being seen; and it can cost a pin its worth, as trust comes first.
        after = trial.beside or (" after an addition" if trial.added_before else "")
        _report(trial, tally, "a right server refused" + after, str(outcome.refusal))
    if outcome.accepted and not plain.accepted:
        counts["completed"] += 1
        counts["completed" + (" early" if step.early else trial.beside or " otherwise")] += 1
        _check_acceptance(trial, step, outcome, tally)
    if trial.state() != trial.before:
        _report(trial, tally, "settings changed", f"{trial.before} to {trial.state()}")
    return not (outcome.accepted or plain.accepted)


def check_what_is_left(trial: Trial, outcome: Outcome, tally: Tally) -> None:
    """What the hook added to the context and kept in the store is on an accepted path, and no root."""
    for made in trial.added():
        if is_self_signed(made.der):
            _report(trial, tally, "a self-signed certificate added", made.label)
        if not _is_proved(trial, made, outcome, tally):
            _report(trial, tally, "added without an accepted path", made.label)
    for place in map(Path, trial.store.paths()):
        if place not in trial.planted:
            trial.planted.add(place)
            made = trial.made[ssl.PEM_cert_to_DER_cert(place.read_text(encoding="ascii"))]
            if not _is_proved(trial, made, outcome, tally):
                _report(trial, tally, "kept without an accepted path", made.label)


def _check_acceptance(trial: Trial, step: Step, outcome: Outcome, tally: Tally) -> None:
    """Promise 1: there is a way to send the certificates that plain OpenSSL accepts."""
    host, settings = step.server.host, trial.settings_of(step)
    judge = trial.judge(host, settings)
    if judge.accepts(outcome.chain):
        return
    *_, anchor = chain = [trial.made[der] for der in outcome.chain]
    if anchor in trial.trusted and trial.judge(host, settings, anchor).accepts(outcome.chain):
        # OpenSSL does not backtrack: where the program's context holds another certificate of a name in the path, it
        # may refuse what it accepts before the path's own anchor. To accept it widens nothing.
        tally.counts["completed past another trusted certificate"] += 1
        return
    try:
        ways = (order for path in trial.paths(step.server.leaf) for order in orders(path))
        if any(map(judge.accepts, itertools.islice(ways, MOST_WAYS))):
            return
    except TooDense:
        tally.counts["undecided"] += 1
        return
    early = " by an object made before the hook" if step.early else ""
    _report(trial, tally, f"wrongly accepted{early}", "\n".join(made.label for made in chain))


def _is_proved(trial: Trial, made: Made, outcome: Outcome, tally: Tally) -> bool:
    """Whether a leaf has an accepted path through this certificate, to one of the anchors alone."""

    def prove(path: list[Made]) -> bool:
        if made in path[1:-1] and path[-1] in trial.trusted:
            message = [other.der for other in path]
            if any(trial.judge(None, settings, path[-1]).accepts(message) for settings in known):
                trial.proved.update(path[1:-1])
        return made in trial.proved

    if made in trial.proved:
        return True
    known = {trial.settings, trial.world.settings}
    if outcome.accepted and prove([trial.made[der] for der in outcome.chain]):
        return True
    leaves = dict.fromkeys(step.server.leaf for step in trial.world.steps)
    try:
        return any(prove(path) for leaf in leaves for path in trial.paths(leaf))
    except TooDense:
        tally.counts["undecided"] += 1
        return True


def _report(trial: Trial, tally: Tally, kind: str, detail: str) -> None:
    tally.findings.append((kind, trial.world.seed, trial.story(f"{kind}: {detail}")))


#: What must never be found.
FORBIDDEN = (
    "wrongly accepted",
    "settings changed",
    "a self-signed certificate added",
    "added without an accepted path",
    "kept without an accepted path",
    "a right server refused",
)
#: What is found now and then, in worlds that are made to find it.
RARE = (f"a right server refused{BESIDE_A_PIN}", "a right server refused after an addition")
