"""What time it is for a transaction, apart from any file (B11)."""

from __future__ import annotations

import pytest

from leverlock.domain.errors import Reason
from leverlock.domain.fence import NUMBER, RISING
from leverlock.domain.limits import Limits
from leverlock.store.server_time import HIGH_WATER, HIGH_WATER_EVERY_MS, ServerTime
from world import NOW_MS, SettableClock

HOUR = 3_600_000
BACK = Limits().clock_back_ms


def marks(at: int, *, fence: int = 0, rising: bool = False) -> dict[str, str]:
    found = {HIGH_WATER: str(at), NUMBER: str(fence)}
    return {**found, RISING: "{}"} if rising else found


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def time(clock: SettableClock) -> ServerTime:
    made = ServerTime(clock, Limits())
    made.learn(marks(NOW_MS))
    return made


@pytest.mark.bar("B11")
def test_it_stands_still_for_a_step_and_then_there_is_none(time: ServerTime, clock: SettableClock) -> None:
    for back, expected in ((0, NOW_MS), (1, NOW_MS), (BACK, NOW_MS), (BACK + 1, Reason.CLOCK_BEHIND)):
        clock.ms = NOW_MS - back
        assert time.now() == expected
        assert time.at_mark() == NOW_MS


def test_the_mark_is_due_once_a_second(time: ServerTime) -> None:
    assert not time.told(NOW_MS + HIGH_WATER_EVERY_MS - 1)
    assert time.told(NOW_MS + HIGH_WATER_EVERY_MS)
    time.marked(NOW_MS + HIGH_WATER_EVERY_MS)
    assert not time.told(NOW_MS + HIGH_WATER_EVERY_MS + 1)


@pytest.mark.bar("B11")
def test_a_look_begun_earlier_lowers_nothing(time: ServerTime, clock: SettableClock) -> None:
    """A reader's look may be older than what the writer has told meanwhile."""
    clock.ms = NOW_MS + HOUR
    time.told(NOW_MS + HOUR)
    time.marked(NOW_MS + HOUR)
    time.learn(marks(NOW_MS))
    clock.ms = NOW_MS
    assert time.now() is Reason.CLOCK_BEHIND


@pytest.mark.bar("B11")
def test_only_a_fence_that_stands_lowers_it(time: ServerTime, clock: SettableClock) -> None:
    clock.ms = NOW_MS - HOUR
    time.learn(marks(NOW_MS, rising=True))
    assert time.now() is Reason.STORE_UNAVAILABLE
    assert time.at_mark() == NOW_MS
    time.learn(marks(NOW_MS - HOUR, fence=1))
    assert time.now() == NOW_MS - HOUR
    # A look from before: neither the old mark nor the rising fence comes back.
    time.learn(marks(NOW_MS, rising=True))
    assert time.now() == NOW_MS - HOUR
    time.learn(marks(NOW_MS, fence=1))
    assert time.now() is Reason.CLOCK_BEHIND
