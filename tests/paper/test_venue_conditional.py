"""Conditional (algo) orders: accepted, triggered by the mark price, cancelled, read."""

from __future__ import annotations

from typing import Any

import pytest

from venue_process import PaperVenue, VenueAnswer, VenueKey

ALGO = "/fapi/v1/algoOrder"


def algo(venue: PaperVenue, key: VenueKey, **params: Any) -> VenueAnswer:
    """A stop to sell 0.01 BTC at 58000, changed by `params`; None takes a parameter out."""
    values: dict[str, Any] = {
        "algoType": "CONDITIONAL",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
    }
    values |= {"quantity": "0.01", "triggerPrice": "58000"} | params
    return venue.signed(key, "POST", ALGO, {k: v for k, v in values.items() if v is not None})


def read(venue: PaperVenue, key: VenueKey, number: int) -> Any:
    return venue.signed(key, "GET", ALGO, {"algoId": number}).json


def buy(venue: PaperVenue, key: VenueKey, quantity: str) -> None:
    values = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": quantity}
    assert venue.signed(key, "POST", "/fapi/v1/order", values).status == 200


def amount(venue: PaperVenue, account: int) -> str:
    return "".join(row["amount"] for row in venue.account(account)["positions"])


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "short_of", "beyond"),
    [
        ("SELL", "STOP_MARKET", "58000", "58001", "57990"),
        ("BUY", "STOP_MARKET", "62000", "61999", "62010"),
        ("SELL", "TAKE_PROFIT_MARKET", "62000", "61999", "62010"),
        ("BUY", "TAKE_PROFIT_MARKET", "58000", "58001", "57990"),
    ],
)
def test_it_waits_for_its_price_and_then_trades(
    venue: PaperVenue,
    account: int,
    key: VenueKey,
    side: str,
    kind: str,
    trigger: str,
    short_of: str,
    beyond: str,
) -> None:
    made = algo(venue, key, side=side, type=kind, triggerPrice=trigger).json
    assert (made["algoStatus"], made["orderType"], made["actualOrderId"]) == ("NEW", kind, "")
    venue.set_price("BTCUSDT", short_of)
    assert read(venue, key, made["algoId"])["algoStatus"] == "NEW"
    venue.set_price("BTCUSDT", beyond)
    done = read(venue, key, made["algoId"])
    assert done["algoStatus"] == "FINISHED"
    order = {"symbol": "BTCUSDT", "orderId": int(done["actualOrderId"])}
    became = venue.signed(key, "GET", "/fapi/v1/order", order).json
    assert (became["status"], became["type"], became["origType"]) == ("FILLED", "MARKET", kind)
    assert amount(venue, account) == ("0.01" if side == "BUY" else "-0.01")


def test_a_stop_limit_becomes_a_resting_limit_order(venue: PaperVenue, key: VenueKey) -> None:
    made = algo(venue, key, type="STOP", price="58500", timeInForce="GTC").json
    venue.set_price("BTCUSDT", "57900")
    [resting] = venue.signed(key, "GET", "/fapi/v1/openOrders").json
    assert (resting["type"], resting["origType"], resting["price"]) == ("LIMIT", "STOP", "58500.0")
    assert read(venue, key, made["algoId"])["actualOrderId"] == str(resting["orderId"])


def test_a_trailing_stop_follows_the_price_and_fires_on_the_way_back(
    venue: PaperVenue, account: int, key: VenueKey
) -> None:
    trailing = {"type": "TRAILING_STOP_MARKET", "triggerPrice": None, "callbackRate": "2"}
    made = algo(venue, key, activatePrice="61000", **trailing).json
    for price in ("59000", "61000", "65000", "63750"):
        venue.set_price("BTCUSDT", price)
        assert read(venue, key, made["algoId"])["algoStatus"] == "NEW", price
    venue.set_price("BTCUSDT", "63690")
    assert read(venue, key, made["algoId"])["algoStatus"] == "FINISHED"
    assert amount(venue, account) == "-0.01"


def test_close_position_closes_all_there_is(venue: PaperVenue, account: int, key: VenueKey) -> None:
    buy(venue, key, "0.01")
    made = algo(venue, key, quantity=None, closePosition="true").json
    assert made["closePosition"] is True
    buy(venue, key, "0.02")
    venue.set_price("BTCUSDT", "57000")
    assert amount(venue, account) == ""


def test_a_triggered_order_that_is_refused_ends_with_the_reason(venue: PaperVenue, key: VenueKey) -> None:
    buy(venue, key, "0.01")
    made = algo(venue, key, reduceOnly="true").json
    values = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01"}
    venue.signed(key, "POST", "/fapi/v1/order", values)
    venue.set_price("BTCUSDT", "57000")
    ended = read(venue, key, made["algoId"])
    assert ended["algoStatus"] == "REJECTED"
    assert ended["failReason"].startswith("-2022")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"algoType": None}, -1102),
        ({"algoType": "TWAP"}, -1130),
        ({"type": "MARKET"}, -1116),
        ({"triggerPrice": "61000"}, -2021),
        ({"triggerPrice": None}, -1102),
        ({"triggerPrice": "0"}, -4006),
        ({"triggerPrice": "58000.05"}, -1111),
        ({"price": "58000"}, -1106),
        ({"type": "STOP"}, -1102),
        ({"quantity": "0"}, -4003),
        ({"reduceOnly": "true"}, -2022),
        ({"closePosition": "true"}, -4137),
        ({"closePosition": "true", "quantity": None}, -4112),
        ({"closePosition": "true", "quantity": None, "type": "STOP", "price": "58000"}, -4136),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": None}, -1102),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": None, "callbackRate": "11"}, -1130),
        ({"timeInForce": "GTD", "goodTillDate": "1895416132000"}, -9000),
        ({"otp": "123456"}, -1104),
    ],
)
def test_refusals(venue: PaperVenue, key: VenueKey, changes: dict[str, Any], code: int) -> None:
    assert algo(venue, key, **changes).code == code
    assert venue.signed(key, "GET", "/fapi/v1/openAlgoOrders").json == []


def test_cancel_and_lists(venue: PaperVenue, key: VenueKey) -> None:
    first = algo(venue, key, clientAlgoId="stop-1").json["algoId"]
    assert algo(venue, key, clientAlgoId="stop-1").code == -4116
    algo(venue, key, symbol="ETHUSDT", triggerPrice="2000", quantity="0.1")
    opened = venue.signed(key, "GET", "/fapi/v1/openAlgoOrders", {"symbol": "BTCUSDT"}).json
    assert [row["clientAlgoId"] for row in opened] == ["stop-1"]
    # The two kinds of open orders are two lists: cancelling the plain ones leaves a stop alone.
    venue.signed(key, "DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"})
    answer = venue.signed(key, "DELETE", ALGO, {"clientAlgoId": "stop-1"}).json
    assert answer == {"algoId": first, "clientAlgoId": "stop-1", "code": "200", "msg": "success"}
    assert venue.signed(key, "DELETE", ALGO, {"algoId": first}).code == -2011
    assert venue.signed(key, "DELETE", ALGO, {}).code == -1102
    assert venue.signed(key, "GET", ALGO, {"algoId": 10**9}).code == -2013
    assert venue.signed(key, "DELETE", "/fapi/v1/algoOpenOrders", {"symbol": "ETHUSDT"}).json["code"] == 200
    assert venue.signed(key, "GET", "/fapi/v1/openAlgoOrders").json == []
    past = venue.signed(key, "GET", "/fapi/v1/allAlgoOrders", {"symbol": "BTCUSDT"}).json
    assert [row["algoStatus"] for row in past] == ["CANCELED"]
