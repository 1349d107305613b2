"""The journeys that `tests/bare/run` makes include every block of the pages."""

from __future__ import annotations

from tests.bare.journeys import BLOCKS, ENDS_WITH, JOURNEYS, NOT_RUN, block


def test_every_block_is_followed_or_there_is_a_reason_why_not() -> None:
    followed = {block(name) for journey in JOURNEYS for name in journey.blocks}
    left_out = {block(name) for name in NOT_RUN}
    assert followed | left_out == set(BLOCKS)
    assert not followed & left_out
    assert {block(name) for name in ENDS_WITH} <= followed
