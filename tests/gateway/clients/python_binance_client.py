"""python-binance, sync and async: the same calls, pointed at the gateway by its address attributes."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Sequence
from typing import Any, ClassVar

from binance.async_client import AsyncClient
from binance.client import Client
from binance.exceptions import BinanceAPIException
from client import ED25519, HMAC, Order, Refusal

from stack import GatewayKey

HEADER = "Leverlock-Code"


class PythonBinance:
    name: ClassVar = "python-binance"
    algorithms: ClassVar = (HMAC, ED25519)
    errors: ClassVar = (BinanceAPIException,)
    step_up: ClassVar = BinanceAPIException

    def __init__(self, key: GatewayKey, url: str) -> None:
        self.key, self.url = key, url
        self.binance: Any = self._connected(_credentials(key))

    def _connected(self, credentials: dict[str, Any]) -> Any:
        made = Client(**credentials, ping=False)
        for attribute, address in _addresses(self.url).items():
            setattr(made, attribute, address)
        return made

    def run(self, answer: Any) -> Any:
        """What a call gave; the async client's calls are awaited."""
        return answer

    def close(self) -> None:
        self.binance.close_connection()

    def refusal(self, error: BaseException) -> Refusal:
        assert isinstance(error, BinanceAPIException), error
        return Refusal(error.code, error.message, type(error))

    def load(self) -> set[str]:
        return {row["symbol"] for row in self.run(self.binance.futures_exchange_info())["symbols"]}

    def balance(self) -> float:
        rows = self.run(self.binance.futures_account_balance())
        return next(float(row["balance"]) for row in rows if row["asset"] == "USDT")

    def position(self, symbol: str = "BTCUSDT") -> float:
        rows = self.run(self.binance.futures_position_information(symbol=symbol))
        return sum(float(row["positionAmt"]) for row in rows)

    def leverage(self, symbol: str = "BTCUSDT") -> int:
        [row] = self.run(self.binance.futures_symbol_config(symbol=symbol))
        return int(row["leverage"])

    def open_orders(self, symbol: str = "BTCUSDT") -> list[str]:
        return [str(row["orderId"]) for row in self.run(self.binance.futures_get_open_orders(symbol=symbol))]

    def set_leverage(self, leverage: int, symbol: str = "BTCUSDT", *, code: str = "") -> None:
        self.run(self.binance.futures_change_leverage(symbol=symbol, leverage=leverage, **_with(code)))

    def place(self, order: Order, *, code: str = "") -> str:
        return str(self.run(self.binance.futures_create_order(**wire(order), **_with(code)))["orderId"])

    def place_batch(self, orders: Sequence[Order], *, code: str = "") -> list[str]:
        # The client would send an `otp` of this call twice; its header takes the code once.
        with self._coded(code):
            rows = self.run(
                self.binance.futures_place_batch_order(batchOrders=[texts(wire(order)) for order in orders])
            )
        return [str(row["orderId"]) for row in rows]

    def amend(self, order_id: str, order: Order) -> str:
        return str(self.run(self.binance.futures_modify_order(orderId=order_id, **amendment(order)))["orderId"])

    def amend_batch(self, order_ids: Sequence[str], orders: Sequence[Order]) -> list[str]:
        legs = [
            {"orderId": int(order_id)} | texts(amendment(order))
            for order_id, order in zip(order_ids, orders, strict=True)
        ]
        listed = json.dumps(legs, separators=(",", ":"))
        return [str(row["orderId"]) for row in self.run(self.binance.futures_v1_put_batch_orders(batchOrders=listed))]

    def place_stop(self, order: Order, trigger: float) -> str:
        sent = wire(order) | {"type": "STOP_MARKET", "triggerPrice": trigger}
        return str(self.run(self.binance.futures_create_order(**sent))["algoId"])

    def cancel(self, order_id: str, symbol: str = "BTCUSDT") -> None:
        self.run(self.binance.futures_cancel_order(symbol=symbol, orderId=order_id))

    def cancel_several(self, order_ids: Sequence[str], symbol: str = "BTCUSDT") -> None:
        self.run(self.binance.futures_cancel_orders(symbol=symbol, orderidlist=[int(i) for i in order_ids]))

    def cancel_all(self, symbol: str = "BTCUSDT") -> None:
        self.run(self.binance.futures_cancel_all_open_orders(symbol=symbol))

    def cancel_stop(self, order_id: str, symbol: str = "BTCUSDT") -> None:
        self.run(self.binance.futures_cancel_algo_order(symbol=symbol, algoId=order_id))

    def cancel_all_stops(self, symbol: str = "BTCUSDT") -> None:
        self.run(self.binance.futures_cancel_all_algo_open_orders(symbol=symbol))

    def set_margin_mode(self, mode: str, symbol: str = "BTCUSDT") -> None:
        self.run(self.binance.futures_change_margin_type(symbol=symbol, marginType=mode))

    def set_position_mode(self, *, hedged: bool) -> None:
        self.run(self.binance.futures_change_position_mode(dualSidePosition="true" if hedged else "false"))

    def listen(self) -> str:
        listen_key = self.run(self.binance.futures_stream_get_listen_key())
        self.run(self.binance.futures_stream_keepalive(listen_key))
        self.run(self.binance.futures_stream_close(listen_key))
        return str(listen_key)

    def test_order(self) -> None:
        self.run(self.binance.futures_create_test_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01))

    def change_margin(self, amount: float, *, remove: bool, symbol: str = "BTCUSDT") -> None:
        kind = 2 if remove else 1
        self.run(self.binance.futures_change_position_margin(symbol=symbol, amount=amount, type=kind))

    def set_multi_assets(self, *, on: bool) -> None:
        self.run(self.binance.futures_change_multi_assets_mode(on))

    def transfer(self, wallets: str, amount: float) -> str:
        made = self.run(self.binance.make_universal_transfer(type=wallets, asset="USDT", amount=amount))
        return str(made["tranId"])

    def transfer_out(self, amount: float) -> str:
        """The venue's older door."""
        made = self.run(self.binance.futures_account_transfer(asset="USDT", amount=amount, type=2))
        return str(made["tranId"])

    def withdraw(self, address: str, amount: float, network: str) -> str:
        made = self.run(self.binance.withdraw(coin="USDT", address=address, amount=amount, network=network))
        return str(made["id"])

    def call(self, method: str, path: str, **params: str) -> Any:
        return self.run(self.binance._request(method.lower(), f"{self.url}{path}", True, data=dict(params)))

    def poll(self, challenge_id: str) -> dict[str, Any]:
        address = f"{self.url}/leverlock/v1/challenges/{challenge_id}"
        found: dict[str, Any] = self.run(self.binance._request("get", address, True, data={}))
        return found

    def _coded(self, code: str) -> CodeHeader:
        return CodeHeader(self.binance.session.headers, code)


