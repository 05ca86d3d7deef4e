"""The same order from every client is one intent: one challenge, one digest, one approval, one execution.

The clients differ in almost everything on the wire: form or query, order of parameters, `True` or `true`, `1e-05` or
`0.00001`, ids of their own, a response type, where the timestamp stands. None of it may reach what the owner approves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bot import Bot
from ccxt_client import Ccxt, CcxtAsync
from client import Client, Order
from connector_client import Connector
from python_binance_client import PythonBinance, PythonBinanceAsync
from sdk_client import Sdk
from story import challenged

from stack import Stack

pytestmark = pytest.mark.debian("oathtool")

KINDS: tuple[type[Any], ...] = (Ccxt, CcxtAsync, PythonBinance, PythonBinanceAsync, Connector, Sdk)
LIMIT = Order(quantity=0.013, price=50_000, reduce_only=False)
REDUCING = Order(side="SELL", quantity=0.01, reduce_only=True)

CALLS: dict[str, Callable[[Client], Any]] = {
    "limit order": lambda client: client.place(LIMIT),
    "reducing market order": lambda client: client.place(REDUCING),
    "leverage": lambda client: client.set_leverage(100),
    "margin mode": lambda client: client.set_margin_mode("ISOLATED"),
    "multi-assets mode": lambda client: client.set_multi_assets(on=True),
    "ADL setting": lambda client: client.call("POST", "/fapi/v1/adlSetting", symbol="BTCUSDT", rank="LOWERED"),
    "conditional order": lambda client: client.place_stop(REDUCING, 50_000.5),
    "amendment": lambda client: client.amend("4711", LIMIT),
    "batch": lambda client: client.place_batch([LIMIT, REDUCING]),
    "batch of amendments": lambda client: client.amend_batch(["4711", "4712"], [LIMIT, LIMIT]),
}


@pytest.fixture
def bots(stack: Stack) -> Iterator[list[Bot]]:
    """Every client, all with one key: a position at 20x is open, and the leverage stands at 75x since."""
    account = stack.account()
    key = stack.gateway_key(account)
    clients = [Bot(stack, account, key, kind(key, stack.url)) for kind in KINDS]
    opening = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    assert stack.venue.signed(account.venue_key, "POST", "/fapi/v1/order", opening).status == 200
    raising = {"symbol": "BTCUSDT", "leverage": "75"}
    assert stack.venue.signed(account.venue_key, "POST", "/fapi/v1/leverage", raising).status == 200
    yield clients
    for bot in clients:
        bot.client.close()


@pytest.mark.bar("B40")
@pytest.mark.bar("B41")
@pytest.mark.parametrize("call", CALLS)
def test_every_client_means_the_same(bots: list[Bot], call: str) -> None:
    stack, account = bots[0].stack, bots[0].account
    asked: dict[str, str] = {}
    for bot in bots:
        with challenged(bot) as found:
            CALLS[call](bot.client)
        asked[bot.client.name] = found[0]
    assert len(set(asked.values())) == 1, asked
    challenge_id = asked["ccxt"]
    [live] = stack.challenges(account)
    assert live.challenge_id == challenge_id
    [created] = [event for event in stack.events(account) if event["kind"] == "challenge.created"]
    assert created["digest"] == live.digest.hex()
    transport = {"client_order_id", "response_type", "timestamp", "recv_window", "otp", "signature"}
    bound = json.loads(live.intent)
    for part in bound.get("legs", [bound]):
        fields = set(part["fields"])
        assert not fields & transport or call == "amendment", fields


@pytest.mark.bar("B44")
def test_what_one_client_asked_another_executes_once(bots: list[Bot]) -> None:
    stack, account = bots[0].stack, bots[0].account
    before = stack.orders_executed(account)
    with challenged(bots[0]) as asked:
        bots[0].client.place(LIMIT)
    stack.approve(account, asked)
    assert bots[-1].client.place(LIMIT)
    for bot in bots:
        with challenged(bot) as anew:
            bot.client.place(LIMIT)
        assert anew != asked
    assert stack.orders_executed(account) == before + 1


@pytest.mark.parametrize("kind", [PythonBinance, Connector, Sdk], ids=lambda kind: kind.name)
def test_a_small_float_is_a_plain_decimal(stack: Stack, kind: type[Any]) -> None:
    """These write 0.00001 as `1e-05`; ccxt rounds to the symbol's steps before it sends."""
    account = stack.account()
    key = stack.gateway_key(account)
    bot = Bot(stack, account, key, kind(key, stack.url))
    bot.client.set_leverage(75)
    with challenged(bot) as asked:
        bot.client.place(Order(quantity=0.00001, price=50_000))
    fields = json.loads(stack.challenge(account, asked[0]).intent)["fields"]
    assert (fields["quantity"], fields["price"]) == ("0.00001", "50000")
    bot.client.close()
