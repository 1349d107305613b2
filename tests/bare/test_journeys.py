"""The journeys that `tests/bare/run` makes include every block of the pages."""

from __future__ import annotations

from tests.bare.journeys import BLOCKS, ENDS_WITH, JOURNEYS, NOT_RUN
from tests.docs.blocks import named


def test_every_block_is_followed_or_it_is_said_why_not() -> None:
    followed = {named(name) for journey in JOURNEYS for name in journey.blocks}
    left_out = {named(name) for name in NOT_RUN}
    assert followed | left_out == set(BLOCKS)
    assert not followed & left_out
    assert {named(name) for name in ENDS_WITH} <= followed
