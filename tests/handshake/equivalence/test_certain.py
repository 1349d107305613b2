"""A chain whose every link is certain is left to OpenSSL, which refuses it for a forged signature only."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import pytest

from aia_store.inside.certificate import Certificates
from aia_store.inside.contexts import Terms
from aia_store.inside.trusted import Given
from aia_store.inside.verification import _if_certain
from tests.support.pki import pem

from .generator import FLAGS_OF_3_11, FLAGS_OF_3_13
from .judge import Judge
from .laboratory import Laboratory
from .model import Made, Settings, World

WORLDS = int(os.environ.get("AIA_STORE_TEST_PKIS", "300")) // 6
SEED = int(os.environ.get("AIA_STORE_TEST_SEED", "0"))
PART = 25  # worlds in one test, so that several processes can share the work
LONGEST, MOST = 5, 40  # certificates of a path, and paths of a world
LEVEL = 2  # OpenSSL's security level


@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", range(SEED, SEED + WORLDS, PART))
def test_openssl_accepts_what_is_certain(laboratory: Laboratory, start: int) -> None:
    accepted = 0
    for seed in range(start, min(start + PART, SEED + WORLDS)):
        world = laboratory.world(seed)
        for path in paths_by_name(world):
            for flags in (FLAGS_OF_3_11, FLAGS_OF_3_13):
                judge = Judge(laboratory.servers, Settings(flags, LEVEL), pem(path[-1].der), None, None)
                for sent in (path[:-1], path):
                    if is_certain(sent, path[-1], flags):
                        verdict = judge.verdict([made.der for made in sent])
                        assert verdict.accepted or is_forged(path), f"{verdict.refusal}\n{story(world, path)}"
                        accepted += verdict.accepted
    assert WORLDS < PART or accepted > PART, "or hardly anything is certain"


def is_certain(sent: Sequence[Made], anchor: Made, flags: int) -> bool:
    """Whether a program that trusts this anchor alone leaves what was sent to OpenSSL."""
    given = Given(is_complete=True)
    given.loaded = Certificates([anchor.der])
    return _if_certain([made.der for made in sent], given, Terms(flags, LEVEL), time.time()) is not None


def is_forged(path: Sequence[Made]) -> bool:
    """Whether a certificate is signed with another key than that of the next."""
    return any(made.signer != issuer.key for made, issuer in zip(path, path[1:]))


def paths_by_name(world: World) -> Iterator[list[Made]]:
    """Paths from the leaves to self-issued certificates, found by names only."""
    paths = [[made] for made in world.certificates if not made.is_authority]
    left = MOST
    for path in paths:  # which grows meanwhile
        for issuer in (made for made in world.certificates if made.subject == path[-1].issuer and made not in path):
            if issuer.issuer == issuer.subject:
                left -= 1
                yield [*path, issuer]
            elif len(path) < LONGEST - 1:
                paths.append([*path, issuer])
            if not left:
                return


def story(world: World, path: Sequence[Made]) -> str:
    """The seed and the path."""
    return "\n".join((f"world {world.seed}", *(made.label for made in path)))
