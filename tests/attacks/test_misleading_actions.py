"""A thief words an order so that the policy spares it, or so that its owner takes it for another (semantics 1, B49)."""

from __future__ import annotations

import pytest

from leverlock.domain.action import Action, Intent, parse
from leverlock.domain.errors import Reason
from leverlock.domain.policy import Outcome, Standing, decide
from leverlock.domain.policy_file import load_policy
from leverlock.domain.trading_actions import CONDITIONAL_PLACE, ORDER_AMEND, ORDER_PLACE
from leverlock.domain.wording import describe
from world import policy_text, refused

TRADER = load_policy(policy_text("trader"))
READY = Standing(protected=True, usable_factor=True)
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "100"}
STOP = {"symbol": "BTCUSDT", "side": "BUY", "type": "STOP_MARKET", "trigger_price": "1"}
AMENDMENT = {"symbol": "BTCUSDT", "side": "BUY", "order_id": "7", "quantity": "100", "price": "9"}
AT_125 = {"leverage": "125", "margin_mode": "CROSSED"}


def headline(action: Action) -> str:
    return describe(Intent("acc", "key:k", "up", action).canonical(), action.bound_facts()).headline


@pytest.mark.parametrize(
    "said",
    [
        {"position_side": "LONG", "reduce_only": "true"},
        {"position_side": "SHORT", "side": "SELL", "reduce_only": "true"},
    ],
    ids=["buy long", "sell short"],
)
def test_an_order_that_opens_a_side_is_not_spared_for_calling_itself_reduce_only(said: dict[str, str]) -> None:
    """In hedge mode the side decides; a venue that overlooks the flag there would open with it."""
    order = parse(ORDER_PLACE, {**ORDER, **said}, AT_125)
    assert decide(TRADER, order, READY).outcome is Outcome.CHALLENGE


@pytest.mark.parametrize(
    "said",
    [
        {"quantity": "100"},
        {"type": "STOP", "price": "1"},
        {"type": "TRAILING_STOP_MARKET", "callback_rate": "1"},
        {"position_side": "LONG"},
    ],
    ids=["with a quantity", "at a limit", "trailing", "buy long"],
)
def test_an_order_is_spared_for_closing_a_position_only_where_venues_know_that(said: dict[str, str]) -> None:
    spared = parse(CONDITIONAL_PLACE, {**STOP, "close_position": "true"}, AT_125)
    assert decide(TRADER, spared, READY).outcome is Outcome.ALLOW
    claimed = parse(CONDITIONAL_PLACE, {**STOP, "close_position": "true", **said}, AT_125)
    assert decide(TRADER, claimed, READY).outcome is Outcome.CHALLENGE


@pytest.mark.bar("B49")
def test_an_amendment_is_not_announced_as_reduce_only() -> None:
    """The venue only checks the flag there: the amended order is what it was, and may open."""
    action = parse(ORDER_AMEND, {**AMENDMENT, "reduce_only": "true"}, AT_125)
    assert headline(action) == "change buy order 100 BTCUSDT at 9 on 125x"


@pytest.mark.bar("B49")
def test_what_closes_a_whole_position_is_announced_so_whatever_quantity_stands_beside_it() -> None:
    action = parse(CONDITIONAL_PLACE, {**STOP, "close_position": "true", "quantity": "0.001"}, AT_125)
    assert headline(action).startswith("buy the whole position BTCUSDT")


@pytest.mark.bar("B49")
@pytest.mark.parametrize(
    "symbol",
    [
        "BTCUSDT market on 5x, reduce-only",
        "BTCUSDT\u00a0on\u00a05x",
        "BTCUSDT\u3000",
        "BTC\u2003USDT",
        "\u05d0\u05d1",  # Hebrew: the digits behind it would be shown before it
        "BTC\u0660\u0661",  # Arabic digits
    ],
)
def test_a_symbol_is_one_word_that_runs_from_left_to_right(symbol: str) -> None:
    for kind, fields in ((ORDER_PLACE, ORDER), (CONDITIONAL_PLACE, STOP), (ORDER_AMEND, AMENDMENT)):
        with refused(Reason.MALFORMED):
            parse(kind, {**fields, "symbol": symbol}, AT_125)
    with refused(Reason.MALFORMED):
        parse(ORDER_AMEND, {**AMENDMENT, "client_order_id": symbol}, AT_125)
