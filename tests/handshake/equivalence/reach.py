"""The other direction: what could the hook have completed, and did not, and why?"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
from collections.abc import Iterable
from unittest import mock

from aia_store.inside import aia, completion, path
from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder

from .judge import TooDense, paths
from .model import Made, Step
from .tally import Tally
from .trial import BESIDE_A_PIN, Trial

MOST_FETCHES = 3
MOST_ASKED = 12  # paths, for one refusal
FILLED_BEFORE = "in a context that was filled before the hook"
#: Where what is added could become an anchor, it must repeat every constraint from above; here, few CAs do.
BY_DESIGN = (FILLED_BEFORE, BESIDE_A_PIN.strip())


def check_refusal(trial: Trial, step: Step, tally: Tally) -> None:
    """Note whether the chain could have been completed with what was sent, is in the store and is published."""
    at_hand = {*step.server.sends, *trial.trusted, *_in_store(trial)}
    judge = trial.judge(step.server.host, trial.settings)

    def reachable(below: Made) -> Iterable[Made]:
        _, published = trial.world.published.get(below.url or "", ("", ()))
        return at_hand.union(published)

    try:
        candidates = paths(step.server.leaf, trial.trusted, reachable, no_key_twice=True)
        for _, candidate in zip(range(MOST_ASKED), candidates):
            fetched = sum(made not in at_hand for made in candidate[1:-1])
            if fetched <= MOST_FETCHES and judge.accepts([made.der for made in candidate]):
                story = trial.story("\n".join(made.label for made in candidate))
                tally.refusals.append((_why(trial, step), trial.world.seed, story))
                return
    except TooDense:
        return


def _in_store(trial: Trial) -> list[Made]:
    """What the store finds: what lies under its own name."""
    found = []
    for place in trial.planted:
        made = trial.made[ssl.PEM_cert_to_DER_cert(place.read_text(encoding="ascii"))]
        if place.parent.name == hashlib.sha256(Certificate(made.der).subject_key).hexdigest():
            found.append(made)
    return found


def _why(trial: Trial, step: Step) -> str:
    """Which kind of refusal this is, found out by trying again."""
    if _tries_again(trial, step, unseen=trial.world.attached_late):
        return "after what went before"
    if _tries_again(trial, step):
        return FILLED_BEFORE
    with contextlib.ExitStack() as generous:
        for module, name in ((aia, "MOST_FETCHES"), (path, "MOST_STEPS"), (completion, "MOST_REHEARSALS")):
            generous.enter_context(mock.patch.object(module, name, 10_000))
        if _tries_again(trial, step):
            return "beyond a budget"
    return trial.beside.strip() or "otherwise"


def _tries_again(trial: Trial, step: Step, *, unseen: bool = False) -> bool:
    """The same handshake as the first of a context, with a store that remembers no failure."""
    number = len(list(trial.folder.iterdir()))
    store = Folder(str(trial.folder / f"store {number}"))
    for made in _in_store(trial):
        store.keep(Certificate(made.der))
    with mock.patch.dict(os.environ, AIA_STORE_DIR=store.path):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trial.set_up(context, unseen=unseen)
        trial.attach(context, trial.world)
        return trial.meet(context, step.server, step.tls_1_2).accepted
