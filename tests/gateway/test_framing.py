"""The corpus of bad framings, through the whole gateway to the venue: no desync, no extra request (B72)."""

from __future__ import annotations

import json
import re
import socket

import pytest

from gateway.live import SYMBOL, Client, Live
from gateway.test_http_protocol import BAD_MESSAGES, read_answer


@pytest.fixture(scope="module")
def trader(live_module: Live) -> Client:
    live_module.venue.clear_faults()
    return live_module.client(live_module.party(enrolled=(), leverage={SYMBOL: 20}))


def signed_order(bot: Client, quantity: str = "0.01", extra: bytes = b"", length: int | None = None) -> bytes:
    """A good order as raw bytes."""
    fields = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "IOC", "price": "58000"}
    body = bot.signed(fields | {"quantity": quantity})
    head = b"POST /fapi/v1/order HTTP/1.1\r\nHost: gw\r\nX-MBX-APIKEY: %b\r\nContent-Length: %d\r\n%b\r\n"
    return head % (bot.key.api_key.encode(), len(body) if length is None else length, extra) + body


def smuggling(bot: Client, message: bytes) -> bytes:
    """The message as it stands, but for a signed order of our own; a second order hides behind it."""
    return re.sub(rb"/order(?=[ #?]|$)", b"/fapi/v1/order", message, count=1) + signed_order(bot, "0.02")


@pytest.mark.bar("B72")
@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_a_bad_framing_carries_nothing_to_the_venue(live: Live, trader: Client, name: str) -> None:
    """After a good order on the same connection: one answer, one 400, and the venue has seen one order."""
    live.venue.clear_calls()
    with socket.create_connection(live.address, timeout=5) as connection:
        connection.sendall(signed_order(trader))
        assert read_answer(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(smuggling(trader, BAD_MESSAGES[name]))
        rest = b""
        while chunk := connection.recv(65536):
            rest += chunk
    assert rest.startswith(b"HTTP/1.1 400"), rest[:200]
    assert rest.count(b"HTTP/1.1 ") == 1
    orders = live.executed()
    assert [call["body"].count("quantity=0.01") for call in orders] == [1], orders


@pytest.mark.bar("B72")
@pytest.mark.parametrize(
    "extra", [b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n", b"content-length: 4\r\n", b" Folded: x\r\n"]
)
def test_a_signed_order_with_two_ends_is_not_an_order(live: Live, trader: Client, extra: bytes) -> None:
    live.venue.clear_calls()
    with socket.create_connection(live.address, timeout=5) as connection:
        connection.sendall(signed_order(trader, extra=extra) + signed_order(trader, "0.03"))
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert live.executed() == []


@pytest.mark.bar("B72")
def test_a_pipelined_order_is_not_read(live: Live, trader: Client) -> None:
    live.venue.clear_calls()
    with socket.create_connection(live.address, timeout=5) as connection:
        connection.sendall(signed_order(trader) + signed_order(trader, "0.02") + signed_order(trader, "0.03"))
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.count(b"HTTP/1.1 200") == 1
    assert len(live.executed()) == 1


@pytest.mark.bar("B72")
def test_a_cut_order_is_not_an_order_and_the_next_client_gets_its_own_answer(live: Live, trader: Client) -> None:
    live.venue.clear_calls()
    for cut in (1, 40, 120, 200):
        with socket.create_connection(live.address, timeout=5) as connection:
            connection.sendall(signed_order(trader)[:-cut])
    whole = signed_order(trader, "0.05")
    with socket.create_connection(live.address, timeout=5) as connection:
        connection.sendall(whole)
        answer = read_answer(connection)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["origQty"] == "0.050"
    assert [call["body"].count("quantity=0.05") for call in live.executed()] == [1]