class PythonBinanceAsync(PythonBinance):
    name: ClassVar = "python-binance async"

    def __init__(self, key: GatewayKey, url: str) -> None:
        self._runner = asyncio.Runner()
        super().__init__(key, url)

    def _connected(self, credentials: dict[str, Any]) -> Any:
        pointed = type("AsyncClient", (AsyncClient,), _addresses(self.url))
        return self._runner.run(pointed.create(**credentials))

    def run(self, answer: Any) -> Any:
        return self._runner.run(answer) if inspect.isawaitable(answer) else answer

    def close(self) -> None:
        self.run(self.binance.close_connection())
        self._runner.close()


class CodeHeader:
    """The code in a header of the client's own session, while the block runs; none for an empty code."""

    def __init__(self, headers: Any, code: str) -> None:
        self._headers, self._code = headers, code

    def __enter__(self) -> None:
        if self._code:
            self._headers[HEADER] = self._code

    def __exit__(self, *_: object) -> None:
        self._headers.pop(HEADER, None)


def wire(order: Order) -> dict[str, Any]:
    """The venue's parameters of an order, as one types them into python-binance and the connector."""
    sent: dict[str, Any] = {"symbol": order.symbol, "side": order.side, "quantity": order.quantity}
    if order.price is None:
        sent["type"] = "MARKET"
    else:
        sent |= {"type": "LIMIT", "timeInForce": "GTC", "price": order.price}
    if order.reduce_only is not None:
        sent["reduceOnly"] = order.reduce_only
    return sent


def amendment(order: Order) -> dict[str, Any]:
    """The venue's parameters of an amendment."""
    return {"symbol": order.symbol, "side": order.side, "quantity": order.quantity, "price": order.price}


def texts(leg: dict[str, Any]) -> dict[str, Any]:
    """A leg of a batch as the venue documents it: every value a text."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in leg.items()}


def _with(code: str) -> dict[str, Any]:
    return {"otp": code} if code else {}


def _credentials(key: GatewayKey) -> dict[str, Any]:
    if key.algorithm is ED25519:
        return {"api_key": key.api_key, "private_key": key.secret}
    return {"api_key": key.api_key, "api_secret": key.secret}


def _addresses(url: str) -> dict[str, str]:
    return {
        "FUTURES_URL": f"{url}/fapi",
        "MARGIN_API_URL": f"{url}/sapi",
        "API_URL": f"{url}/api",
        "FUTURES_DATA_URL": f"{url}/futures/data",
    }
