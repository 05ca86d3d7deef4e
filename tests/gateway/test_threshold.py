"""50x passes, 51x is stopped: however an order is written, and for the leverage itself (M15, semantics 1, 2, 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.live import OTHER_SYMBOLS, SYMBOL, Answer, Client, Live, Party
from leverlock.app import accounts
from leverlock.domain.authenticator import AuthenticatorState
from leverlock.domain.environment import Environment
from leverlock.domain.policy_file import load_policy
from venue_process import PaperVenue
from world import policy_text

LEG = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "58000"}


def order_id(live: Live, party: Party, symbol: str = SYMBOL) -> int:
    """An order that rests, placed at the venue behind our back."""
    params = LEG | {"symbol": symbol}
    answer = live.venue.signed(party.venue_key, "POST", "/fapi/v1/order", params, where="body")
    assert answer.status == 200, answer
    return int(answer.json["orderId"])


def amend_batch(bot: Client, party: Party) -> Answer:
    import json

    leg = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.02", "price": "57500"}
    legs = [leg | {"orderId": str(order_id(bot.live, party))}]
    return bot.call("PUT", "/fapi/v1/batchOrders", {"batchOrders": json.dumps(legs)})


WAYS: dict[str, Callable[[Client, Party], Answer]] = {
    "market buy": lambda bot, _: bot.order(),
    "market sell": lambda bot, _: bot.order(side="SELL"),
    "limit buy": lambda bot, _: bot.limit(),
    "limit sell": lambda bot, _: bot.limit(side="SELL", price="62000"),
    "batch": lambda bot, _: bot.batch(LEG),
    "amend": lambda bot, party: bot.amend(order_id(bot.live, party)),
    "amend batch": amend_batch,
    "conditional sell": lambda bot, _: bot.conditional(),
    "conditional buy": lambda bot, _: bot.conditional(side="BUY", triggerPrice="70000"),
    "trailing stop": lambda bot, _: bot.call(
        "POST",
        "/fapi/v1/algoOrder",
        {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "TRAILING_STOP_MARKET"}
        | {"quantity": "0.01", "callbackRate": "1"},
    ),
}


@pytest.mark.mission("M15")
@pytest.mark.bar("B69")
@pytest.mark.bar("B70")
@pytest.mark.parametrize("way", WAYS)
def test_50x_passes_and_51x_is_stopped(live: Live, way: str) -> None:
    """No order carries a leverage field: what counts is the symbol's leverage at the venue."""
    alice = live.party(leverage={SYMBOL: 50})
    bot = live.client(alice)
    passed = WAYS[way](bot, alice)
    assert passed.status == 200, passed
    live.set_leverage(alice, 51)
    live.forget_facts()
    live.venue.clear_calls()
    stopped = WAYS[way](bot, alice)
    assert stopped.stepped_up, stopped
    own = [call for call in live.executed() if call["headers"]["x-mbx-apikey"] != alice.venue_key.api_key]
    through_us = [call for call in live.executed() if call["headers"].get("accept-encoding") == "identity"]
    assert own == []
    placed_by_test = 1 if way.startswith("amend") else 0
    assert len(live.executed()) == placed_by_test, through_us


@pytest.mark.mission("M15")
def test_a_reducing_order_is_challenged_too_under_the_literal_policy(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 75})
    bot = live.client(alice)
    assert bot.order(side="SELL", reduceOnly="true").stepped_up
    assert bot.conditional(closePosition="true", quantity="", symbol=SYMBOL).code == -1105  # an empty value is none


