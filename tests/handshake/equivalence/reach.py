"""The other direction: what the hook could have completed but did not, and why."""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Iterable, Sequence
from unittest import mock

from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder
from tests.conftest import PARTIAL_CHAIN
from tests.support.ca_files import hides_some

from .judge import TooDense, paths
from .model import CRL_CHECK_CHAIN, Made, Step
from .tally import Tally
from .trial import Trial, new_context

MOST_FETCHES = 3
MOST_ASKED = 12  # paths, for one refusal
FILLED_BEFORE = "in a context that was filled before the hook"
ALL_CRLS = "all CRLs are checked, and chains may end early"
ASTRAY = "only the program's context can be asked, and OpenSSL is led astray there"
#: The cases in which a connection is left alone by design.
BY_DESIGN = (FILLED_BEFORE, ALL_CRLS, ASTRAY)


def check_refusal(trial: Trial, step: Step, tally: Tally) -> None:
    """Note whether the chain could have been completed with what was sent, stored and published."""
    at_hand = {*step.server.sends, *trial.trusted, *_in_store(trial)}

    def reachable(below: Made) -> Iterable[Made]:
        _, published = trial.world.published.get(below.url or "", ("", ()))
        return at_hand.union(published)

    try:
        candidates = paths(step.server.leaf, trial.trusted, reachable, no_name_twice=True)
        for _, candidate in zip(range(MOST_ASKED), candidates):
            fetched = sum(made not in at_hand for made in candidate[1:-1])
            if fetched <= MOST_FETCHES and trial.accepts(step.server.host, trial.settings, candidate):
                story = trial.story("\n".join(made.label for made in candidate))
                tally.refusals.append((_why(trial, step, candidate), trial.world.seed, story))
                return
    except TooDense:
        return


def _in_store(trial: Trial) -> list[Made]:
    """What the store finds: the files that have their own names."""
    found = []
    for place in trial.planted:
        made = trial.made[ssl.PEM_cert_to_DER_cert(place.read_text(encoding="ascii"))]
        if place.parent.name == hashlib.sha256(Certificate(made.der).subject_key).hexdigest():
            found.append(made)
    return found


def _why(trial: Trial, step: Step, path: Sequence[Made]) -> str:
    """Which kind of refusal this is, found out by trying again."""
    flags = trial.settings.flags
    if flags & CRL_CHECK_CHAIN == CRL_CHECK_CHAIN and flags & PARTIAL_CHAIN:
        return ALL_CRLS
    judge = trial.judge(step.server.host, trial.settings)
    only_the_program_knows = trial.world.is_special or hides_some(trial.context)
    if only_the_program_knows and not judge.accepts([made.der for made in path]):
        return ASTRAY
    if _tries_again(trial, step, unseen=trial.world.attached_late):
        return "after what went before"
    if _tries_again(trial, step):
        return FILLED_BEFORE
    return "otherwise"


def _tries_again(trial: Trial, step: Step, *, unseen: bool = False) -> bool:
    """The same handshake as the first of a context, with a store that remembers no failure."""
    number = len(list(trial.folder.iterdir()))
    store = Folder(str(trial.folder / f"store {number}"))
    for made in _in_store(trial):
        store.keep(Certificate(made.der))
    with mock.patch.dict(os.environ, AIA_STORE_DIR=store.path):
        context = new_context(unseen=unseen)
        trial.set_up(context, unseen=unseen)
        trial.attach(context, trial.world, trial.folder)
        return trial.meet(context, step.server, step.tls_1_2).accepted
