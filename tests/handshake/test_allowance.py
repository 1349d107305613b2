"""An allowance that strangers have used up comes back within a minute."""

from __future__ import annotations

import time

import pytest

from aia_store.inside.client_certificates import PERIOD, Allowance


class Clock:
    """The monotonic clock, which stands still unless a test puts it forward."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        patch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def uses(allowance: Allowance) -> int:
    """How often work that takes no time can use it."""
    count = 0
    while allowance.use(lambda seconds: seconds) is not None:
        count += 1
    return count


def test_it_comes_back(clock: Clock) -> None:
    allowance = Allowance(4.0, 0.5)
    assert uses(allowance) == 8
    clock.now += PERIOD / 2
    assert uses(allowance) == 4
    clock.now += 100 * PERIOD
    assert uses(allowance) == 8, "and never more"


def test_time_is_counted_and_what_was_overdrawn_too(clock: Clock) -> None:
    allowance = Allowance(4.0, 0.5)

    def takes(seconds: float) -> bool:
        def work(told: float) -> bool:
            assert told == 4.0
            clock.now += seconds
            return True

        return allowance.use(work) is True

    assert takes(3.0)
    assert takes(4.0)
    for _ in range(3):
        assert not takes(0.0)
        clock.now += PERIOD / 4
    clock.now += PERIOD / 4
    assert takes(0.0)


def test_what_fails_is_counted(clock: Clock) -> None:
    allowance = Allowance(1.0, 1.0)
    with pytest.raises(ZeroDivisionError):
        allowance.use(lambda seconds: 1 / 0)
    assert uses(allowance) == 0
