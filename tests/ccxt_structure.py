"""ccxt's own structural tests for the reads, the ones that ship inside its package, as one table and one call."""

from __future__ import annotations

import importlib
from typing import Any

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


def check_read(exchange: Any, read: str) -> None:
    """Run one of them. It raises what ccxt finds wrong with the shape of an answer."""
    exchange.load_markets()
    module = importlib.import_module(f"{PACKAGE}.test_{read}")
    getattr(module, f"test_{read}")(exchange, dict.fromkeys(EMPTY_BY_NATURE.get(read, ()), True), *READS[read])
