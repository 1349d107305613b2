"""What is needed to make and play worlds: a fast folder, an AIA host, and servers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import aia_store
from tests.support.pki import pem, pkcs7, pkcs7_ber
from tests.support.servers import AIAHost

from . import generator
from .checks import check, check_what_is_kept
from .memory import Servers
from .model import World
from .reach import check_refusal
from .tally import Tally
from .trial import Attach, Trial, with_the_hook

_FORMS: dict[str, Callable[..., bytes]] = {
    "DER": lambda der: der,
    "PEM": lambda der: pem(der).encode("ascii"),
    "PKCS#7": pkcs7,
    "BER": pkcs7_ber,
}


class Laboratory:
    """What all trials share."""

    def __init__(self, folder: Path, host: AIAHost) -> None:
        self.folder = folder
        self.host = host
        self.servers = Servers(generator.KEYS[generator.SERVER_KEY], folder)

    def world(self, seed: int, flags: int | None = None) -> World:
        """The world of a seed, its certificates published; with `flags`, the program's are those."""
        world = generator.world(seed, self.host.url(""), flags)
        for url, (form, content) in world.published.items():
            self.host.publish(url.removeprefix(self.host.url("")), _FORMS[form](*(made.der for made in content)))
        return world

    def run(self, world: World, tally: Tally, attach: Attach = with_the_hook) -> None:
        """Play one world, and look at everything after each handshake."""
        folder = self.folder / f"{world.seed}"
        folder.mkdir()
        tally.counts["worlds"] += 1
        try:
            trial = Trial(self.servers, world, folder, attach)
            for step, outcome in trial.play():
                still_broken = check(trial, step, outcome, tally)
                if attach is with_the_hook:
                    check_what_is_kept(trial, outcome, tally)
                    if still_broken and not step.early:
                        check_refusal(trial, step, tally)
        finally:
            aia_store.disable()
            shutil.rmtree(folder)
