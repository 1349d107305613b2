"""Trust on demand changes no verdict and no error: every world is played with and without it."""

from __future__ import annotations

import _ssl
import os
import shutil
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import aia_store
from aia_store.inside import cafile
from aia_store.inside.certificate import readable
from aia_store.inside.trusted import Trusted
from tests.support.ca_files import hides_some, large_ca_file, large_file, loaded
from tests.support.pki import pem

from .judge import Judge, apply
from .laboratory import Laboratory
from .memory import Outcome
from .model import Made
from .trial import Trial, with_the_hook

WORLDS = int(os.environ.get("AIA_STORE_TEST_PKIS", "300")) // 2
SEED = int(os.environ.get("AIA_STORE_TEST_SEED", "0"))
PART = 50  # worlds in one test, so that several processes can share the work
STARTS = range(SEED, SEED + WORLDS, PART)


class FromFiles(Trial):
    """A trial whose program has its anchors in large CA files."""

    def source(self, anchors: Sequence[Made]) -> dict[str, Any]:
        number = len(list(self.folder.glob("*.pem")))
        return {"cafile": large_file(self.folder / f"{number}.pem", self.world.text(anchors).encode("ascii"))}

    def set_up(self, context: Any, *, unseen: bool = False) -> None:
        super().set_up(context, unseen=unseen)
        self.is_put_off = bool(self.anchors) and not loaded(context)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", STARTS)
def test_verdicts_and_errors_are_those_without_it(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    put_off = 0
    for seed in range(start, min(start + PART, SEED + WORLDS)):
        world = laboratory.world(seed)
        outcomes = []
        for on_demand in ("1", "0"):
            monkeypatch.setenv("AIA_STORE_TRUST_ON_DEMAND", on_demand)
            trial = FromFiles(laboratory.servers, world, _folder(laboratory, seed), with_the_hook)
            # Not the chains: X509_V_FLAG_PARTIAL_CHAIN is lifted more often where all anchors can be read, and then an
            # accepted chain ends at its root, not at an intermediate that is safe as an anchor.
            outcomes.append([outcome.refusal for outcome in _played(trial)])
            assert on_demand == "1" or not trial.is_put_off
            put_off += trial.is_put_off
        if hides_some(trial.context):
            # What OpenSSL does not show is known from a file that was put off only. Without, OpenSSL's own search is
            # asked, which may be led astray.
            outcomes[1] = [None if eager is None else late for late, eager in zip(*outcomes)]
        assert outcomes[0] == outcomes[1], str(world)
    assert put_off or WORLDS < PART, "or nothing was loaded on demand"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", STARTS)
def test_what_a_chain_names_is_all_that_openssl_looks_for(laboratory: Laboratory, start: int) -> None:
    """Without completion, and without loading the rest in the end: only what the names of a chain lead to."""
    fewer = 0
    for seed in range(start, min(start + PART, SEED + WORLDS)):
        world = laboratory.world(seed)
        for step in world.steps:
            settings = step.settings or world.settings
            host = step.server.host
            message = step.server.message
            anchors = [made.der for made in world.anchors]
            plain = Judge(laboratory.servers, settings, pem(*anchors), None, host).verdict(message)
            context: Any = _ssl._SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            apply(settings, context)
            file = cafile.of(str(large_ca_file(_folder(laboratory, seed) / "file", *anchors)))
            if file is None:  # an unusual certificate, or none: OpenSSL loads such a file whole
                continue
            some = Trusted((file,)).all_named_by(readable(message))
            if some:
                context.load_verify_locations(cadata=b"".join(some))
            fewer += loaded(context) < len(set(anchors))
            verdict = laboratory.servers.meet(
                lambda reads, writes: context._wrap_bio(reads, writes, False, host),  # noqa: B023  called here
                message,
            )
            assert verdict == plain, f"{world}\n{step}"
    assert fewer or WORLDS < PART, "or all was loaded"


def _folder(laboratory: Laboratory, seed: int) -> Path:
    """An empty folder for one play."""
    folder = laboratory.folder / f"{seed} on demand"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _played(trial: Trial) -> list[Outcome]:
    try:
        return [outcome for _, outcome in trial.play()]
    finally:
        aia_store.disable()
