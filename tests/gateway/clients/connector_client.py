"""binance-futures-connector, pointed at the gateway by `base_url`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from binance.error import ClientError
from binance.um_futures import UMFutures
from client import HMAC, Order, Refusal
from python_binance_client import CodeHeader, amendment, texts, wire

from stack import GatewayKey


class Connector:
    name: ClassVar = "binance-futures-connector"
    algorithms: ClassVar = (HMAC,)
    errors: ClassVar = (ClientError,)
    step_up: ClassVar = ClientError

    def __init__(self, key: GatewayKey, url: str) -> None:
        self.futures = UMFutures(key=key.api_key, secret=key.secret, base_url=url)

    def close(self) -> None:
        self.futures.session.close()

    def refusal(self, error: BaseException) -> Refusal:
        assert isinstance(error, ClientError), error
        return Refusal(error.error_code, error.error_message, type(error))

    def load(self) -> set[str]:
        return {row["symbol"] for row in self.futures.exchange_info()["symbols"]}

    def balance(self) -> float:
        return next(float(row["balance"]) for row in self.futures.balance() if row["asset"] == "USDT")

    def position(self, symbol: str = "BTCUSDT") -> float:
        return sum(float(row["positionAmt"]) for row in self.futures.get_position_risk(symbol=symbol))

    def leverage(self, symbol: str = "BTCUSDT") -> int:
        [row] = self.futures.symbol_configuration(symbol=symbol)
        return int(row["leverage"])

    def open_orders(self, symbol: str = "BTCUSDT") -> list[str]:
        return [str(row["orderId"]) for row in self.futures.get_orders(symbol=symbol)]

    def set_leverage(self, leverage: int, symbol: str = "BTCUSDT", *, code: str = "") -> None:
        self.futures.change_leverage(symbol=symbol, leverage=leverage, **_with(code))

    def place(self, order: Order, *, code: str = "") -> str:
        return str(self.futures.new_order(**wire(order), **_with(code))["orderId"])

    def place_batch(self, orders: Sequence[Order], *, code: str = "") -> list[str]:
        with CodeHeader(self.futures.session.headers, code):
            rows = self.futures.new_batch_order([texts(wire(order)) for order in orders])
        return [str(row["orderId"]) for row in rows]

    def amend(self, order_id: str, order: Order) -> str:
        return str(self.futures.modify_order(orderId=int(order_id), **amendment(order))["orderId"])

    def amend_batch(self, order_ids: Sequence[str], orders: Sequence[Order]) -> list[str]:
        # No method of its own: the client's general signed call.
        legs = [
            {"orderId": int(order_id)} | texts(amendment(order))
            for order_id, order in zip(order_ids, orders, strict=True)
        ]
        sent = {"batchOrders": json.dumps(legs, separators=(",", ":"))}
        return [str(row["orderId"]) for row in self.futures.sign_request("PUT", "/fapi/v1/batchOrders", sent)]

    def place_stop(self, order: Order, trigger: float) -> str:
        # No method of its own: the client's general signed call.
        sent = {"algoType": "CONDITIONAL"} | wire(order) | {"type": "STOP_MARKET", "triggerPrice": trigger}
        return str(self.futures.sign_request("POST", "/fapi/v1/algoOrder", sent)["algoId"])

    def cancel(self, order_id: str, symbol: str = "BTCUSDT") -> None:
        self.futures.cancel_order(symbol=symbol, orderId=int(order_id))

    def cancel_several(self, order_ids: Sequence[str], symbol: str = "BTCUSDT") -> None:
        self.futures.cancel_batch_order(symbol, [int(order_id) for order_id in order_ids], [])

    def cancel_all(self, symbol: str = "BTCUSDT") -> None:
        self.futures.cancel_open_orders(symbol=symbol)

    def cancel_stop(self, order_id: str, symbol: str = "BTCUSDT") -> None:
        self.futures.sign_request("DELETE", "/fapi/v1/algoOrder", {"algoId": order_id})

    def cancel_all_stops(self, symbol: str = "BTCUSDT") -> None:
        self.futures.sign_request("DELETE", "/fapi/v1/algoOpenOrders", {"symbol": symbol})

    def set_margin_mode(self, mode: str, symbol: str = "BTCUSDT") -> None:
        self.futures.change_margin_type(symbol=symbol, marginType=mode)

    def set_position_mode(self, *, hedged: bool) -> None:
        self.futures.change_position_mode(dualSidePosition="true" if hedged else "false")

    def listen(self) -> str:
        listen_key = self.futures.new_listen_key()["listenKey"]
        self.futures.renew_listen_key(listen_key)
        self.futures.close_listen_key(listen_key)
        return str(listen_key)

    def test_order(self) -> None:
        self.futures.new_order_test(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01)

    def change_margin(self, amount: float, *, remove: bool, symbol: str = "BTCUSDT") -> None:
        self.futures.modify_isolated_position_margin(symbol=symbol, amount=amount, type=2 if remove else 1)

    def set_multi_assets(self, *, on: bool) -> None:
        self.futures.change_multi_asset_mode(multiAssetsMargin="true" if on else "false")

    def call(self, method: str, path: str, **params: str) -> Any:
        return self.futures.sign_request(method, path, params)

    def poll(self, challenge_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.futures.sign_request("GET", f"/leverlock/v1/challenges/{challenge_id}")
        return found


def _with(code: str) -> dict[str, Any]:
    return {"otp": code} if code else {}
