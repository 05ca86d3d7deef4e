"""A venue that costs as little as it can: one fixed answer to every order, behind everything P3 measures.

    python -m bench.bare_venue

A raw protocol on uvloop. It also answers the two reads that the gateway makes on its own: the leverage of the account's
symbols, always 20x, and the time.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import cast

import uvloop

from bench.processes import say_ready

ORDER = {
    "orderId": 283194212,
    "symbol": "BTCUSDT",
    "status": "NEW",
    "clientOrderId": "bench",
    "price": "50000.00",
    "avgPrice": "0.00",
    "origQty": "0.010",
    "executedQty": "0.000",
    "cumQuote": "0.00000",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "reduceOnly": False,
    "closePosition": False,
    "side": "BUY",
    "positionSide": "BOTH",
    "stopPrice": "0.00",
    "workingType": "CONTRACT_PRICE",
    "priceProtect": False,
    "origType": "LIMIT",
    "updateTime": 1790000000000,
}
CONFIGURATION = [{"symbol": "BTCUSDT", "marginType": "CROSSED", "isAutoAddMargin": "false", "leverage": 20}]


def _answer(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-MBX-USED-WEIGHT-1M: 1\r\n"
        b"X-MBX-ORDER-COUNT-10S: 1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )


PLACED = _answer(json.dumps(ORDER, separators=(",", ":")).encode())
CONFIGURED = _answer(json.dumps(CONFIGURATION, separators=(",", ":")).encode())


class Venue(asyncio.Protocol):
    """One connection. Requests come one at a time, each with its length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._read = b""

    def data_received(self, data: bytes) -> None:
        read = self._read + data
        end = read.find(b"\r\n\r\n")
        if end < 0 or len(read) < end + 4 + _length(read[:end]):
            self._read = read
            return
        self._read = b""
        if read.startswith(b"POST"):
            self._transport.write(PLACED)
        elif read.startswith(b"GET /fapi/v1/symbolConfig"):
            self._transport.write(CONFIGURED)
        elif read.startswith(b"GET /fapi/v1/time"):
            self._transport.write(_answer(b'{"serverTime":%d}' % (time.time_ns() // 1_000_000)))
        else:
            self._transport.write(_answer(b"{}"))


def _length(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    return 0 if at < 0 else int(head[at + 17 :].split(b"\r\n", 1)[0])


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Venue, "127.0.0.1", 0, backlog=1024)
    say_ready(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
