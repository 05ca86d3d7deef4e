"""Time tells nothing of a code: Welch's t-test over the real function, in process (B86, long form)."""

from __future__ import annotations

import contextlib
import gc
import math
import random
import statistics
import time
from collections.abc import Callable

import pytest

from leverlock.domain.totp import NEVER_USED, NoMatch, Window, hotp, match_step

SECRET, STEP = b"12345678901234567890", 37037036
SAMPLES = 20_000
LIMIT = 4.5  # |t| beyond which a difference counts as found (the bar's own number)
KEPT = 0.9  # interrupts and collections make the slowest tenth, in both classes alike


def seconds(code: str) -> int:
    began = time.perf_counter_ns()
    with contextlib.suppress(NoMatch):
        match_step(SECRET, code, now_ms=STEP * 30_000, last_step=NEVER_USED, window=Window.STANDARD)
    return time.perf_counter_ns() - began


def welch(left: list[int], right: list[int]) -> float:
    spread = statistics.variance(left) / len(left) + statistics.variance(right) / len(right)
    return (statistics.fmean(left) - statistics.fmean(right)) / math.sqrt(spread)


def t_of(measure: Callable[[str], int], left: list[str], right: list[str], seed: int) -> float:
    """The statistic over SAMPLES measurements of each class, in random order, the slowest cut off at one height."""
    chance = random.Random(seed)
    classes: tuple[list[int], list[int]] = ([], [])
    order = [0, 1] * SAMPLES
    chance.shuffle(order)
    for which in order[:2_000]:
        measure((left, right)[which][0])
    gc.disable()
    try:
        for which in order:
            codes = (left, right)[which]
            classes[which].append(measure(codes[chance.randrange(len(codes))]))
    finally:
        gc.enable()
    height = sorted(classes[0] + classes[1])[int(2 * SAMPLES * KEPT)]
    return welch(*([sample for sample in taken if sample <= height] for taken in classes))


def smallest_t(measure: Callable[[str], int], left: list[str], right: list[str]) -> float:
    """The best of three: a leak shows in every run, the neighbours on a shared machine do not."""
    return min(abs(t_of(measure, left, right, seed)) for seed in range(3))


LIVE = [hotp(SECRET, STEP + offset) for offset in (-1, 0, 1)]
FIRST = {code[0] for code in LIVE}


def wrong(first_digits: set[str]) -> list[str]:
    chance = random.Random("".join(sorted(first_digits)))
    made = [chance.choice(sorted(first_digits)) + f"{chance.randrange(100_000):05d}" for _ in range(500)]
    return [code for code in made if code not in LIVE]


@pytest.mark.soak
@pytest.mark.bar("B86")
def test_a_right_first_digit_takes_no_other_time() -> None:
    assert smallest_t(seconds, wrong(FIRST), wrong(set("0123456789") - FIRST)) < LIMIT


@pytest.mark.soak
@pytest.mark.bar("B86")
def test_the_step_that_matches_takes_no_other_time() -> None:
    assert smallest_t(seconds, [LIVE[0]], [LIVE[2]]) < LIMIT


@pytest.mark.soak
def test_the_statistic_finds_an_early_exit() -> None:
    """The check's own check: a loop that stops at the first hit is found at once."""

    def leaking(code: str) -> int:
        began = time.perf_counter_ns()
        for offset in (-1, 0, 1):
            if hotp(SECRET, STEP + offset) == code:
                break
        return time.perf_counter_ns() - began

    assert smallest_t(leaking, [LIVE[0]], [LIVE[2]]) > LIMIT
