"""Promise 1 as a property: the hook never widens trust. Partly also promises 3 and 6: no right server is refused,
whatever the program met before, and its context stays its own.

AIA_STORE_TEST_PKIS sets how many worlds are tried (default 300), AIA_STORE_TEST_SEED the first of them (default 0).
A failure describes the whole world; `AIA_STORE_TEST_SEED=<its seed> AIA_STORE_TEST_PKIS=1` plays it again.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from . import naive
from .checks import FORBIDDEN
from .generator import FLAGS_OF_3_11, FLAGS_OF_3_13
from .laboratory import Laboratory
from .model import SERVER_AUTH, TrustSettings
from .reach import BY_DESIGN
from .tally import Tally
from .trial import Attach

PKIS = int(os.environ.get("AIA_STORE_TEST_PKIS", "300"))
SEED = int(os.environ.get("AIA_STORE_TEST_SEED", "0"))
PART = 100  # worlds in one test, so that several processes can share the work
STARTS = range(SEED, SEED + PKIS, PART)
ENOUGH = 50  # chains, for a ratio to mean something


@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", STARTS)
def test_no_chain_is_accepted_without_a_path_that_openssl_accepts(laboratory: Laboratory, start: int) -> None:
    """For any PKI, placement and settings; and most of what can be completed is completed."""
    tally = Tally()
    seeds = range(start, min(start + PART, SEED + PKIS))
    for seed in seeds:
        laboratory.run(laboratory.world(seed), tally)
    print(f"\nseeds {seeds.start} to {seeds.stop - 1}\n{tally}")
    for kind in FORBIDDEN:
        assert not tally.of(kind), tally.of(kind)[0]
    if tally.counts["completed"] >= ENOUGH:
        unforced = sum(kind not in BY_DESIGN for kind, _, _ in tally.refusals)
        assert unforced <= 0.12 * tally.counts["completed"], str(tally)
        assert tally.completeness > 0.5, str(tally)
        assert tally.counts["undecided"] <= 0.01 * tally.counts["handshakes"], str(tally)


@pytest.mark.parametrize(
    ("attach", "flags"),
    [
        pytest.param(naive.intermediates, FLAGS_OF_3_13, id="intermediates as anchors"),
        pytest.param(naive.roots_too, FLAGS_OF_3_11, id="self-signed certificates trusted"),
    ],
)
def test_a_naive_completion_is_found_out(laboratory: Laboratory, attach: Attach, flags: int) -> None:
    """The same with a completion that makes one mistake."""
    tally = Tally()
    for seed in range(60):
        laboratory.run(laboratory.world(seed, flags), tally, attach)
    assert tally.of("wrongly accepted"), str(tally)


def test_a_completion_that_forgets_trust_settings_is_found_out(laboratory: Laboratory) -> None:
    """In worlds whose programs reject all of their anchors, so that nothing may be accepted."""
    tally = Tally()
    for seed in range(60):
        world = laboratory.world(seed, FLAGS_OF_3_11)
        rejected = dict.fromkeys([*world.anchors, *world.in_directory], TrustSettings(rejects=[SERVER_AUTH]))
        laboratory.run(replace(world, trust=rejected), tally, naive.without_trust_settings)
    assert tally.of("wrongly accepted"), str(tally)


def test_without_partial_chains_a_naive_completion_is_not_found_out(laboratory: Laboratory) -> None:
    """Under the flags of 3.11, only a self-signed certificate is an anchor: the trial finds nothing wrong."""
    tally = Tally()
    for seed in range(60):
        laboratory.run(laboratory.world(seed, FLAGS_OF_3_11), tally, naive.intermediates)
    assert not tally.of("wrongly accepted"), tally.of("wrongly accepted")[0]
    assert tally.counts["completed"], str(tally)
