"""ccxt's own structural tests, the ones that ship inside its package, against the reads through the gateway.

The account has a past at the venue: trades, positions, open and conditional orders, a transfer and a withdrawal. It was
made with the venue's own key, because none of the last two passes the gateway.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ccxt_client import Ccxt

from ccxt_structure import BTC, READS, check_read
from stack import Stack

ETH = "ETH/USDT:USDT"


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A walking market, and an account that has traded, holds positions and has open orders."""
    with Stack(tmp_path_factory.mktemp("reads"), market="walk") as stack:
        account = stack.account(
            balances={"futures": {"USDT": "10000"}, "spot": {"USDT": "500"}},
            enableWithdrawals=True,
            permitsUniversalTransfer=True,
        )
        client = Ccxt(stack.gateway_key(account), stack.url)
        exchange = client.exchange
        exchange.load_markets()
        exchange.has["future"] = False  # perpetuals only: the venue lists no dated contract
        _past(exchange)
        moved = {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "100"}
        assert stack.venue.signed(account.venue_key, "POST", "/sapi/v1/asset/transfer", moved).status == 200
        withdrawn = {"coin": "USDT", "amount": "50", "address": "0x" + "ab" * 20, "network": "ETH"}
        assert stack.venue.signed(account.venue_key, "POST", "/sapi/v1/capital/withdraw/apply", withdrawn).status == 200
        yield exchange
        client.close()


def _past(exchange: Any) -> None:
    exchange.create_order(BTC, "market", "buy", 0.5)
    exchange.create_order(BTC, "market", "sell", 0.01, None, {"reduceOnly": True})
    exchange.create_order(ETH, "market", "sell", 0.5)
    price = exchange.fetch_ticker(BTC)["last"]
    exchange.create_order(BTC, "limit", "buy", 0.01, round(price * 0.8))
    cancelled = exchange.create_order(BTC, "limit", "buy", 0.01, round(price * 0.7))
    exchange.cancel_order(cancelled["id"], BTC)
    exchange.create_order(BTC, "market", "sell", 0.01, None, {"stopLossPrice": round(price * 0.7), "reduceOnly": True})


@pytest.mark.parametrize("read", READS)
def test_ccxt_structural_test_of(lively: Any, read: str) -> None:
    check_read(lively, read)
