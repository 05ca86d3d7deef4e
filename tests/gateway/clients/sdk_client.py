"""The venue's official SDK for USD-M futures, pointed at the gateway by `base_path`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import (
    BadRequestError,
    ClientError,
    Error,
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
)
from binance_common.utils import send_request
from binance_sdk_derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from binance_sdk_derivatives_trading_usds_futures.rest_api import models
from binance_sdk_wallet import Wallet
from client import ED25519, HMAC, Order, Refusal
from python_binance_client import CodeHeader

from stack import GatewayKey

TIMEOUT_MS = 10_000


class Sdk:
    name: ClassVar = "binance-sdk-derivatives-trading-usds-futures"
    algorithms: ClassVar = (HMAC, ED25519)
    errors: ClassVar = (BadRequestError, UnauthorizedError, ForbiddenError, NotFoundError, ClientError)
    step_up: ClassVar = UnauthorizedError

    def __init__(self, key: GatewayKey, url: str) -> None:
        secret = {"private_key": key.secret} if key.algorithm is ED25519 else {"api_secret": key.secret}
        self.configuration = ConfigurationRestAPI(api_key=key.api_key, **secret, base_path=url, timeout=TIMEOUT_MS)
        self.rest: Any = DerivativesTradingUsdsFutures(config_rest_api=self.configuration).rest_api
        self.wallet: Any = Wallet(config_rest_api=self.configuration).rest_api

    def close(self) -> None:
        self.rest._session.close()
        self.wallet._session.close()

    def refusal(self, error: BaseException) -> Refusal:
        assert isinstance(error, Error), error
        return Refusal(error.status_code, error.error_message, type(error))  # `status_code` is the venue's code

    def load(self) -> set[str]:
        return {row.symbol for row in self.rest.exchange_information().data().symbols}

    def balance(self) -> float:
        rows = self.rest.futures_account_balance_v3().data()
        return next(float(row.balance) for row in rows if row.asset == "USDT")

    def position(self, symbol: str = "BTCUSDT") -> float:
        return sum(float(row.position_amt) for row in self.rest.position_information_v3(symbol=symbol).data())

    def leverage(self, symbol: str = "BTCUSDT") -> int:
        [row] = self.rest.symbol_configuration(symbol=symbol).data()
        return int(row.leverage)

    def open_orders(self, symbol: str = "BTCUSDT") -> list[str]:
        return [str(row.order_id) for row in self.rest.current_all_open_orders(symbol=symbol).data()]

    def set_leverage(self, leverage: int, symbol: str = "BTCUSDT", *, code: str = "") -> None:
        with self._coded(code):
            self.rest.change_initial_leverage(symbol, leverage)

    def place(self, order: Order, *, code: str = "") -> str:
        limit = {} if order.price is None else {"time_in_force": "GTC", "price": order.price}
        reducing = {} if order.reduce_only is None else {"reduce_only": str(order.reduce_only).lower()}
        kind = "MARKET" if order.price is None else "LIMIT"
        with self._coded(code):
            made = self.rest.new_order(order.symbol, order.side, kind, quantity=order.quantity, **limit, **reducing)
        return str(made.data().order_id)

    def place_batch(self, orders: Sequence[Order], *, code: str = "") -> list[str]:
        leg = models.PlaceMultipleOrdersBatchOrdersParameterInner
        legs = [
            leg(
                symbol=order.symbol,
                side=order.side,
                type="MARKET" if order.price is None else "LIMIT",
                quantity=order.quantity,
                **({} if order.price is None else {"timeInForce": "GTC", "price": order.price}),
                **({} if order.reduce_only is None else {"reduceOnly": str(order.reduce_only).lower()}),
            )
            for order in orders
        ]
        with self._coded(code):
            rows = self.rest.place_multiple_orders(legs).data()
        return [str(row.order_id) for row in rows]

    def amend(self, order_id: str, order: Order) -> str:
        made = self.rest.modify_order(order.symbol, order.side, order.quantity, order.price, order_id=int(order_id))
        return str(made.data().order_id)

    def amend_batch(self, order_ids: Sequence[str], orders: Sequence[Order]) -> list[str]:
        leg = models.ModifyMultipleOrdersBatchOrdersParameterInner
        legs = [
            leg(orderId=int(order_id), symbol=order.symbol, side=order.side, quantity=order.quantity, price=order.price)
            for order_id, order in zip(order_ids, orders, strict=True)
        ]
        return [str(row.order_id) for row in self.rest.modify_multiple_orders(legs).data()]

    def place_stop(self, order: Order, trigger: float) -> str:
        reducing = {} if order.reduce_only is None else {"reduce_only": str(order.reduce_only).lower()}
        made = self.rest.new_algo_order(
            "CONDITIONAL",
            order.symbol,
            order.side,
            "STOP_MARKET",
            quantity=order.quantity,
            trigger_price=trigger,
            **reducing,
        )
        return str(made.data().algo_id)

    def cancel(self, order_id: str, symbol: str = "BTCUSDT") -> None:
        self.rest.cancel_order(symbol, order_id=int(order_id))

    def cancel_several(self, order_ids: Sequence[str], symbol: str = "BTCUSDT") -> None:
        self.rest.cancel_multiple_orders(symbol, order_id_list=[int(order_id) for order_id in order_ids])

    def cancel_all(self, symbol: str = "BTCUSDT") -> None:
        self.rest.cancel_all_open_orders(symbol)

    def cancel_stop(self, order_id: str, symbol: str = "BTCUSDT") -> None:
        self.rest.cancel_algo_order(algo_id=int(order_id))

    def cancel_all_stops(self, symbol: str = "BTCUSDT") -> None:
        self.rest.cancel_all_algo_open_orders(symbol)

    def set_margin_mode(self, mode: str, symbol: str = "BTCUSDT") -> None:
        self.rest.change_margin_type(symbol, mode)

    def set_position_mode(self, *, hedged: bool) -> None:
        self.rest.change_position_mode("true" if hedged else "false")

    def listen(self) -> str:
        listen_key = self.rest.start_user_data_stream().data().listen_key
        self.rest.keepalive_user_data_stream()
        self.rest.close_user_data_stream()
        return str(listen_key)

    def test_order(self) -> None:
        self.rest.test_order("BTCUSDT", "BUY", "MARKET", quantity=0.01)

    def change_margin(self, amount: float, *, remove: bool, symbol: str = "BTCUSDT") -> None:
        self.rest.modify_isolated_position_margin(symbol, amount, 2 if remove else 1)

    def set_multi_assets(self, *, on: bool) -> None:
        self.rest.change_multi_assets_mode("true" if on else "false")

    def transfer(self, wallets: str, amount: float) -> str:
        return str(self.wallet.user_universal_transfer(wallets, "USDT", amount).data().tran_id)

    def withdraw(self, address: str, amount: float, network: str) -> str:
        return str(self.wallet.withdraw("USDT", address, amount, network=network).data().id)

    def call(self, method: str, path: str, **params: str) -> Any:
        answer = send_request(
            self.rest._session,
            self.configuration,
            method,
            path,
            payload=params,
            is_signed=True,
            signer=self.rest._signer,
        )
        return answer.data()

    def poll(self, challenge_id: str) -> dict[str, Any]:
        path = f"/leverlock/v1/challenges/{challenge_id}"
        # The client's own signed request; the method that its facade has for it is broken in 18.0.1.
        answer = send_request(
            self.rest._session, self.configuration, "GET", path, is_signed=True, signer=self.rest._signer
        )
        found: dict[str, Any] = answer.data()
        return found

    def _coded(self, code: str) -> CodeHeader:
        return CodeHeader(self.configuration.base_headers, code)
