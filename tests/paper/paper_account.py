"""An account with a past, as ccxt sees it: for tests that look at the shapes of answers."""

from __future__ import annotations

from typing import Any

import ccxt

from venue_process import PaperVenue, point_ccxt

BTC = "BTC/USDT:USDT"
ETH = "ETH/USDT:USDT"


def lively_account(venue: PaperVenue) -> Any:
    """A position in each of two symbols, fills, open and conditional orders, a transfer, a withdrawal."""
    account = venue.create_account({"futures": {"USDT": "10000"}, "spot": {"USDT": "500"}})
    key = venue.create_key(account, enableWithdrawals=True, permitsUniversalTransfer=True)
    client = ccxt.binanceusdm({"apiKey": key.api_key, "secret": key.secret, "enableRateLimit": False})
    exchange = point_ccxt(client, venue.url)
    exchange.load_markets()
    exchange.create_order(BTC, "market", "buy", 0.5)
    exchange.create_order(BTC, "market", "sell", 0.01, None, {"reduceOnly": True})
    exchange.create_order(ETH, "market", "sell", 0.5)
    price = exchange.fetch_ticker(BTC)["last"]
    exchange.create_order(BTC, "limit", "buy", 0.01, round(price * 0.8))
    cancelled = exchange.create_order(BTC, "limit", "buy", 0.01, round(price * 0.7))
    exchange.cancel_order(cancelled["id"], BTC)
    exchange.create_order(BTC, "market", "sell", 0.01, None, {"stopLossPrice": round(price * 0.7), "reduceOnly": True})
    exchange.transfer("USDT", 100, "linear", "spot")
    # The signature of `withdraw` differs between ccxt releases; the call beneath does not.
    exchange.sapiPostCapitalWithdrawApply(
        {"coin": "USDT", "amount": "50", "address": "0x" + "ab" * 20, "network": "ETH"}
    )
    return exchange
