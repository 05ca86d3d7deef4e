"""What a thief of a gateway key can send: any signed call he likes, over the wire, and nothing else."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from stack import GatewayKey
from venue_process import VenueAnswer, VenueKey, signed_text

DEADLINE_SECONDS = 10


class Thief:
    """Holds a key and its secret; `call` signs with them and says what the gateway answered."""

    def __init__(self, url: str, key: GatewayKey) -> None:
        self._port = urlsplit(url).port
        self._key = VenueKey(key.api_key, key.secret)

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **params: str) -> VenueAnswer:
        text = signed_text(self._key, params)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            sent = {"X-MBX-APIKEY": self._key.api_key, **(headers or {})}
            connection.request(method, f"{path}?{text}", None, {"Content-Length": "0", **sent})
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return VenueAnswer(answer.status, answer.read().decode(), named)
        finally:
            connection.close()

    def order(self, symbol: str = "BTCUSDT", quantity: str = "0.01", **more: str) -> VenueAnswer:
        wanted = {"symbol": symbol, "side": "BUY", "type": "MARKET", "quantity": quantity, **more}
        return self.call("POST", "/fapi/v1/order", **wanted)

    def leverage(self, leverage: int, symbol: str = "BTCUSDT") -> VenueAnswer:
        return self.call("POST", "/fapi/v1/leverage", symbol=symbol, leverage=str(leverage))


def until(happened: Callable[[], object]) -> None:
    """Wait until something has happened. Raises AssertionError at the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
