"""The codec between the venue's parameters and our actions: spellings that clients use, and the one that leaves."""

from __future__ import annotations

import json

import pytest

from leverlock.gateway.binance.codec import read, write
from leverlock.gateway.binance.errors import BinanceError, IllegalCharacters
from leverlock.gateway.binance.forms import CONDITIONAL, ORDER, ORDERS

MARKET = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "1"}


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [("true", "true"), ("True", "true"), ("TRUE", "true"), ("false", "false"), ("False", "false"), ("FALSE", "false")],
)
def test_every_documented_spelling_of_a_flag_means_the_same(sent: str, forwarded: str) -> None:
    """The venue documents `TRUE` and `FALSE` for some flags, and its SDK writes them into every leg of a batch."""
    order = MARKET | {"reduceOnly": sent}
    assert dict(write(ORDER, read(ORDER, order)))["reduceOnly"] == forwarded
    leg = read(ORDERS, {"batchOrders": json.dumps([order])})
    assert json.loads(dict(write(ORDERS, leg))["batchOrders"])[0]["reduceOnly"] == forwarded
    stop = {"algoType": "CONDITIONAL", **MARKET, "type": "STOP_MARKET", "triggerPrice": "5", "priceProtect": sent}
    assert dict(write(CONDITIONAL, read(CONDITIONAL, stop)))["priceProtect"] == forwarded


@pytest.mark.parametrize("sent", ["tRUE", "tRue", "fALSE", "1", "0", "yes", "TRUE ", "ＴＲＵＥ"])
def test_no_other_spelling_of_a_flag_is_read(sent: str) -> None:
    with pytest.raises(IllegalCharacters, match="reduceOnly"):
        read(ORDER, MARKET | {"reduceOnly": sent})


def test_a_text_keeps_its_letters() -> None:
    """Only flags have spellings: a client's own order id may well be called TRUE."""
    sent = MARKET | {"newClientOrderId": "TRUE"}
    assert dict(write(ORDER, read(ORDER, sent)))["newClientOrderId"] == "TRUE"


@pytest.mark.parametrize("kind", ["STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"])
def test_a_conditional_order_in_the_old_place_is_told_where_to_go(kind: str) -> None:
    """Also with `stopPrice`, which clients older than the move send and the plain endpoint no longer knows."""
    old = MARKET | {"type": kind, "stopPrice": "50000"}
    for form, parameters in ((ORDER, old), (ORDERS, {"batchOrders": json.dumps([old])})):
        with pytest.raises(BinanceError) as refused:
            read(form, parameters)
        assert refused.value.code == -4120
