"""Settings beside leverage and margin mode: multi-assets mode, position margin, ADL and delta mode (M16, M19)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway.live import SYMBOL, Answer, Client, Live, wait_for
from gateway.test_grants import isolated_position
from leverlock.domain.environment import Environment
from leverlock.domain.policy import Standing, decide
from leverlock.domain.policy_file import load_policy
from leverlock.domain.requirement import Requirement
from leverlock.domain.setting_actions import ADL_SET, DELTA_MODE_SET
from unit.domain.samples import least
from world import policy_text

MULTI = "/fapi/v1/multiAssetsMargin"
MARGIN = "/fapi/v1/positionMargin"


def multi_assets(bot: Client, on: bool, **control: object) -> Answer:
    return bot.call("POST", MULTI, {"multiAssetsMargin": "true" if on else "false"}, **control)


def take_margin(bot: Client, **changes: str) -> Answer:
    return bot.call("POST", MARGIN, {"symbol": SYMBOL, "amount": "1", "type": "2"} | changes)


@pytest.mark.mission("M16")
def test_what_the_multi_assets_mode_is_already_is_no_switch(live: Live) -> None:
    alice = live.party()
    bot = live.client(alice)
    live.venue.clear_calls()
    assert multi_assets(bot, False).code == -4171  # the venue says so itself
    assert multi_assets(bot, True).stepped_up
    assert len(live.executed(MULTI)) == 1


@pytest.mark.mission("M16")
@pytest.mark.bar("B70")
@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 500},
        {"delay_ms": 700},
        {"cut": True},
        {"status": 200, "body": "{}"},
        {"status": 200, "body": "[]"},
        {"status": 200, "body": "null"},
        {"status": 200, "body": '{"multiAssetsMargin": "false"}'},
        {"status": 200, "body": '{"multiAssetsMargin": 0}'},
    ],
    ids=str,
)
def test_a_multi_assets_mode_that_is_not_told_is_challenged(live: Live, trouble: dict[str, Any]) -> None:
    bot = live.client(live.party())
    live.venue.clear_calls()
    live.venue.add_fault(MULTI, method="GET", **trouble)
    assert multi_assets(bot, False).stepped_up
    assert live.executed() == []


@pytest.mark.mission("M16")
@pytest.mark.bar("B51")
def test_a_multi_assets_mode_switched_behind_our_back_spends_no_approval(live: Live) -> None:
    alice = live.party()
    bot = live.client(alice)
    asked = multi_assets(bot, True)
    live.approve(alice, asked.challenge)
    switched = live.venue.signed(alice.venue_key, "POST", MULTI, {"multiAssetsMargin": "true"})
    assert switched.status == 200
    live.venue.clear_calls()
    assert multi_assets(bot, True).code == -4171  # no switch any more: passed on, and the grant is not spent
    assert live.state(alice, asked.challenge) == "approved"
    assert multi_assets(bot, False).stepped_up


@pytest.mark.mission("M16")
def test_a_repetition_of_the_multi_assets_mode_cannot_undo_a_switch_that_overtakes_it(live: Live) -> None:
    alice = live.party()
    bot, thief = live.client(alice), live.client(alice)
    asked = multi_assets(bot, True)
    live.approve(alice, asked.challenge)
    live.venue.clear_calls()
    live.venue.add_fault(MULTI, method="GET", when="after", delay_ms=350)
    with ThreadPoolExecutor() as pool:
        racing = pool.submit(multi_assets, thief, False)
        wait_for(lambda: len(live.venue.calls(MULTI)) == 1)
        switch = multi_assets(bot, True)
        undone = racing.result()
    assert (switch.code, undone.code) == (-40108, -4171)
    assert multi_assets(bot, True).status == 200
    assert live.venue.signed(alice.venue_key, "GET", MULTI).json == {"multiAssetsMargin": True}


def test_margin_out_of_a_position_is_challenged_above_50x(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 50})
    isolated_position(live, alice)
    bot = live.client(alice)
    live.venue.clear_calls()
    assert take_margin(bot).status == 200
    live.set_leverage(alice, 51)
    live.forget_facts()
    live.venue.clear_calls()
    asked = take_margin(bot)
    assert asked.stepped_up
    assert "take 1 margin out of BTCUSDT" in asked.json["msg"]
    assert take_margin(bot, type="1").status == 200
    assert len(live.executed(MARGIN)) == 1
    live.approve(alice, asked.challenge)
    assert take_margin(bot, amount="1.000").status == 200  # the same amount
    sent = live.executed(MARGIN)[-1]["body"]
    assert sent.startswith("symbol=BTCUSDT&amount=1&type=2&")


@pytest.mark.bar("B51")
def test_margin_out_of_a_position_whose_leverage_changed_is_asked_for_anew(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 75})
    isolated_position(live, alice)
    bot = live.client(alice)
    asked = take_margin(bot)
    live.approve(alice, asked.challenge)
    live.set_leverage(alice, 100)
    live.venue.clear_calls()
    assert take_margin(bot).challenge != asked.challenge
    assert live.executed() == []


@pytest.mark.bar("B70")
def test_margin_out_of_a_position_whose_leverage_is_not_told_is_challenged(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    isolated_position(live, alice)
    live.venue.clear_calls()
    live.venue.add_fault("/fapi/v1/symbolConfig", method="GET", status=500, remaining=2)
    assert take_margin(live.client(alice)).stepped_up
    assert live.executed() == []


# -- ADL -------------------------------------------------------------------------------------------------------------
ADL = {
    "/fapi/v1/adlSetting": {"symbol": SYMBOL, "rank": "LOWERED"},
    "/sapi/v1/portfolio/delta-mode": {"deltaEnabled": "true"},
}


@pytest.mark.mission("M19")
def test_no_policy_lowers_what_an_adl_setting_demands() -> None:
    rules = policy_text().replace('require = ["password", "totp"]', 'require = ["totp"]')
    policy = load_policy(rules)
    for row in (ADL_SET, DELTA_MODE_SET):
        decision = decide(policy, least(row), Standing(protected=True, usable_factor=True))
        assert decision.requirement == Requirement.of("password", "totp")


@pytest.mark.mission("M19")
@pytest.mark.parametrize("path", ADL)
def test_an_adl_setting_is_challenged_for_every_key_and_takes_no_code_with_the_call(live: Live, path: str) -> None:
    """Legacy keys are not exempt, and a key that may send codes cannot send the password."""
    alice = live.party(enrolled=())
    legacy = live.client(alice)
    alice.owner.enrol(Environment.FUTURES)
    modern = live.client(alice, otp_allowed=True)
    live.venue.clear_calls()
    assert legacy.call("POST", path, ADL[path]).stepped_up
    assert modern.call("POST", path, ADL[path]).stepped_up
    assert not 200 <= modern.call("POST", path, ADL[path], otp=alice.owner.fresh_code()).status < 300
    assert live.executed() == []
