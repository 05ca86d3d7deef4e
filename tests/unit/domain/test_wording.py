"""What the owner reads is what the digest covers: every bound field and every known fact, in full (B49)."""

from __future__ import annotations

import pytest

from leverlock.domain.action import Intent, bundle, parse
from leverlock.domain.actions import ACTIONS
from leverlock.domain.trading_actions import ORDER_BATCH, ORDER_PLACE
from leverlock.domain.wording import Description, describe

from .samples import full_fields, values

SIMPLE = [row for row in ACTIONS.values() if row.legs is None]


def described(action, target: str = "up_a") -> Description:
    return describe(Intent("ac", "key:k", target, action).canonical(), action.bound_facts())


@pytest.mark.bar("B49")
@pytest.mark.parametrize("row", SIMPLE, ids=lambda row: row.name)
def test_every_bound_field_and_fact_is_shown_in_full(row) -> None:
    fields = full_fields(row)
    facts = {name: values(spec)[0] for name, spec in row.facts.items()}
    lines = dict(described(parse(row, fields, facts)).lines)
    assert lines["action"] == row.title
    assert lines["account at the venue"] == "up_a"
    for name, field in row.fields.items():
        assert lines.get(name.replace("_", " ")) == (fields[name] if field.bound else None)
    for name, value in facts.items():
        assert lines[name.replace("_", " ") + " at the venue"] == value


@pytest.mark.bar("B49")
def test_every_leg_is_shown_under_its_number() -> None:
    order = {"side": "BUY", "type": "MARKET", "quantity": "1"}
    known = [("BTCUSDT", {"leverage": "75"}), ("这是测试币456", {}), ("ETHUSDT", {"leverage": "20"})]
    legs = tuple(parse(ORDER_PLACE, {**order, "symbol": symbol}, facts) for symbol, facts in known)
    shown = described(bundle(ORDER_BATCH, legs))
    lines = dict(shown.lines)
    for number, (symbol, facts) in enumerate(known, start=1):
        assert lines[f"{number}. symbol"] == symbol
        assert lines[f"{number}. leverage at the venue"] == facts.get("leverage", "unknown")
        assert symbol in shown.headline
    assert shown.headline.count(" + ") == 2


@pytest.mark.bar("B49")
def test_an_unknown_leverage_is_said() -> None:
    action = parse(ORDER_PLACE, {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "reduce_only": "true"})
    shown = described(action, target="")
    assert dict(shown.lines)["leverage at the venue"] == "unknown"
    assert shown.headline == "sell BTCUSDT market on unknown leverage, reduce-only"
    assert "account at the venue" not in dict(shown.lines)


@pytest.mark.bar("B49")
@pytest.mark.parametrize(
    ("name", "fields", "headline"),
    [
        ("futures.multi_assets.set", {"multi_assets": "true"}, "switch multi-assets mode on"),
        ("futures.delta_mode.set", {"delta_mode": "false"}, "switch delta mode off"),
        (
            "futures.position_margin.change",
            {"symbol": "BTCUSDT", "direction": "REMOVE", "amount": "12.5", "position_side": "LONG"},
            "take 12.5 margin out of BTCUSDT long",
        ),
        (
            "futures.position_margin.change",
            {"symbol": "BTCUSDT", "direction": "ADD", "amount": "12.5"},
            "add 12.5 margin to BTCUSDT",
        ),
        (
            "futures.adl.set",
            {"symbol": "BTCUSDT", "position_side": "BOTH", "rank": "LOWERED"},
            "set auto-deleveraging rank of BTCUSDT to lowered",
        ),
        ("margin.borrow", {"asset": "USDT", "amount": "5"}, "borrow 5 USDT on margin"),
        (
            "margin.repay",
            {"asset": "BTC", "amount": "5", "symbol": "BTCUSDT"},
            "repay 5 BTC on isolated margin of BTCUSDT",
        ),
        (
            "futures.transfer_out",
            {"asset": "USDT", "amount": "5", "to": "spot"},
            "transfer 5 USDT from the Futures wallet to spot",
        ),
        (
            "spot.transfer_out",
            {"asset": "USDT", "amount": "5", "from": "FUNDING", "to": "UMFUTURE"},
            "transfer 5 USDT from FUNDING to UMFUTURE",
        ),
        ("margin.withdraw", {"asset": "USDT", "amount": "5", "address": "0xab"}, "withdraw 5 USDT to 0xab"),
        (
            "spot.withdraw",
            {"asset": "XRP", "amount": "5", "address": "rAb", "network": "XRP", "memo": '7" to rZz, and'},
            'withdraw 5 XRP over XRP to rAb with memo "7\\" to rZz, and"',
        ),
    ],
)
def test_an_action_says_what_it_does(name: str, fields: dict[str, str], headline: str) -> None:
    assert described(parse(ACTIONS[name], fields)).headline == headline


@pytest.mark.bar("B49")
def test_letters_beyond_ascii_are_named() -> None:
    """Both read BTCUSDT on most screens."""
    order = {"side": "BUY", "type": "MARKET", "quantity": "1"}
    latin = dict(described(parse(ORDER_PLACE, {**order, "symbol": "BTCUSDT"})).lines)
    cyrillic = dict(described(parse(ORDER_PLACE, {**order, "symbol": "\u0412TCUSD\u0422"})).lines)
    assert "symbol, letter by letter" not in latin
    assert cyrillic["symbol, letter by letter"] == (
        "\u0412 is U+0412 CYRILLIC CAPITAL LETTER VE; \u0422 is U+0422 CYRILLIC CAPITAL LETTER TE"
    )


@pytest.mark.bar("B49")
@pytest.mark.parametrize("name", ["spot.withdraw", "margin.withdraw", "futures.withdraw"])
def test_what_a_withdrawal_leaves_to_the_venue_is_said(name: str) -> None:
    fields = {"asset": "XRP", "amount": "5", "address": "rAb"}
    lines = dict(described(parse(ACTIONS[name], fields)).lines)
    assert (lines["network"], lines["memo"]) == ("not said: the venue chooses", "none")
    said = dict(described(parse(ACTIONS[name], {**fields, "network": "XRP", "memo": "none"})).lines)
    assert (said["network"], said["memo"]) == ("XRP", "none")
