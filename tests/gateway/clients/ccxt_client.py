"""ccxt, sync and async: the same calls, pointed at the gateway by configuration only."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Sequence
from typing import Any, ClassVar

import ccxt
import ccxt.async_support
from client import ED25519, HMAC, Order, Refusal

from stack import GatewayKey
from venue_process import point_ccxt


def symbol_of(name: str) -> str:
    """BTCUSDT as ccxt writes it."""
    return f"{name.removesuffix('USDT')}/USDT:USDT"


class Ccxt:
    name: ClassVar = "ccxt"
    algorithms: ClassVar = (HMAC, ED25519)
    errors: ClassVar = (ccxt.BaseError,)
    step_up: ClassVar = ccxt.ExchangeError
    library: ClassVar[Any] = ccxt

    def __init__(self, key: GatewayKey, url: str) -> None:
        self.key, self.url = key, url
        self.exchange = self.pointed_at(url)

    def pointed_at(self, url: str) -> Any:
        made = self.library.binanceusdm(
            {"apiKey": self.key.api_key, "secret": self.key.secret, "enableRateLimit": False}
        )
        return point_ccxt(made, url)

    def run(self, answer: Any) -> Any:
        """What a call gave; the async client's calls are awaited."""
        return answer

    def close(self) -> None:
        self.exchange.session.close()

    def refusal(self, error: BaseException) -> Refusal:
        text = str(error)
        found = re.search(r'"code":(-?\d+)', text)
        assert found is not None, text
        return Refusal(int(found[1]), text, type(error))

    def load(self) -> set[str]:
        return {market["id"] for market in self.run(self.exchange.load_markets()).values()}

    def balance(self) -> float:
        return float(self.run(self.exchange.fetch_balance())["USDT"]["total"])

    def position(self, symbol: str = "BTCUSDT") -> float:
        found = self.run(self.exchange.fetch_positions([symbol_of(symbol)]))
        return sum(p["contracts"] * (1 if p["side"] == "long" else -1) for p in found)

    def leverage(self, symbol: str = "BTCUSDT") -> int:
        return int(self.run(self.exchange.fetch_leverage(symbol_of(symbol)))["longLeverage"])

    def open_orders(self, symbol: str = "BTCUSDT") -> list[str]:
        return [order["id"] for order in self.run(self.exchange.fetch_open_orders(symbol_of(symbol)))]

    def set_leverage(self, leverage: int, symbol: str = "BTCUSDT", *, code: str = "") -> None:
        self.run(self.exchange.set_leverage(leverage, symbol_of(symbol), _with(code)))

    def place(self, order: Order, *, code: str = "") -> str:
        kind, reducing = _kind(order), _reducing(order)
        call = self.exchange.create_order(
            symbol_of(order.symbol), kind, order.side.lower(), order.quantity, order.price, reducing | _with(code)
        )
        return str(self.run(call)["id"])

    def place_batch(self, orders: Sequence[Order], *, code: str = "") -> list[str]:
        legs = [
            {
                "symbol": symbol_of(order.symbol),
                "type": _kind(order),
                "side": order.side.lower(),
                "amount": order.quantity,
                "price": order.price,
                "params": _reducing(order),
            }
            for order in orders
        ]
        return [order["id"] for order in self.run(self.exchange.create_orders(legs, _with(code)))]

    def amend(self, order_id: str, order: Order) -> str:
        call = self.exchange.edit_order(
            order_id, symbol_of(order.symbol), "limit", order.side.lower(), order.quantity, order.price
        )
        return str(self.run(call)["id"])

    def amend_batch(self, order_ids: Sequence[str], orders: Sequence[Order]) -> list[str]:
        legs = [
            {
                "id": order_id,
                "symbol": symbol_of(order.symbol),
                "type": "limit",
                "side": order.side.lower(),
                "amount": order.quantity,
                "price": order.price,
            }
            for order_id, order in zip(order_ids, orders, strict=True)
        ]
        return [order["id"] for order in self.run(self.exchange.edit_orders(legs))]

    def place_stop(self, order: Order, trigger: float) -> str:
        call = self.exchange.create_order(
            symbol_of(order.symbol),
            "market",
            order.side.lower(),
            order.quantity,
            None,
            {"stopLossPrice": trigger} | _reducing(order),
        )
        return str(self.run(call)["id"])

    def cancel(self, order_id: str, symbol: str = "BTCUSDT") -> None:
        self.run(self.exchange.cancel_order(order_id, symbol_of(symbol)))

    def cancel_several(self, order_ids: Sequence[str], symbol: str = "BTCUSDT") -> None:
        self.run(self.exchange.cancel_orders(list(order_ids), symbol_of(symbol)))

    def cancel_all(self, symbol: str = "BTCUSDT") -> None:
        self.run(self.exchange.cancel_all_orders(symbol_of(symbol)))

    def cancel_stop(self, order_id: str, symbol: str = "BTCUSDT") -> None:
        self.run(self.exchange.cancel_order(order_id, symbol_of(symbol), {"trigger": True}))

    def cancel_all_stops(self, symbol: str = "BTCUSDT") -> None:
        self.run(self.exchange.cancel_all_orders(symbol_of(symbol), {"trigger": True}))

    def set_margin_mode(self, mode: str, symbol: str = "BTCUSDT") -> None:
        words = {"ISOLATED": "isolated", "CROSSED": "cross"}
        self.run(self.exchange.set_margin_mode(words[mode], symbol_of(symbol)))

    def set_position_mode(self, *, hedged: bool) -> None:
        self.run(self.exchange.set_position_mode(hedged))

    def listen(self) -> str:
        listen_key = self.run(self.exchange.fapiPrivatePostListenKey())["listenKey"]
        self.run(self.exchange.fapiPrivatePutListenKey({"listenKey": listen_key}))
        self.run(self.exchange.fapiPrivateDeleteListenKey({"listenKey": listen_key}))
        return str(listen_key)

    def test_order(self) -> None:
        params = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        self.run(self.exchange.fapiPrivatePostOrderTest(params))

    def change_margin(self, amount: float, *, remove: bool, symbol: str = "BTCUSDT") -> None:
        change = self.exchange.reduce_margin if remove else self.exchange.add_margin
        self.run(change(symbol_of(symbol), amount))

    def set_multi_assets(self, *, on: bool) -> None:
        self.run(self.exchange.fapiPrivatePostMultiAssetsMargin({"multiAssetsMargin": "true" if on else "false"}))

    def transfer(self, wallets: str, amount: float) -> str:
        names = {"MAIN": "spot", "UMFUTURE": "linear", "MARGIN": "margin", "FUNDING": "funding"}
        source, to = (names[name] for name in wallets.split("_"))
        return str(self.run(self.exchange.transfer("USDT", amount, source, to))["id"])

    def transfer_out(self, amount: float) -> str:
        """ccxt's own way out of the futures wallet, by the venue's older door."""
        return str(self.run(self.exchange.transfer_out("USDT", amount))["id"])

    def withdraw(self, address: str, amount: float, network: str) -> str:
        made = self.run(self.exchange.withdraw("USDT", amount, address, {"network": network}))
        return str(made["id"])

    def call(self, method: str, path: str, **params: str) -> Any:
        host, _, rest = path.removeprefix("/").partition("/v1/")
        return self.run(self.exchange.request(rest, [{"fapi": "fapiPrivate"}.get(host, host)], method, params))

    def poll(self, challenge_id: str) -> dict[str, Any]:
        # One more address in ccxt's own table of addresses: the rest of the call is ccxt's.
        api = self.exchange.urls["api"]
        before, api["fapiPrivate"] = api["fapiPrivate"], f"{self.url}/leverlock/v1"
        try:
            found: dict[str, Any] = self.run(self.exchange.request(f"challenges/{challenge_id}", ["fapiPrivate"]))
        finally:
            api["fapiPrivate"] = before
        return found


class CcxtAsync(Ccxt):
    name: ClassVar = "ccxt async"
    library: ClassVar[Any] = ccxt.async_support

    def __init__(self, key: GatewayKey, url: str) -> None:
        self._runner = asyncio.Runner()
        super().__init__(key, url)

    def run(self, answer: Any) -> Any:
        return self._runner.run(answer) if inspect.isawaitable(answer) else answer

    def close(self) -> None:
        self.run(self.exchange.close())
        self._runner.close()


def _kind(order: Order) -> str:
    return "market" if order.price is None else "limit"


def _reducing(order: Order) -> dict[str, Any]:
    return {} if order.reduce_only is None else {"reduceOnly": order.reduce_only}


def _with(code: str) -> dict[str, Any]:
    return {"otp": code} if code else {}