@pytest.mark.bar("B69")
def test_a_batch_with_one_risky_leg_is_stopped_whole(live: Live) -> None:
    risky = OTHER_SYMBOLS[0]
    alice = live.party(leverage={SYMBOL: 20, risky: 75})
    bot = live.client(alice)
    live.venue.clear_calls()
    prices = {SYMBOL: "58000", risky: "2900"}
    legs = [LEG | {"symbol": symbol, "price": prices[symbol]} for symbol in (SYMBOL, SYMBOL, risky, SYMBOL)]
    stopped = bot.batch(*legs)
    assert stopped.stepped_up, stopped
    assert live.executed() == []
    live.approve(alice, stopped.challenge)
    passed = bot.batch(*legs)
    assert passed.status == 200, passed
    assert [leg["symbol"] for leg in passed.json] == [SYMBOL, SYMBOL, risky, SYMBOL]
    assert sum(call["orders"] for call in live.executed()) == 4
    assert bot.batch(*reversed(legs)).stepped_up  # another order of legs is another action


@pytest.mark.bar("B69")
@pytest.mark.parametrize(
    ("path", "method", "params"),
    [
        ("/fapi/v1/order", "POST", LEG | {"type": "TWAP"}),
        ("/fapi/v1/order", "POST", LEG | {"side": "BOTH"}),
        ("/fapi/v1/order", "POST", LEG | {"timeInForce": "RPI"}),
        ("/fapi/v1/order", "POST", LEG | {"priceMatch": "BEST"}),
        ("/fapi/v1/order", "POST", LEG | {"newFlag": "1"}),
        ("/fapi/v1/algoOrder", "POST", LEG | {"algoType": "VP", "type": "STOP"}),
        ("/fapi/v1/algoOrder", "POST", LEG | {"algoType": "CONDITIONAL", "type": "ICEBERG"}),
        ("/fapi/v1/marginType", "POST", {"symbol": SYMBOL, "marginType": "PORTFOLIO"}),
        ("/fapi/v1/positionSide/dual", "POST", {"dualSidePosition": "maybe"}),
        ("/fapi/v1/multiAssetsMargin", "POST", {"multiAssetsMargin": "portfolio"}),
        ("/fapi/v1/positionMargin", "POST", {"symbol": SYMBOL, "amount": "1", "type": "3"}),
        ("/fapi/v1/positionMargin", "POST", {"symbol": SYMBOL, "amount": "1", "type": "ADD"}),
        ("/fapi/v1/positionMargin", "POST", {"symbol": SYMBOL, "amount": "1", "type": "1", "positionSide": "NET"}),
        ("/fapi/v1/adlSetting", "POST", {"symbol": SYMBOL, "rank": "LAST"}),
        ("/sapi/v1/portfolio/delta-mode", "POST", {"deltaEnabled": "auto"}),
    ],
)
def test_an_unknown_value_is_refused(live: Live, path: str, method: str, params: dict[str, Any]) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    live.venue.clear_calls()
    answer = live.client(alice).call(method, path, params)
    assert 400 <= answer.status < 500, answer
    assert not answer.stepped_up
    assert live.executed() == []


# -- the leverage itself ---------------------------------------------------------------------------------------------
def position(live: Live, party: Party) -> None:
    params = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    assert live.venue.signed(party.venue_key, "POST", "/fapi/v1/order", params, where="body").status == 200


def conditional(live: Live, party: Party) -> None:
    params = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "BUY", "type": "STOP_MARKET", "quantity": "0.01"}
    params["triggerPrice"] = "70000"
    assert live.venue.signed(party.venue_key, "POST", "/fapi/v1/algoOrder", params, where="body").status == 200


EXPOSED: dict[str, Callable[[Live, Party], object]] = {
    "position": position,
    "open order": order_id,
    "open conditional order": conditional,
}


@pytest.mark.mission("M15")
@pytest.mark.parametrize("exposed", EXPOSED)
def test_raising_leverage_above_50_while_exposed_is_stopped(live: Live, exposed: str) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    EXPOSED[exposed](live, alice)
    bot = live.client(alice)
    live.venue.clear_calls()
    assert bot.leverage(50).status == 200
    assert bot.leverage(40).status == 200
    stopped = bot.leverage(51)
    assert stopped.stepped_up, stopped
    assert [call["body"].split("&")[1] for call in live.executed()] == ["leverage=50", "leverage=40"]
    live.approve(alice, stopped.challenge)
    assert bot.leverage(51).json["leverage"] == 51
    assert bot.leverage(51).status == 200  # no raise
    assert bot.leverage(52).stepped_up


