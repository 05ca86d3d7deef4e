"""The numbers in force: their defaults, and that nothing outside its source's bounds is ever in force (B78)."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest

from leverlock.domain.limits import BOUNDS, Limits, LimitsError
from leverlock.domain.totp import Window

DEFAULT = Limits()


def test_the_defaults_are_those_of_the_security_bar() -> None:
    """Part 0 of the bar, in seconds and counts."""
    seconds = {
        "challenge_life_ms": 300,
        "grant_life_ms": 60,
        "factor_block_ms": 30,
        "factor_block_max_ms": 3_600,
        "account_window_ms": 86_400,
        "account_slow_ms": 3_600,
        "key_new_window_ms": 600,
        "pending_enrolment_ms": 600,
        "password_fresh_ms": 300,
        "leverage_fresh_ms": 5,
        "session_idle_ms": 900,
        "session_absolute_ms": 43_200,
        "outage_key_seen_ms": 600,
        "outage_reads_ms": 900,
    }
    counts = {
        "challenge_wrong_answers": 5,
        "factor_block_after": 5,
        "factor_disable_after": 50,
        "account_wrong_answers": 20,
        "key_live_challenges": 3,
        "key_new_challenges": 10,
        "environment_live_challenges": 8,
        "environment_slots_for_owner": 3,
        "group_size": 5,
        "recovery_codes": 10,
        "totp_window": Window.STANDARD,
    }
    assert {name: getattr(DEFAULT, name) for name in seconds} == {name: 1_000 * s for name, s in seconds.items()}
    assert {name: getattr(DEFAULT, name) for name in counts} == counts


def test_every_number_has_bounds_and_a_source() -> None:
    assert set(BOUNDS) == {field.name for field in fields(Limits)} - {"totp_window"}
    for name, (low, high, source) in BOUNDS.items():
        assert low < high
        assert low <= getattr(DEFAULT, name) <= high
        assert source


@pytest.mark.parametrize("name", BOUNDS)
def test_a_number_outside_its_bounds_is_refused(name: str) -> None:
    low, high, source = BOUNDS[name]
    step = 1 if isinstance(getattr(DEFAULT, name), int) else 1e-9
    for outside in (low - step, high + step, -high, math.nan, math.inf):
        with pytest.raises(LimitsError) as raised:
            replace(DEFAULT, **{name: outside})
        assert str(raised.value).startswith(f"{name} = {outside} is outside {low}..{high}")
        assert source in str(raised.value)


@pytest.mark.parametrize("name", sorted(BOUNDS.keys() - {"guess_probability_max", "environment_slots_for_owner"}))
def test_the_bounds_themselves_are_allowed(name: str) -> None:
    low, high, _ = BOUNDS[name]
    for inside in (low, high):
        assert getattr(replace(DEFAULT, **{name: inside}), name) == inside


@pytest.mark.bar("B78")
@pytest.mark.parametrize(
    ("window", "tries", "computed"),
    [
        (Window.STANDARD, 5, 1.5e-5),
        (Window.STANDARD, 50, 1.5e-4),
        (Window.STANDARD, 100, 3.0e-4),
        (Window.NARROW, 50, 5.0e-5),
    ],
)
def test_what_a_guesser_can_hope_for(window: Window, tries: int, computed: float) -> None:
    """Three live codes and n guesses: 1 - (1 - 3e-6)^n, as the bar's part 0 computes it."""
    limits = replace(DEFAULT, totp_window=window, factor_disable_after=tries)
    assert limits.guess_probability == pytest.approx(computed, rel=1e-3)


@pytest.mark.bar("B78")
def test_a_configuration_that_can_be_guessed_does_not_start() -> None:
    """The refusal prints the computed probability. A tighter maximum than the default is allowed to be asked for."""
    replace(DEFAULT, guess_probability_max=1.6e-4)
    with pytest.raises(LimitsError, match=r"probability 1\.50e-04 .* above 1e-04 \(B78\)"):
        replace(DEFAULT, guess_probability_max=1e-4)
    with pytest.raises(LimitsError, match=r"probability 3\.00e-04"):
        replace(DEFAULT, factor_disable_after=100, guess_probability_max=2e-4)
    with pytest.raises(LimitsError, match="factor_disable_after = 10000 is outside"):
        replace(DEFAULT, factor_disable_after=10_000)


@pytest.mark.bar("B81")
@pytest.mark.parametrize(("live", "kept", "fits"), [(8, 7, True), (8, 8, False), (4, 5, False), (32, 16, True)])
def test_the_owner_s_slots_leave_room_for_keys(live: int, kept: int, fits: bool) -> None:
    wanted = {"environment_live_challenges": live, "environment_slots_for_owner": kept}
    if fits:
        replace(DEFAULT, **wanted)
    else:
        with pytest.raises(LimitsError, match="must leave slots"):
            replace(DEFAULT, **wanted)
