"""The reads a bot lives on, in the calls and the parameters of each client; ccxt's stand in `test_ccxt_reads.py`.

Every call must be answered by the venue: a read that the gateway does not know, or knows with other parameters, is
refused and fails here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bot import Bot
from client import Order
from connector_client import Connector
from python_binance_client import PythonBinance, PythonBinanceAsync
from sdk_client import Sdk

from stack import Stack

BTC = {"symbol": "BTCUSDT"}
KLINES = BTC | {"interval": "1m", "limit": 5}
PERIOD = BTC | {"period": "5m", "limit": 5}

PYTHON_BINANCE: dict[str, dict[str, Any]] = {
    "futures_ping": {},
    "futures_time": {},
    "futures_ticker": BTC,
    "futures_symbol_ticker": {},
    "futures_orderbook_ticker": BTC,
    "futures_order_book": BTC | {"limit": 5},
    "futures_recent_trades": BTC,
    "futures_historical_trades": BTC,
    "futures_aggregate_trades": BTC,
    "futures_klines": KLINES,
    "futures_mark_price_klines": KLINES,
    "futures_mark_price": BTC,
    "futures_funding_rate": BTC,
    "futures_open_interest": BTC,
    "futures_open_interest_hist": PERIOD,
    "futures_global_longshort_ratio": PERIOD,
    "futures_v1_get_funding_info": {},
    "futures_account": {},
    "futures_account_config": {},
    "futures_get_position_mode": {},
    "futures_get_multi_assets_mode": {},
    "futures_leverage_bracket": BTC,
    "futures_commission_rate": BTC,
    "futures_adl_quantile_estimate": BTC,
    "futures_get_all_orders": BTC,
    "futures_get_open_algo_orders": {},
    "futures_get_all_algo_orders": BTC,
    "futures_account_trades": BTC,
    "futures_income_history": {"incomeType": "COMMISSION"},
    "futures_position_margin_history": BTC,
    "futures_liquidation_orders": {},
}
CONNECTOR: dict[str, dict[str, Any]] = {
    "ping": {},
    "time": {},
    "ticker_24hr_price_change": BTC,
    "ticker_price": {},
    "book_ticker": BTC,
    "depth": BTC | {"limit": 5},
    "trades": BTC,
    "historical_trades": BTC,
    "agg_trades": BTC,
    "klines": KLINES,
    "continuous_klines": {"pair": "BTCUSDT", "contractType": "PERPETUAL", "interval": "1m"},
    "index_price_klines": {"pair": "BTCUSDT", "interval": "1m"},
    "mark_price_klines": KLINES,
    "mark_price": BTC,
    "funding_rate": BTC,
    "funding_info": {},
    "open_interest": BTC,
    "open_interest_hist": PERIOD,
    "long_short_account_ratio": PERIOD,
    "account": {},
    "futures_account_configuration": {},
    "get_position_mode": {},
    "get_multi_asset_mode": {},
    "leverage_brackets": {},
    "commission_rate": BTC,
    "adl_quantile": BTC,
    "get_all_orders": BTC,
    "get_account_trades": BTC,
    "get_income_history": {"incomeType": "COMMISSION"},
    "get_position_margin_history": BTC,
    "force_orders": {},
}
SDK: dict[str, dict[str, Any]] = {
    "test_connectivity": {},
    "check_server_time": {},
    "ticker24hr_price_change_statistics": BTC,
    "symbol_price_ticker_v2": {},
    "symbol_order_book_ticker": BTC,
    "order_book": BTC | {"limit": 5},
    "recent_trades_list": BTC,
    "old_trades_lookup": BTC,
    "compressed_aggregate_trades_list": BTC,
    "kline_candlestick_data": KLINES,
    "mark_price_kline_candlestick_data": KLINES,
    "mark_price": BTC,
    "get_funding_rate_history": BTC,
    "get_funding_rate_info": {},
    "open_interest": BTC,
    "open_interest_statistics": PERIOD,
    "account_information_v2": {},
    "account_information_v3": {},
    "position_information_v2": BTC,
    "futures_account_balance_v2": {},
    "futures_account_configuration": {},
    "get_current_position_mode": {},
    "get_current_multi_assets_mode": {},
    "notional_and_leverage_brackets": BTC,
    "user_commission_rate": BTC,
    "position_adl_quantile_estimation": BTC,
    "all_orders": BTC,
    "current_all_algo_open_orders": {},
    "query_all_algo_orders": BTC,
    "account_trade_list": BTC,
    "get_income_history": {"income_type": "COMMISSION"},
    "get_position_margin_change_history": BTC,
    "users_force_orders": {},
}
CALLS = [
    pytest.param(kind, name, arguments, id=f"{kind.name}-{name}")
    for kind, calls in (
        (PythonBinance, PYTHON_BINANCE),
        (PythonBinanceAsync, PYTHON_BINANCE),
        (Connector, CONNECTOR),
        (Sdk, SDK),
    )
    for name, arguments in calls.items()
]


@pytest.fixture(scope="module")
def readers(stack: Stack) -> Iterator[dict[str, Any]]:
    """One bot with every client, its account with a fill, an open order and a conditional one."""
    account = stack.account()
    key = stack.gateway_key(account)
    clients = {kind.name: kind(key, stack.url) for kind in (PythonBinance, PythonBinanceAsync, Connector, Sdk)}
    trader = Bot(stack, account, key, clients["python-binance"]).client
    trader.place(Order())
    trader.place(Order(price=50_000))
    trader.place_stop(Order(side="SELL"), 40_000)
    yield clients
    for client in clients.values():
        client.close()


@pytest.mark.parametrize(("kind", "name", "arguments"), CALLS)
def test_read(readers: dict[str, Any], kind: type[Any], name: str, arguments: dict[str, Any]) -> None:
    client = readers[kind.name]
    if isinstance(client, PythonBinance):
        answer = client.run(getattr(client.binance, name)(**arguments))
    elif isinstance(client, Connector):
        answer = getattr(client.futures, name)(**arguments)
    else:
        answer = getattr(client.rest, name)(**arguments).data()
    assert answer is not None