@pytest.mark.mission("M15")
def test_raising_leverage_without_exposure_passes_and_its_orders_do_not(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    assert bot.order(quantity="0.001").status == 200  # 20x is known and cached now
    assert bot.order(side="SELL", quantity="0.001", reduceOnly="true").status == 200  # and flat again
    assert bot.leverage(75).status == 200
    assert bot.limit().stepped_up  # without waiting for the cache to age


@pytest.mark.parametrize("path", ["/fapi/v3/positionRisk", "/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders"])
@pytest.mark.parametrize("trouble", [{"status": 500}, {"status": 200, "body": "{}"}, {"delay_ms": 700}])
def test_unknown_exposure_is_stopped(live: Live, path: str, trouble: dict[str, Any]) -> None:
    """Any of the three reads missing, and a raise above 50x is challenged; to 50x it passes."""
    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    live.venue.clear_calls()
    live.venue.add_fault(path, method="GET", remaining=2, **trouble)
    assert bot.leverage(51).stepped_up
    assert live.executed() == []
    assert bot.leverage(50).status == 200


@pytest.mark.parametrize("trouble", [{"status": 500}, {"status": 200, "body": "[]"}, {"delay_ms": 700}])
def test_where_the_present_leverage_is_unknown_any_change_may_be_a_raise(live: Live, trouble: dict[str, Any]) -> None:
    alice = live.party(leverage={SYMBOL: 100})
    position(live, alice)
    bot = live.client(alice)
    live.venue.add_fault("/fapi/v1/symbolConfig", method="GET", remaining=1, **trouble)
    assert bot.leverage(75).stepped_up
    assert bot.leverage(75).status == 200  # known now, and no raise


def test_a_lower_case_symbol_has_no_second_leverage(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    live.venue.clear_calls()
    for answer in (bot.order("btcusdt"), bot.leverage(75, "BTCusdt"), bot.batch(LEG, LEG | {"symbol": "btcusdt"})):
        assert (answer.status, answer.code) == (400, -1121)
    assert live.executed() == []


# -- the policies and the standing of the account --------------------------------------------------------------------
@pytest.fixture(scope="module")
def trader_module(paper: PaperVenue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with Live(tmp_path_factory.mktemp("trader"), paper, policy="trader") as live:
        yield live


@pytest.fixture
def trader(trader_module: Live, venue: PaperVenue) -> Live:
    return trader_module


@pytest.mark.mission("M15")
def test_the_trader_policy_lets_reducing_orders_pass(trader: Live) -> None:
    alice = trader.party(leverage={SYMBOL: 75})
    position(trader, alice)
    resting = order_id(trader, alice)
    bot = trader.client(alice)
    assert bot.order().stepped_up
    assert bot.order(side="SELL").stepped_up  # it could turn the position round
    assert bot.order(side="SELL", reduceOnly="false").stepped_up
    passed = bot.order(side="SELL", quantity="0.001", reduceOnly="True")
    assert passed.status == 200, passed
    assert passed.json["reduceOnly"] is True
    closing = bot.call(
        "POST",
        "/fapi/v1/algoOrder",
        {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET"}
        | {"triggerPrice": "50000", "closePosition": "true"},
    )
    assert closing.status == 200, closing
    # At the venue the flag on an amendment is a check only: it exempts nothing.
    amended = trader.client(alice).amend(resting, reduceOnly="true")
    assert amended.stepped_up


def test_in_hedge_mode_the_closing_side_reduces(trader: Live) -> None:
    alice = trader.party(leverage={SYMBOL: 75})
    bot = trader.client(alice)
    assert bot.call("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "true"}).status == 200
    opened = {"symbol": SYMBOL, "side": "BUY", "positionSide": "LONG", "type": "MARKET", "quantity": "0.01"}
    assert trader.venue.signed(alice.venue_key, "POST", "/fapi/v1/order", opened, where="body").status == 200
    assert bot.order(side="SELL", positionSide="LONG").status == 200
    assert bot.order(side="SELL", positionSide="SHORT").stepped_up
    assert bot.order(side="BUY", positionSide="LONG").stepped_up


@pytest.mark.mission("M15")
def test_protection_never_enabled_enabled_and_then_broken(live: Live) -> None:
    """Semantics 11: not enabled allows and is counted; once on, no usable factor means refuse, never allow."""
    alice = live.party(enrolled=(), leverage={SYMBOL: 75})
    bot = live.client(alice)
    before = live.meter.decisions["allow", "not_enabled", "futures.order.place"]
    assert bot.order().status == 200
    assert live.meter.decisions["allow", "not_enabled", "futures.order.place"] == before + 1

    alice.owner.enrol(Environment.FUTURES)
    live.settle()
    later = live.client(alice)  # the first key has become a legacy key
    assert later.order().stepped_up

    disable(live, alice)
    live.settle()
    live.venue.clear_calls()
    refused = later.order()
    assert (refused.status, refused.code) == (401, -40111), refused
    assert later.leverage(50).status == 200
    live.set_leverage(alice, 20)
    live.forget_facts()
    assert later.order().status == 200  # an ordinary order asks for no factor


def disable(live: Live, party: Party) -> None:
    """Fifty wrong answers in a row."""
    deployment, owner = live.deployment, party.owner

    def spent(tx: Any) -> None:
        tx.lock_account(party.account_id)
        found = tx.bound_authenticator(party.account_id, Environment.FUTURES)
        limit = deployment.world.limits.factor_disable_after
        tx._cursor.write(
            "charge_authenticator",
            {
                "account_id": party.account_id,
                "authenticator_id": found.authenticator_id,
                "streak": limit,
                "blocked_until": 0,
                "streak_before": found.budget.streak,
            },
        )
        named = {"account_id": party.account_id, "authenticator_id": found.authenticator_id}
        assert tx._cursor.one("disable_authenticator", {**named, "streak": limit}) is not None
        tx.note_change(party.account_id)

    deployment.run(spent)
    bound = deployment.read(lambda tx: tx.bound_authenticator(party.account_id, Environment.FUTURES))
    assert bound is not None
    assert bound.state is AuthenticatorState.DISABLED
    assert owner is not None


def test_a_spot_authenticator_is_no_futures_protection(live: Live) -> None:
    alice = live.party(enrolled=(Environment.SPOT,), leverage={SYMBOL: 75})
    assert live.client(alice).order().status == 200  # Futures was never enabled


@pytest.mark.mission("M21")
def test_a_legacy_key_goes_on_and_later_keys_do_not(live: Live) -> None:
    alice = live.party(enrolled=(), leverage={SYMBOL: 75})
    old = live.client(alice)
    alice.owner.enrol(Environment.FUTURES)
    new = live.client(alice)
    live.settle()
    assert new.order().stepped_up
    assert old.order().status == 200
    assert old.leverage(100).status == 200
    assert live.meter.decisions["allow", "legacy_key", "futures.order.place"] >= 1
    position_open = old.margin_mode()
    assert position_open.code == -4048, position_open  # it reached the venue


def with_policy(live: Live, text: str) -> None:
    """Another policy in force, as the server puts it there at its start."""
    policy = load_policy(text)
    live.deployment.run(lambda tx: tx.set_setting("policy_version", policy.version))
    object.__setattr__(live.deployment.world, "policy", lambda: policy)


@pytest.fixture
def ruled(paper: PaperVenue, venue: PaperVenue, tmp_path: Path) -> Iterator[Live]:
    """A gateway of its own, for tests that change the policy."""
    with Live(tmp_path, paper) as live:
        yield live


def test_where_enrolment_is_required_a_gated_action_is_refused(ruled: Live) -> None:
    with_policy(ruled, "require_enrolment = true\n" + policy_text())
    alice = ruled.party(enrolled=(), leverage={SYMBOL: 75})
    bot = ruled.client(alice)
    ruled.venue.clear_calls()
    refused = bot.order()
    assert (refused.status, refused.code) == (401, -40110)
    assert ruled.executed() == []
    ruled.set_leverage(alice, 20)
    ruled.forget_facts()
    assert bot.order().status == 200


@pytest.mark.bar("B88")
def test_what_the_policy_leaves_open_is_written_down_each_time(ruled: Live) -> None:
    text = policy_text().replace('name = "literal"', 'name = "open"\nunsafe_allow = ["futures.margin_mode.set"]', 1)
    start = text.index('[[rule]]\nname = "margin mode"')
    end = text.index("[[rule]]", start + 1)
    with_policy(ruled, text[:start] + text[end:])
    alice = ruled.party()
    bot = ruled.client(alice)
    assert bot.margin_mode("ISOLATED").status == 200
    assert bot.margin_mode("CROSSED").status == 200
    opened = [event for event in ruled.events(alice) if event["kind"] == "action.unsafe_allowed"]
    assert [event["action"] for event in opened] == ["futures.margin_mode.set"] * 2


def test_a_rule_about_a_free_action_is_not_ignored(ruled: Live) -> None:
    """Position mode can be approved; a cancel cannot be bound to its orders, so the rule refuses it."""
    rules = """
[[rule]]
name = "position mode"
action = "futures.position_mode.set"
require = ["totp"]

[[rule]]
name = "protective stops stay"
action = "futures.order.cancel"
when = { scope = { one_of = ["conditional", "all"] } }
require = ["totp"]
"""
    with_policy(ruled, policy_text() + rules)
    alice = ruled.party(leverage={SYMBOL: 20})
    bot = ruled.client(alice)
    hedge = {"dualSidePosition": "true"}
    asked = bot.call("POST", "/fapi/v1/positionSide/dual", hedge)
    assert asked.stepped_up
    ruled.approve(alice, asked.challenge)
    assert bot.call("POST", "/fapi/v1/positionSide/dual", hedge).status == 200
    assert bot.call("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "false"}).stepped_up
    ruled.venue.clear_calls()
    for path in ("/fapi/v1/algoOpenOrders", "/fapi/v1/algoOrder", "/fapi/v1/allOpenOrders"):
        named = {"symbol": SYMBOL} | ({"algoId": 1} if path.endswith("algoOrder") else {})
        refused = bot.call("DELETE", path, named)
        assert (refused.status, refused.code) == (401, -40114), refused
    assert ruled.executed() == []
    assert bot.call("DELETE", "/fapi/v1/order", {"symbol": SYMBOL, "orderId": 1}).code == -2011  # asked the venue


def test_a_locked_account_may_cancel_and_read_and_nothing_else(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    resting = order_id(live, alice)
    bot = live.client(alice)
    assert bot.order().status == 200
    deployment = live.deployment
    deployment.run(lambda tx: accounts.lock(tx, deployment.world, account_id=alice.account_id, by="test:"))
    live.settle()
    live.venue.clear_calls()
    for refused in (
        bot.order(),
        bot.leverage(10),
        bot.margin_mode(),
        bot.call("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "true"}),
    ):
        assert (refused.status, refused.code) == (401, -40112), refused
    assert live.executed() == []
    assert bot.call("GET", "/fapi/v3/balance").status == 200
    assert bot.call("DELETE", "/fapi/v1/order", {"symbol": SYMBOL, "orderId": resting}).status == 200
