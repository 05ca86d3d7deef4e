"""A stranger without any key uses what the gateway gives to everybody, until nothing is left for its owner (B99)."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from thief import Thief, until

from stack import Stack

DEPTH = "/fapi/v1/depth"
CALLS = 110  # more than there are connections to one host
SLOW_MS = 4_500


def look(port: int | None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", f"{DEPTH}?symbol=BTCUSDT")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.bar("B99")
def test_market_data_for_everybody_takes_no_connection_from_orders(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack, ThreadPoolExecutor(CALLS) as pool:
        thief = Thief(stack.url, stack.gateway_key(stack.account()))
        stack.venue.add_fault(DEPTH, remaining=CALLS, when="before", delay_ms=SLOW_MS)
        looking = [pool.submit(look, urlsplit(stack.url).port) for _ in range(CALLS)]
        until(lambda: len(stack.venue.calls(path=DEPTH)) >= 16)
        ordered = thief.order()
        assert ordered.status == 200, ordered
        assert thief.call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT").status == 200
        assert wait(looking, timeout=0).not_done, "the flood was over before the order"
