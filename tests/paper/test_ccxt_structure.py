"""ccxt's own structural tests, the ones that ship inside its package, against the reads of the venue."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from paper_account import lively_account

from venue_process import PaperVenue

BTC = "BTC/USDT:USDT"
PACKAGE = "ccxt.test.exchange.sync"
# Structural test -> its arguments after the exchange and the properties it may skip. Left out: those of
# fetch_markets and fetch_margin_modes, which ask for another type than ccxt's own methods return.
READS: dict[str, list[Any]] = {
    "load_markets": [],
    "fetch_currencies": [],
    "fetch_status": [],
    "fetch_ticker": [BTC],
    "fetch_tickers": [BTC],
    "fetch_last_prices": [BTC],
    "fetch_ohlcv": [BTC],
    "fetch_trades": [BTC],
    "fetch_order_book": [BTC],
    "fetch_l2_order_book": [BTC],
    "fetch_funding_rate_history": [BTC],
    "fetch_open_interest_history": [BTC],
    "fetch_balance": [],
    "fetch_positions": [BTC],
    "fetch_orders": [BTC],
    "fetch_open_orders": [BTC],
    "fetch_closed_orders": [BTC],
    "fetch_my_trades": [BTC],
    "fetch_my_liquidations": [BTC],
    "fetch_ledger": ["USDT"],
    "fetch_leverage_tiers": [BTC],
    "fetch_trading_fee": [BTC],
    "fetch_trading_fees": [],
    "fetch_deposits": ["USDT"],
    "fetch_withdrawals": ["USDT"],
}

# What ccxt leaves empty for this dialect whatever the venue says: the third version of positionRisk has no
# leverage; the income lines have an amount and little else, and ccxt gives them a type word outside its own
# list; deposits and withdrawals have no time of change.
EMPTY_BY_NATURE: dict[str, set[str]] = {
    "fetch_positions": {"leverage"},
    "fetch_ledger": {"account", "status", "before", "after", "fee", "type"},
    "fetch_deposits": {"updated", "fee"},
    "fetch_withdrawals": {"updated"},
}


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A walking market, and an account that has traded, holds a position and has open orders."""
    with PaperVenue(tmp_path_factory.mktemp("structure"), market="walk") as venue:
        exchange = lively_account(venue)
        exchange.has["future"] = False  # perpetuals only: the venue lists no dated contract
        yield exchange


@pytest.mark.parametrize("read", READS)
def test_ccxt_structural_test_of(lively: Any, read: str) -> None:
    lively.load_markets()
    module = importlib.import_module(f"{PACKAGE}.test_{read}")
    getattr(module, f"test_{read}")(lively, dict.fromkeys(EMPTY_BY_NATURE.get(read, ()), True), *READS[read])
