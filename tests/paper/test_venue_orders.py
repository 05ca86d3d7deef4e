"""Plain orders over HTTP: matching, filters, margin, amend, cancel, batches, the countdown."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from venue_process import PaperVenue, VenueAnswer, VenueKey

ORDER = "/fapi/v1/order"
BATCH = "/fapi/v1/batchOrders"


def order(venue: PaperVenue, key: VenueKey, **params: Any) -> VenueAnswer:
    """A BTCUSDT order of 0.01 to buy, changed by `params`; None takes a parameter out."""
    values: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    values |= {"newOrderRespType": "RESULT"} | params
    return venue.signed(key, "POST", ORDER, {k: v for k, v in values.items() if v is not None})


def limit(venue: PaperVenue, key: VenueKey, price: str, **params: Any) -> VenueAnswer:
    return order(venue, key, **({"type": "LIMIT", "timeInForce": "GTC", "price": price} | params))


def state(venue: PaperVenue, key: VenueKey, number: int) -> Any:
    return venue.signed(key, "GET", ORDER, {"symbol": "BTCUSDT", "orderId": number}).json


def position(venue: PaperVenue, key: VenueKey) -> Any:
    rows = venue.signed(key, "GET", "/fapi/v2/positionRisk", {"symbol": "BTCUSDT"}).json
    return rows[0]


def test_a_market_order_fills_at_the_far_side_of_the_spread(venue: PaperVenue, key: VenueKey) -> None:
    book = venue.public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT").json
    bought = order(venue, key).json
    assert (bought["status"], bought["executedQty"]) == ("FILLED", "0.010")
    assert float(bought["avgPrice"]) == float(book["askPrice"]) == 60003.0
    sold = order(venue, key, side="SELL").json
    assert float(sold["avgPrice"]) == float(book["bidPrice"]) == 59997.0
    assert position(venue, key)["positionAmt"] == "0.000"


def test_types_on_the_wire_are_those_of_the_real_venue(venue: PaperVenue, key: VenueKey) -> None:
    made = order(venue, key).json
    assert isinstance(made["orderId"], int)
    assert isinstance(made["updateTime"], int)
    assert made["reduceOnly"] is False
    assert all(isinstance(made[name], str) for name in ("price", "avgPrice", "origQty", "executedQty", "cumQuote"))


def test_an_acknowledged_order_answers_before_its_fill(venue: PaperVenue, key: VenueKey) -> None:
    made = order(venue, key, newOrderRespType=None).json
    assert (made["status"], made["executedQty"]) == ("NEW", "0.000")
    assert state(venue, key, made["orderId"])["status"] == "FILLED"


def test_a_limit_order_rests_and_fills_at_its_price_when_the_market_comes(venue: PaperVenue, key: VenueKey) -> None:
    made = limit(venue, key, "59000").json
    assert made["status"] == "NEW"
    venue.set_price("BTCUSDT", "59001")
    assert state(venue, key, made["orderId"])["status"] == "NEW"
    venue.set_price("BTCUSDT", "58500")
    filled = state(venue, key, made["orderId"])
    assert (filled["status"], float(filled["avgPrice"])) == ("FILLED", 59000.0)
    [fill] = venue.signed(key, "GET", "/fapi/v1/userTrades", {"symbol": "BTCUSDT"}).json
    assert fill["maker"] is True
    assert float(fill["commission"]) == pytest.approx(590 * 0.0002)


@pytest.mark.parametrize(
    ("price", "tif", "status", "code"),
    [
        ("60010", "GTC", "FILLED", None),
        ("60010", "IOC", "FILLED", None),
        ("59000", "IOC", "EXPIRED", None),
        ("60010", "FOK", "FILLED", None),
        ("59000", "FOK", None, -5021),
        ("59000", "GTX", "NEW", None),
        ("60010", "GTX", None, -5022),
        ("59000", "GTD", None, -9000),
        ("59000", "DAY", None, -1115),
    ],
)
def test_times_in_force(
    venue: PaperVenue, key: VenueKey, price: str, tif: str, status: str | None, code: int | None
) -> None:
    answer = limit(venue, key, price, timeInForce=tif)
    assert answer.code == code
    assert answer.json.get("status") == status


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": "0"}, -4003),
        ({"quantity": "-1"}, -4003),
        ({"quantity": "0.0005"}, -1111),
        ({"quantity": "201"}, -4005),
        ({"quantity": "NaN"}, -1100),
        ({"quantity": "0x1"}, -1100),
        ({"quantity": "1e400"}, -1100),
        ({"quantity": None}, -1102),
        ({"quantity": ""}, -1105),
        ({"side": "HOLD"}, -1117),
        ({"side": None}, -1102),
        ({"type": "ICEBERG"}, -1116),
        ({"symbol": "BTCUSD"}, -1121),
        ({"price": "60000"}, -1106),
        ({"timeInForce": "GTC"}, -1106),
        ({"stopPrice": "60000"}, -1106),
        ({"positionSide": "LONG"}, -4061),
        ({"positionSide": "UP"}, -4060),
        ({"reduceOnly": "true"}, -2022),
        ({"reduceOnly": "yes"}, -1130),
        ({"closePosition": "true"}, -4136),
        ({"newClientOrderId": "with blank"}, -4015),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newOrderRespType": "FULL"}, -1136),
        ({"priceMatch": "QUEUE"}, -9000),
        ({"goodTillDate": "1795416132000"}, -9000),
        ({"icebergQty": "1"}, -1104),
        ({"type": "LIMIT", "timeInForce": "GTC"}, -1102),
        ({"type": "LIMIT", "price": "59000"}, -1102),
        ({"type": "LIMIT", "price": "59000.05", "timeInForce": "GTC"}, -1111),
        ({"type": "LIMIT", "price": "-5", "timeInForce": "GTC"}, -4001),
        ({"type": "LIMIT", "price": "6000001", "timeInForce": "GTC"}, -4002),
        ({"type": "LIMIT", "price": "63500", "timeInForce": "GTC"}, -4016),
        ({"type": "LIMIT", "price": "56000", "timeInForce": "GTC", "side": "SELL"}, -4024),
        ({"type": "LIMIT", "price": "40000", "timeInForce": "GTC", "quantity": "0.001"}, -4164),
        ({"quantity": "4"}, -2019),
        ({"type": "STOP_MARKET", "stopPrice": "50000"}, -4120),
        ({"type": "TRAILING_STOP_MARKET", "callbackRate": "1"}, -4120),
    ],
)
def test_a_refused_order_has_its_code_and_changes_nothing(
    venue: PaperVenue, account: int, key: VenueKey, changes: dict[str, Any], code: int
) -> None:
    before = venue.account(account)
    answer = order(venue, key, **changes)
    assert (answer.status, answer.code) == (400, code), answer
    assert venue.account(account) == before


def test_scientific_notation_of_the_usual_clients_is_read(venue: PaperVenue, key: VenueKey) -> None:
    assert order(venue, key, quantity="1e-2").json["origQty"] == "0.010"


def test_the_position_limit_of_the_leverage(venue: PaperVenue) -> None:
    rich = venue.create_key(venue.create_account({"futures": {"USDT": "1000000"}}))
    assert venue.signed(rich, "POST", "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": 125}).status == 200
    assert order(venue, rich, quantity="4.9").status == 200
    assert order(venue, rich, quantity="0.2").code == -2027
    assert venue.signed(rich, "POST", "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": 100}).status == 200
    assert order(venue, rich, quantity="0.2").status == 200
    assert venue.signed(rich, "POST", "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": 125}).code == -2027


def test_reduce_only_closes_at_most_the_position(venue: PaperVenue, key: VenueKey) -> None:
    order(venue, key, quantity="0.02")
    assert order(venue, key, reduceOnly="true").code == -2022
    closed = order(venue, key, side="SELL", quantity="0.5", reduceOnly="true").json
    assert (closed["origQty"], closed["executedQty"], closed["reduceOnly"]) == ("0.020", "0.020", True)
    assert position(venue, key)["positionAmt"] == "0.000"


def test_a_resting_reduce_only_order_expires_when_the_position_is_gone(venue: PaperVenue, key: VenueKey) -> None:
    order(venue, key)
    made = limit(venue, key, "61000", side="SELL", reduceOnly="true").json
    order(venue, key, side="SELL")
    venue.set_price("BTCUSDT", "61500")
    assert state(venue, key, made["orderId"])["status"] == "EXPIRED"
    assert position(venue, key)["positionAmt"] == "0.000"


def test_a_client_order_id_is_unique_among_open_orders(venue: PaperVenue, key: VenueKey) -> None:
    assert limit(venue, key, "50000", newClientOrderId="mine").status == 200
    assert limit(venue, key, "51000", newClientOrderId="mine").code == -4116
    named = {"symbol": "BTCUSDT", "origClientOrderId": "mine"}
    assert venue.signed(key, "DELETE", ORDER, named).json["status"] == "CANCELED"
    assert limit(venue, key, "51000", newClientOrderId="mine").status == 200


def test_cancel(venue: PaperVenue, key: VenueKey) -> None:
    number = limit(venue, key, "50000").json["orderId"]
    named = {"symbol": "BTCUSDT", "orderId": number}
    assert venue.signed(key, "DELETE", ORDER, {"symbol": "ETHUSDT", "orderId": number}).code == -2011
    assert venue.signed(key, "DELETE", ORDER, {"symbol": "BTCUSDT"}).code == -1102
    assert venue.signed(key, "DELETE", ORDER, named, where="body").json["status"] == "CANCELED"
    assert venue.signed(key, "DELETE", ORDER, named).code == -2011
    assert venue.signed(key, "GET", ORDER, {"symbol": "BTCUSDT", "orderId": 10**9}).code == -2013


def test_orders_of_another_account_do_not_exist(venue: PaperVenue, key: VenueKey) -> None:
    number = limit(venue, key, "50000").json["orderId"]
    stranger = venue.create_key(venue.create_account())
    named = {"symbol": "BTCUSDT", "orderId": number}
    assert venue.signed(stranger, "GET", ORDER, named).code == -2013
    assert venue.signed(stranger, "DELETE", ORDER, named).code == -2011
    assert venue.signed(stranger, "PUT", ORDER, named | {"side": "BUY", "quantity": "1", "price": "1"}).code == -2013
    assert venue.signed(stranger, "GET", "/fapi/v1/openOrders").json == []


def test_amend_keeps_the_id_and_is_judged_like_a_new_order(venue: PaperVenue, key: VenueKey) -> None:
    number = limit(venue, key, "50000").json["orderId"]
    named = {"symbol": "BTCUSDT", "orderId": number, "side": "BUY"}

    def amend(quantity: str, price: str) -> VenueAnswer:
        return venue.signed(key, "PUT", ORDER, named | {"quantity": quantity, "price": price})

    changed = amend("0.02", "51000").json
    assert (changed["orderId"], changed["origQty"], changed["price"]) == (number, "0.020", "51000.0")
    assert amend("0.02", "51000").code == -5027
    assert amend("9", "51000").code == -2019
    assert amend("0.02", "70000").code == -4016
    assert state(venue, key, number)["price"] == "51000.0"
    assert amend("0.02", "60500").json["status"] == "FILLED"
    assert amend("0.02", "51000").code == -2013


def test_a_batch_answers_leg_by_leg(venue: PaperVenue, account: int, key: VenueKey) -> None:
    good = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    legs = [good | {"price": "50000"}, good | {"price": "90000"}, {"symbol": "BTCUSDT", "otp": "1"}]
    legs.append(good | {"price": 50000.1, "reduceOnly": False})
    answers = venue.signed(key, "POST", BATCH, {"batchOrders": json.dumps(legs)}, where="body").json
    assert [leg.get("code") for leg in answers] == [None, -4016, -1104, None]
    assert answers[3]["price"] == "50000.1"
    assert venue.calls(BATCH)[-1]["orders"] == 2
    amended = [
        {"symbol": "BTCUSDT", "side": "BUY", "orderId": leg["orderId"], "quantity": "0.02", "price": "49000"}
        for leg in (answers[0], answers[3])
    ]
    changed = venue.signed(key, "PUT", BATCH, {"batchOrders": json.dumps(amended)}).json
    assert [leg["origQty"] for leg in changed] == ["0.020", "0.020"]
    # A refused amendment leaves its order as it was, also inside a batch.
    refused = venue.signed(key, "PUT", BATCH, {"batchOrders": json.dumps([amended[0] | {"quantity": "9"}])}).json
    assert refused[0]["code"] == -2019
    assert state(venue, key, answers[0]["orderId"])["status"] == "NEW"
    numbers = json.dumps([answers[0]["orderId"], 10**9])
    cancelled = venue.signed(key, "DELETE", BATCH, {"symbol": "BTCUSDT", "orderidlist": numbers}).json
    assert cancelled[0]["status"] == "CANCELED"
    assert cancelled[1]["code"] == -2011
    assert venue.account(account)["orders"] == {"CANCELED": 1, "NEW": 1}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", -1102),
        ("[]", -4082),
        ("{}", -1130),
        ("[1]", -1130),
        ("nonsense", -1130),
        (json.dumps([{"symbol": "BTCUSDT"}] * 6), -4082),
        ('[{"symbol":"BTCUSDT","symbol":"ETHUSDT"}]', -1130),
        ('[{"symbol":["BTCUSDT"]}]', -1130),
    ],
)
def test_a_batch_that_cannot_be_read_is_refused_whole(venue: PaperVenue, key: VenueKey, text: str, code: int) -> None:
    assert venue.signed(key, "POST", BATCH, {"batchOrders": text}).code == code


def test_cancelling_all_of_a_symbol_leaves_the_others(venue: PaperVenue, key: VenueKey) -> None:
    limit(venue, key, "50000")
    limit(venue, key, "50001")
    limit(venue, key, "2500", symbol="ETHUSDT", quantity="0.1")
    assert venue.signed(key, "DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"}).json["code"] == 200
    opened = venue.signed(key, "GET", "/fapi/v1/openOrders").json
    assert [row["symbol"] for row in opened] == ["ETHUSDT"]


def test_the_countdown_cancels_when_nobody_calls_again(venue: PaperVenue, account: int, key: VenueKey) -> None:
    limit(venue, key, "50000")
    countdown = {"symbol": "BTCUSDT", "countdownTime": 150}
    answer = venue.signed(key, "POST", "/fapi/v1/countdownCancelAll", countdown)
    assert answer.json == {"symbol": "BTCUSDT", "countdownTime": "150"}
    deadline = time.monotonic() + 10
    while venue.account(account)["orders"] != {"CANCELED": 1}:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_log_tells_what_was_received_and_executed(venue: PaperVenue, key: VenueKey) -> None:
    venue.clear_calls()
    order(venue, key)
    order(venue, key, quantity="0")
    received = venue.calls(ORDER, "POST")
    assert [(call["status"], call["code"], call["orders"]) for call in received] == [
        (200, 0, 1),
        (400, -4003, 0),
    ]
    assert "symbol=BTCUSDT" in received[0]["query"]
    assert received[0]["headers"]["x-mbx-apikey"] == key.api_key
    assert venue.orders_executed() == 1
