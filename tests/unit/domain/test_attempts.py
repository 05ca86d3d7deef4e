"""Budgets for wrong answers: of one authenticator, and of one account over all of them (B75, B76)."""

from __future__ import annotations

import random

import pytest

from leverlock.domain.attempts import UNTRIED, AccountBudget, FactorBudget
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import DAY, HOUR, MINUTE, SECOND, Limits

LIMITS = Limits()
START = 1_700_000_000_000


def refusal(budget: FactorBudget | AccountBudget, now_ms: int) -> Refused:
    with pytest.raises(Refused) as raised:
        budget.charged(now_ms, LIMITS)
    return raised.value


# --- one authenticator ------------------------------------------------------------------------------------------------


@pytest.mark.bar("B75")
def test_from_the_first_wrong_answer_to_the_last() -> None:
    """Five block for 30 s, each further one doubles the block to an hour, the fiftieth disables."""
    budget, now_ms, blocks = UNTRIED, START, []
    for number in range(1, 50):
        budget = budget.charged(now_ms, LIMITS)
        assert (budget.streak, budget.disabled) == (number, False)
        if number < 5:
            assert budget.blocked_until_ms == 0
            continue
        blocks.append(budget.blocked_until_ms - now_ms)
        for early in (now_ms, now_ms + 1, budget.blocked_until_ms - 1):
            problem = refusal(budget, early)
            assert problem.reason is Reason.FACTOR_BLOCKED
            assert problem.retry_after_ms == budget.blocked_until_ms - early
        now_ms = budget.blocked_until_ms
    assert blocks[:8] == [n * SECOND for n in (30, 60, 120, 240, 480, 960, 1920, 3600)]
    assert set(blocks[8:]) == {HOUR}
    budget = budget.charged(now_ms, LIMITS)
    assert (budget.streak, budget.disabled) == (50, True)
    for later in (now_ms, now_ms + DAY, now_ms + 1000 * DAY):
        assert refusal(budget, later).reason is Reason.FACTOR_DISABLED


@pytest.mark.bar("B75")
def test_a_refused_try_costs_nothing() -> None:
    """A blocked answer is not evaluated, so it must not lengthen the block either."""
    budget = UNTRIED
    for _ in range(5):
        budget = budget.charged(START, LIMITS)
    for tick in range(1_000):
        refusal(budget, START + tick)
    assert budget.charged(START + 30 * SECOND, LIMITS).streak == 6


@pytest.mark.bar("B75")
@pytest.mark.parametrize("seed", range(5))
def test_however_it_is_tried_the_clock_bounds_the_guesses(seed: int) -> None:
    """A guesser who comes at random moments never beats the schedule of one who comes at the first possible one."""
    chance = random.Random(seed)
    budget, now_ms, evaluated = UNTRIED, START, 0
    while now_ms < START + 7 * DAY:
        try:
            budget = budget.charged(now_ms, LIMITS)
            evaluated += 1
        except Refused:
            pass
        now_ms += chance.choice([1, SECOND, MINUTE, 10 * MINUTE])
    assert evaluated <= LIMITS.factor_disable_after
    assert budget.streak == evaluated


@pytest.mark.bar("B75")
def test_other_limits_are_obeyed() -> None:
    limits = Limits(factor_block_after=1, factor_block_ms=HOUR, factor_block_max_ms=2 * HOUR, factor_disable_after=5)
    budget, now_ms, blocks = UNTRIED, START, []
    for _ in range(4):
        budget = budget.charged(now_ms, limits)
        blocks.append(budget.blocked_until_ms - now_ms)
        now_ms = budget.blocked_until_ms
    assert blocks == [HOUR, 2 * HOUR, 2 * HOUR, 2 * HOUR]
    assert budget.charged(now_ms, limits).disabled


# --- one account ------------------------------------------------------------------------------------------------------


def spent(count: int, at_ms: int = START) -> AccountBudget:
    budget = AccountBudget()
    for _ in range(count):
        budget = budget.charged(at_ms, LIMITS)
    return budget


@pytest.mark.bar("B75")
def test_twenty_in_a_day_then_one_an_hour() -> None:
    budget, now_ms = spent(20), START
    for _ in range(5):
        for early in (now_ms, now_ms + 1, now_ms + HOUR - 1):
            problem = refusal(budget, early)
            assert problem.reason is Reason.ACCOUNT_BUDGET_SPENT
            assert problem.retry_after_ms == now_ms + HOUR - early
        now_ms += HOUR
        budget = budget.charged(now_ms, LIMITS)


@pytest.mark.bar("B75")
def test_an_answer_is_forgotten_after_a_day() -> None:
    budget = spent(20)
    refusal(budget, START + HOUR - 1)
    fresh = budget.charged(START + DAY, LIMITS)
    assert fresh.wrong_at_ms == (START + DAY,)
    assert len(budget.charged(START + DAY - 1, LIMITS).wrong_at_ms) == 21


@pytest.mark.bar("B75")
@pytest.mark.parametrize("seed", range(5))
def test_no_day_holds_more_than_the_budget_and_an_hourly_one(seed: int) -> None:
    """Every sliding window of 24 h, over a month of a guesser who never rests."""
    chance = random.Random(seed)
    budget, taken, now_ms = AccountBudget(), [], START
    while now_ms < START + 30 * DAY:
        try:
            budget = budget.charged(now_ms, LIMITS)
            taken.append(now_ms)
        except Refused as problem:
            now_ms += min(problem.retry_after_ms or 0, chance.choice([SECOND, HOUR, DAY]))
        now_ms += chance.choice([0, 1, SECOND])
        assert len(budget.wrong_at_ms) <= 20 + 24
    for index, first in enumerate(taken):
        assert sum(at < first + DAY for at in taken[index:]) <= 20 + 24
    assert len(taken) > 100


def test_the_stored_form_is_pinned_and_reads_back() -> None:
    assert AccountBudget((1, 2**40)).to_bytes().hex() == "00000000000000010000010000000000"
    assert AccountBudget().to_bytes() == b""
    chance = random.Random(7)
    for count in (0, 1, 2, 20, 44):
        budget = AccountBudget(tuple(sorted(chance.randrange(2**62) for _ in range(count))))
        assert AccountBudget.from_bytes(budget.to_bytes()) == budget


@pytest.mark.parametrize("stored", [b"1234567", b"123456789"])
def test_a_broken_stored_form_is_never_an_empty_budget(stored: bytes) -> None:
    with pytest.raises(Exception, match="buffer"):
        AccountBudget.from_bytes(stored)
