"""The unmodified ccxt package against the venue, by configuration only: what a bot does in a day."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from venue_process import PaperVenue, VenueKey, point_ccxt

BTC = "BTC/USDT:USDT"
ETH = "ETH/USDT:USDT"


def ccxt_of(venue: PaperVenue, key: VenueKey) -> Any:
    client = ccxt.binanceusdm({"apiKey": key.api_key, "secret": key.secret, "enableRateLimit": False})
    return point_ccxt(client, venue.url)


@pytest.fixture(params=["HMAC", "ED25519"])
def bot(request: pytest.FixtureRequest, venue: PaperVenue, account: int) -> Any:
    key = venue.create_key(account, kind=request.param, enableWithdrawals=True, permitsUniversalTransfer=True)
    return ccxt_of(venue, key)


def test_markets_and_leverage_tiers(bot: Any) -> None:
    markets = bot.load_markets()
    assert len(markets) == 12
    assert markets[BTC]["limits"]["cost"]["min"] == 50
    assert markets[BTC]["precision"] == {"amount": 0.001, "price": 0.1, "base": 1e-8, "quote": 1e-8}
    assert "这是测试币456/USDT:USDT" in markets
    tiers = bot.fetch_leverage_tiers([BTC])[BTC]
    assert tiers[0]["maxLeverage"] == 125


def test_an_order_its_position_and_its_end(venue: PaperVenue, account: int, bot: Any) -> None:
    assert bot.fetch_balance()["USDT"]["free"] == 10_000
    assert bot.set_leverage(75, BTC)["leverage"] in (75, "75")
    order = bot.create_order(BTC, "market", "buy", 0.1)
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.1, 60003.0)
    [position] = bot.fetch_positions([BTC])
    assert (position["contracts"], position["side"], position["entryPrice"]) == (0.1, "long", 60003.0)
    assert bot.fetch_leverages()[BTC]["longLeverage"] == 75
    closed = bot.create_order(BTC, "market", "sell", 0.1, None, {"reduceOnly": True})
    assert closed["reduceOnly"] is True
    assert bot.fetch_positions([BTC]) == []
    assert [trade["side"] for trade in bot.fetch_my_trades(BTC)] == ["buy", "sell"]
    assert venue.account(account)["positions"] == []


def test_limit_orders_amend_and_cancel(bot: Any) -> None:
    order = bot.create_order(BTC, "limit", "buy", 0.01, 50_000)
    assert order["status"] == "open"
    edited = bot.edit_order(order["id"], BTC, "limit", "buy", 0.02, 51_000)
    assert (edited["id"], edited["amount"], edited["price"]) == (order["id"], 0.02, 51_000.0)
    assert [row["id"] for row in bot.fetch_open_orders(BTC)] == [order["id"]]
    assert bot.cancel_order(order["id"], BTC)["status"] == "canceled"
    assert bot.fetch_order(order["id"], BTC)["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        bot.cancel_order(order["id"], BTC)


def test_batches(bot: Any) -> None:
    leg = {"type": "limit", "side": "buy", "amount": 0.01}
    orders = bot.create_orders([leg | {"symbol": BTC, "price": price} for price in (50_000, 50_001.5)])
    assert sorted(order["price"] for order in orders) == [50_000.0, 50_001.5]
    changes = [leg | {"symbol": BTC, "id": order["id"], "price": 49_000} for order in orders]
    assert {order["price"] for order in bot.edit_orders(changes)} == {49_000.0}
    cancelled = bot.cancel_orders([order["id"] for order in orders], BTC)
    assert {order["status"] for order in cancelled} == {"canceled"}


def test_conditional_orders(venue: PaperVenue, bot: Any) -> None:
    bot.create_order(BTC, "market", "buy", 0.01)
    stop = bot.create_order(BTC, "market", "sell", 0.01, None, {"stopLossPrice": 58_000, "reduceOnly": True})
    goal = bot.create_order(BTC, "market", "sell", 0.01, None, {"takeProfitPrice": 62_000, "reduceOnly": True})
    opened = bot.fetch_open_orders(BTC, None, None, {"trigger": True})
    assert {row["id"] for row in opened} == {stop["id"], goal["id"]}
    bot.cancel_order(goal["id"], BTC, {"trigger": True})
    venue.set_price("BTCUSDT", "57900")
    assert bot.fetch_positions([BTC]) == []
    trailing = bot.create_order(BTC, "market", "sell", 0.01, None, {"trailingPercent": 1})
    assert trailing["status"] == "open"


def test_modes(bot: Any) -> None:
    assert bot.set_margin_mode("isolated", ETH)["code"] in (200, "200")
    assert bot.fetch_margin_mode(ETH)["marginMode"] == "isolated"
    bot.set_position_mode(True)
    assert bot.fetch_position_mode(BTC)["hedged"] is True
    order = bot.create_order(BTC, "market", "buy", 0.01, None, {"positionSide": "LONG"})
    assert order["status"] == "closed"


def test_errors_arrive_as_the_right_exceptions(venue: PaperVenue, bot: Any) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        bot.create_order(BTC, "market", "buy", 50)
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        bot.create_order(BTC, "market", "sell", 0.01, None, {"stopLossPrice": 61_000})
    with pytest.raises(ccxt.InvalidOrder):
        bot.create_order(BTC, "market", "buy", 0.01, None, {"reduceOnly": True})
    stranger = ccxt_of(venue, VenueKey("a" * 64, "b" * 64))
    with pytest.raises(ccxt.AuthenticationError):
        stranger.fetch_balance()
    forger = ccxt_of(venue, VenueKey(bot.apiKey, "b" * 64))
    with pytest.raises(ccxt.AuthenticationError):
        forger.fetch_balance()


def test_wallets(venue: PaperVenue, account: int, bot: Any) -> None:
    bot.load_markets()
    assert bot.transfer("USDT", 100, "linear", "spot")["id"]
    # `withdraw` has another signature in every second release; the call beneath stays.
    request = {"coin": "USDT", "amount": "50", "address": "0x" + "ab" * 20, "network": "ETH"}
    assert bot.sapiPostCapitalWithdrawApply(request)["id"]
    assert [row["amount"] for row in bot.fetch_withdrawals("USDT")] == [49.0]
    assert venue.account(account)["balances"]["spot"]["USDT"] == "550"


def test_a_name_outside_ascii(bot: Any) -> None:
    name = "这是测试币456/USDT:USDT"
    assert bot.create_order(name, "market", "buy", 10)["status"] == "closed"
    [position] = bot.fetch_positions([name])
    assert position["symbol"] == name


def test_reads_of_a_bot(bot: Any) -> None:
    bot.create_order(BTC, "market", "buy", 0.01)
    assert bot.fetch_ticker(BTC)["last"] == 60_000
    assert len(bot.fetch_tickers()) == 12
    assert len(bot.fetch_order_book(BTC, 5)["bids"]) == 5
    assert len(bot.fetch_trades(BTC, None, 20)) == 20
    assert len(bot.fetch_ohlcv(BTC, "1h", None, 24)) == 24
    assert bot.fetch_funding_rate(BTC)["markPrice"] == 60_000
    assert len(bot.fetch_funding_rates()) == 12
    assert bot.fetch_trading_fee(BTC)["taker"] == 0.0005
    assert bot.fetch_ledger("USDT")[0]["type"] == "commission"
    assert bot.fetch_open_interest(BTC)["openInterestAmount"] > 0
    assert bot.fetch_positions_adl_rank()[0]["symbol"] == BTC
