"""The client to the venue: what is sent is what was signed, once; what is not known is called unknown."""

import asyncio
import gzip
import hmac
import ssl
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.odd_venue import OddVenue, answer, odd_venue, plain, says
from leverlock.gateway.binance.keys import HmacKey
from leverlock.gateway.binance.signature import signed_bytes
from leverlock.gateway.upstream import Answered, NotSent, Outcome, Unknown, UnreadableAnswer, Upstream

Run = Callable[[Callable[[], Awaitable[None]]], None]
METHODS = ("GET", "POST", "PUT", "DELETE")


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runner(test: Callable[[], Awaitable[None]]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(30):
                await test()

        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(bounded())

    return runner


def upstream(venue: OddVenue, **options: Any) -> Upstream:
    return Upstream([venue.base], **options)


async def order(client: Upstream, venue: OddVenue, method: str = "POST") -> Outcome:
    return await client.send(venue.base, method, "/fapi/v1/order", body=b"symbol=X&signature=00")


def test_an_answer_comes_back_whole_with_the_headers_to_pass_on(run: Run) -> None:
    async def test() -> None:
        headers = (
            b"Content-Type: application/json\r\nRetry-After: 7\r\nX-MBX-USED-WEIGHT-1M: 12\r\n"
            b"x-mbx-order-count-10s: 1\r\nX-SAPI-USED-IP-WEIGHT-1M: 3\r\nSet-Cookie: a=b\r\nServer: venue\r\n"
            b"Location: https://elsewhere.example/\r\nX-MBX-APIKEY: k\r\nConnection: keep-alive\r\n"
        )
        for status in (200, 400, 401, 418, 429, 503):
            sent = answer(b'{"code":-1003}', headers, b"%d X" % status)
            async with odd_venue(says(sent)) as venue, upstream(venue) as client:
                outcome = await order(client, venue)
            assert outcome == Answered(
                status,
                (
                    ("content-type", "application/json"),
                    ("retry-after", "7"),
                    ("x-mbx-used-weight-1m", "12"),
                    ("x-mbx-order-count-10s", "1"),
                    ("x-sapi-used-ip-weight-1m", "3"),
                ),
                b'{"code":-1003}',
            )

    run(test)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_chunked_and_interim_answers_are_answers(run: Run) -> None:
    async def test() -> None:
        empty = b"HTTP/1.1 204 No Content\r\n\r\n"
        interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        scripts = says(CHUNKED + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), says(interim + answer(b"[]")), says(empty)
        async with odd_venue(*scripts) as venue, upstream(venue) as client:
            assert await order(client, venue) == Answered(200, (), b"{}")
            assert await order(client, venue) == Answered(200, (), b"[]")
            assert await order(client, venue) == Answered(204, (), b"")
        assert venue.connections == 1

    run(test)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_request_on_a_kept_connection_that_drops_is_sent_once(run: Run, method: str, how: str) -> None:
    """The library would send it again: the venue has read the order already, so it would execute twice."""

    async def test() -> None:
        async with odd_venue(plain, says(b"", then=how), plain) as venue, upstream(venue) as client:
            assert isinstance(await order(client, venue, method), Answered)
            outcome = await order(client, venue, method)
            assert isinstance(outcome, Unknown)
            assert len(venue.requests) == 2
            assert venue.connections == 1
            assert isinstance(await order(client, venue, method), Answered)
            assert venue.connections == 2

    run(test)


CUT: dict[str, tuple[bytes, str]] = {
    "no answer, closed": (b"", "close"),
    "no answer, reset": (b"", "reset"),
    "cut in the status line": (b"HTTP/1.1 20", "close"),
    "cut in the head": (b"HTTP/1.1 200 OK\r\nContent-Le", "close"),
    "cut before the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "close"),
    "cut in the body": (b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"orderId":1', "close"),
    "reset in the body": (b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"orderId":1', "reset"),
    "cut in a chunk": (CHUNKED + b"ff\r\n{", "close"),
    "cut between chunks": (CHUNKED + b"2\r\n{}\r\n", "close"),
    "ends with the connection": (b'HTTP/1.1 200 OK\r\n\r\n{"orderId":1', "close"),
    "HTTP/1.0, ends with the connection": (b'HTTP/1.0 200 OK\r\n\r\n{"orderId":1', "close"),
    "another coding, ends with the connection": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}", "close"),
    "only an interim answer": (b"HTTP/1.1 100 Continue\r\n\r\n", "close"),
    "never answers": (b"", "keep"),
    "head never ends": (b"HTTP/1.1 200 OK\r\nX: y\r\n", "keep"),
    "body never ends": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", "keep"),
}
MALFORMED: dict[str, bytes] = {
    "garbage": b"\x00\x01\x02 garbage\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH\r\n\r\n",
    "status is no number": b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\n{}",
    "bad header line": b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\n{}",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 2\r\n\r\n{}",
    "length and chunks": CHUNKED[:-2] + b"Content-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks and length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + CHUNKED[17:] + b"2\r\n{}\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two different lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
    "length with a plus": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
    "bad chunk size": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 4000 + b"Content-Length: 2\r\n\r\n{}",
    "a header too long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    "switches protocols": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "more than was promised": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}garbage\r\n\r\n",
}


@pytest.mark.parametrize("name", CUT)
def test_an_answer_that_does_not_come_whole_is_unknown_and_not_repeated(run: Run, name: str) -> None:
    async def test() -> None:
        sent, then = CUT[name]
        patience = {"connect_seconds": 0.2, "total_seconds": 0.4}
        async with odd_venue() as venue, upstream(venue, **patience) as client:
            for method in METHODS:
                venue.scripts = [says(sent, then=then)]
                venue.requests.clear()
                outcome = await order(client, venue, method)
                assert isinstance(outcome, Unknown), outcome
                assert len(venue.requests) == 1
                if name.endswith("in the body"):
                    assert outcome.status == 200
            assert isinstance(await order(client, venue), Answered)

    run(test)


@pytest.mark.bar("B72")
@pytest.mark.parametrize("name", MALFORMED)
def test_no_connection_is_used_again_after_a_malformed_answer(run: Run, name: str) -> None:
    async def test() -> None:
        async with odd_venue(says(MALFORMED[name])) as venue, upstream(venue) as client:
            assert isinstance(await order(client, venue), Unknown)
            assert await order(client, venue) == Answered(200, (), b"{}")
            assert venue.connections == 2
            assert len(venue.requests) == 2

    run(test)


@pytest.mark.bar("B72")
def test_an_answer_nobody_asked_for_is_never_read_as_the_next_answer(run: Run) -> None:
    """The venue sends a second answer on the idle connection: the next order must not be told that one."""

    async def test() -> None:
        async def twice(venue: OddVenue, request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(answer(b'{"orderId":1}'))
            await writer.drain()
            await asked.wait()
            writer.write(answer(b'{"orderId":666}'))
            await writer.drain()
            poisoned.set()

        asked, poisoned = asyncio.Event(), asyncio.Event()
        async with odd_venue(twice, plain) as venue, upstream(venue) as client:
            first = await order(client, venue)
            assert isinstance(first, Answered)
            assert first.body == b'{"orderId":1}'
            asked.set()
            await poisoned.wait()
            await until(lambda: not client._idle[venue.base])  # the pool shows nowhere else what it has dropped
            assert await order(client, venue) == Answered(200, (), b"{}")
            assert venue.connections == 2

    run(test)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.bar("B72")
def test_a_second_answer_behind_the_first_spoils_both(run: Run) -> None:
    async def test() -> None:
        twice = answer(b'{"orderId":1}') + answer(b'{"orderId":666}')
        async with odd_venue(says(twice)) as venue, upstream(venue) as client:
            assert isinstance(await order(client, venue), Unknown)
            assert await order(client, venue) == Answered(200, (), b"{}")
            assert venue.connections == 2

    run(test)


@pytest.mark.bar("B72")
def test_a_call_that_was_given_up_takes_its_connection_with_it(run: Run) -> None:
    """Its answer may still come; nobody may be told it as his own."""

    async def test() -> None:
        async def late(venue: OddVenue, request: bytes, writer: asyncio.StreamWriter) -> None:
            await asked.wait()
            writer.write(answer(b'{"orderId":666}'))

        asked = asyncio.Event()
        async with odd_venue(late) as venue, upstream(venue) as client:
            first = asyncio.create_task(order(client, venue))
            await until(lambda: len(venue.requests) == 1)
            first.cancel()
            await asyncio.wait({first})
            asked.set()
            assert await order(client, venue) == Answered(200, (), b"{}")
            assert venue.connections == 2

    run(test)


def test_headers_of_interim_answers_and_trailers_are_not_the_answers(run: Run) -> None:
    async def test() -> None:
        interim = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 1\r\n\r\n"
        trailer = CHUNKED + b"2\r\n{}\r\n0\r\nRetry-After: 2\r\n\r\n"
        async with odd_venue(says(interim + answer(b"[]")), says(trailer)) as venue, upstream(venue) as client:
            assert await order(client, venue) == Answered(200, (), b"[]")
            assert await order(client, venue) == Answered(200, (), b"{}")
        endless = CHUNKED + b"0\r\n" + b"X: y\r\n" * 4000 + b"\r\n"
        interims = b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 4000 + answer(b"[]")
        for head in (endless, interims):
            async with odd_venue(says(head)) as venue, upstream(venue) as client:
                assert isinstance(await order(client, venue), Unknown)

    run(test)


def test_an_answer_that_arrives_in_pieces_is_one_answer(run: Run) -> None:
    async def test() -> None:
        async def slowly(venue: OddVenue, request: bytes, writer: asyncio.StreamWriter) -> None:
            for byte in answer(b'{"orderId":1}', b"Retry-After: 7\r\n"):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)

        async with odd_venue(slowly) as venue, upstream(venue) as client:
            assert await order(client, venue) == Answered(200, (("retry-after", "7"),), b'{"orderId":1}')

    run(test)


def test_all_who_wait_for_a_connection_get_one_in_turn_and_there_are_never_more(run: Run) -> None:
    async def test() -> None:
        async def slowly(venue: OddVenue, request: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.002)
            numbers.append(int(request.rpartition(b"=")[2]))
            writer.write(answer(b"%d" % numbers[-1], b"Connection: close\r\n" if numbers[-1] % 7 == 0 else b""))

        numbers: list[int] = []
        async with odd_venue(*[slowly] * 60) as venue, upstream(venue, connections=2) as client:

            async def one(number: int) -> Outcome:
                return await client.send(venue.base, "POST", "/fapi/v1/order", body=b"n=%d" % number)

            tasks = [asyncio.create_task(one(number)) for number in range(60)]
            await until(lambda: len(numbers) > 3)
            for given_up in tasks[20:30]:
                given_up.cancel()
            while not all(task.done() for task in tasks):
                assert len(client._open) + client._opening <= 2
                await asyncio.sleep(0.001)
            outcomes = [task.result() for task in tasks if not task.cancelled()]
            stayed = [*range(20), *range(30, 60)]
            assert [int(o.body) for o in outcomes if isinstance(o, Answered)] == stayed
            assert all(abs(stayed.index(number) - place) <= 2 for place, number in enumerate(numbers))
            assert (len(client._open), client._opening, len(client._waiting)) == (len(client._idle[venue.base]), 0, 0)

    run(test)


def test_an_idle_connection_is_closed_in_time_and_not_used_after_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leverlock.gateway.upstream.IDLE_SECONDS", 0.05)

    async def test() -> None:
        async with odd_venue() as venue, upstream(venue) as client:
            await order(client, venue)
            await until(lambda: not client._open)
            await order(client, venue)
            client._idle[venue.base][0].idle_since -= 1
            assert isinstance(await order(client, venue), Answered)
            assert venue.connections == 3

    run(test)


def test_a_pool_of_several_venues_gives_the_place_of_an_idle_connection_away(run: Run) -> None:
    async def test() -> None:
        async with odd_venue() as one, odd_venue() as other:
            async with Upstream([one.base, other.base], connections=1) as client:
                for venue in (one, other, one):
                    assert isinstance(await order(client, venue), Answered)
                both = await asyncio.gather(*[order(client, venue) for venue in (one, other, other, one)])
                assert all(isinstance(outcome, Answered) for outcome in both)
            assert (len(one.requests), len(other.requests)) == (4, 3)

    run(test)


def test_who_closes_the_pool_says_what_is_known_of_every_call(run: Run) -> None:
    async def test() -> None:
        async with odd_venue(says(b"")) as venue:
            async with upstream(venue, connections=1) as client:
                sent = asyncio.create_task(order(client, venue))
                await until(lambda: len(venue.requests) == 1)
                waiting = asyncio.create_task(order(client, venue))
                await until(lambda: len(client._waiting) == 1)
            assert isinstance(await sent, Unknown)
            assert isinstance(await waiting, NotSent)
            assert len(venue.requests) == 1

    run(test)


@pytest.mark.parametrize(
    "value", ["k\r\nX: y", "k\n", "\rk", "k\0", "k\x7f", "ключ", "a\r\n\r\nGET / HTTP/1.1\r\n\r\n"]
)
def test_a_header_cannot_become_two(run: Run, value: str) -> None:
    async def test() -> None:
        async with odd_venue() as venue, upstream(venue) as client:
            for headers in ({"X-MBX-APIKEY": value}, {value: "k"}):
                with pytest.raises(ValueError):
                    await client.send(venue.base, "GET", "/a", headers=headers)
            assert venue.connections == 0

    run(test)


def test_redirects_are_not_followed(run: Run) -> None:
    async def test() -> None:
        async with odd_venue() as other:
            for status in (301, 302, 303, 307, 308):
                moved = answer(b"", b"Location: %b/stolen\r\n" % other.base.encode(), b"%d Moved" % status)
                async with odd_venue(says(moved)) as venue, Upstream([venue.base, other.base]) as client:
                    outcome = await order(client, venue)
                    assert outcome == Answered(status, (), b"")
                    assert len(venue.requests) == 1
            assert other.requests == []

    run(test)


def test_a_connection_that_never_was_is_not_sent(run: Run) -> None:
    async def test() -> None:
        async with odd_venue() as venue:
            base = venue.base
        async with Upstream([base, "https://venue.invalid"], connect_seconds=2, total_seconds=4) as client:
            for host in (base, "https://venue.invalid"):
                assert isinstance(await client.send(host, "POST", "/fapi/v1/order", body=b"a=1"), NotSent)

    run(test)


def test_waiting_for_a_free_connection_is_not_sent(run: Run) -> None:
    async def test() -> None:
        async with odd_venue(says(b"")) as venue:
            options = {"connections": 1, "connect_seconds": 0.2, "total_seconds": 0.6}
            async with upstream(venue, **options) as client:
                first = asyncio.create_task(order(client, venue))
                await until(lambda: len(venue.requests) == 1)
                assert isinstance(await order(client, venue), NotSent)
                assert isinstance(await first, Unknown)
                assert len(venue.requests) == 1

    run(test)


@pytest.mark.parametrize("framed", [True, False])
def test_an_answer_too_large_is_unknown_and_not_read_to_its_end(run: Run, framed: bool) -> None:
    async def test() -> None:
        async def flood(venue: OddVenue, request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" if framed else CHUNKED)
            for _ in range(1000):
                writer.write(b"a" * 100_000 if framed else b"186a0\r\n" + b"a" * 100_000 + b"\r\n")
                await writer.drain()
                written.append(100_000)

        written: list[int] = []
        async with odd_venue(flood, plain) as venue, upstream(venue, answer_limit=200_000) as client:
            outcome = await order(client, venue)
            assert isinstance(outcome, Unknown)
            assert outcome.status == 200
            assert sum(written) < 20_000_000
            assert await order(client, venue) == Answered(200, (), b"{}")
            assert venue.connections == 2
        body = b"a" * 200_000
        async with odd_venue(says(answer(body))) as venue, upstream(venue, answer_limit=200_000) as client:
            assert await order(client, venue) == Answered(200, (), body)

    run(test)


def test_a_compressed_answer_passes_as_it_is_and_unpacks_bounded(run: Run) -> None:
    async def test() -> None:
        body = b'{"symbols":[]}' * 1000
        packed = {b"gzip": gzip.compress(body), b"deflate": zlib.compress(body)}
        for coding, data in packed.items():
            sent = answer(data, b"Content-Encoding: %b\r\n" % coding)
            async with odd_venue(says(sent)) as venue, upstream(venue) as client:
                outcome = await client.send(
                    venue.base, "GET", "/fapi/v1/exchangeInfo", headers={"Accept-Encoding": "gzip, deflate"}
                )
                assert outcome == Answered(200, (("content-encoding", coding.decode()),), data)
                assert b"\r\nAccept-Encoding: gzip, deflate\r\n" in venue.requests[0]
                assert isinstance(outcome, Answered)
                assert outcome.plain_body() == body
                with pytest.raises(UnreadableAnswer):
                    outcome.plain_body(len(body) - 1)
        for coding, data in (("br", b""), ("gzip", b"{}"), ("gzip", packed[b"gzip"][:-1]), ("gzip", b"")):
            with pytest.raises(UnreadableAnswer):
                Answered(200, (("content-encoding", coding),), data).plain_body()
        with pytest.raises(UnreadableAnswer):
            Answered(200, (("content-encoding", "gzip"),), packed[b"gzip"] + b"x").plain_body()
        assert Answered(200, (), b"{}").plain_body() == b"{}"

    run(test)


def test_plain_bytes_are_asked_for_and_nothing_of_ours_is_added(run: Run) -> None:
    async def test() -> None:
        cookie = says(answer(b"{}", b"Set-Cookie: session=1; Path=/\r\n"))
        async with odd_venue(cookie) as venue, upstream(venue) as client:
            for _ in range(2):
                await client.send(venue.base, "GET", "/fapi/v1/time", headers={"X-MBX-APIKEY": "k"})
        host = venue.base.removeprefix("http://").encode()
        expected = b"GET /fapi/v1/time HTTP/1.1\r\nHost: %b\r\nAccept-Encoding: identity\r\nX-MBX-APIKEY: k\r\n\r\n"
        assert venue.requests == [expected % host] * 2

    run(test)


SECRET = b"s" * 64
BATCH = '[{"symbol":"这是测试币456","side":"BUY","quantity":"0.1"},{"symbol":"A&B=C+D%26 #/../;?\'\\"}]'


def signature_holds(signed: bytes) -> bool:
    text, _, signature = signed.partition(b"&signature=")
    return hmac.new(SECRET, text, "sha256").hexdigest().encode() == signature


@pytest.mark.bar("B65")
@pytest.mark.parametrize("method", METHODS)
def test_the_wire_carries_exactly_what_was_signed(run: Run, method: str) -> None:
    async def test() -> None:
        lists = [
            [("symbol", "这是测试币456"), ("side", "BUY")],
            [("batchOrders", BATCH)],
            [("tag", "a b+c%20/?#[]@!$&'()*,;=:~|^`<>{}\\\"")],
            [("orderIdList", "[1,2,3]"), ("name", "/../%2e%2e//x")],
        ]
        async with odd_venue() as venue, upstream(venue) as client:
            for parameters in lists:
                signed = signed_bytes(parameters, timestamp=1, receive_window=5000, key=HmacKey(SECRET))
                assert signature_holds(signed)
                venue.requests.clear()
                await client.send(venue.base, method, "/fapi/v1/batchOrders", query=signed)
                await client.send(venue.base, method, "/fapi/v1/batchOrders", body=signed)
                in_query, in_body = venue.requests
                line = in_query.partition(b"\r\n")[0]
                assert line == method.encode() + b" /fapi/v1/batchOrders?" + signed + b" HTTP/1.1"
                assert in_query.endswith(b"\r\n\r\n")
                head, _, body = in_body.partition(b"\r\n\r\n")
                assert head.startswith(method.encode() + b" /fapi/v1/batchOrders HTTP/1.1\r\n")
                assert body == signed
                assert b"\r\nContent-Type: application/x-www-form-urlencoded" in head

    run(test)


@pytest.mark.bar("B65")
@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=20))
def test_any_value_arrives_byte_for_byte(values: list[str]) -> None:
    async def test() -> None:
        async with odd_venue() as venue, upstream(venue) as client:
            for value in values:
                signed = signed_bytes([("tag", value)], timestamp=1, receive_window=None, key=HmacKey(SECRET))
                await client.send(venue.base, "DELETE", "/fapi/v1/order", query=signed)
                assert venue.requests[-1].startswith(b"DELETE /fapi/v1/order?" + signed + b" HTTP/1.1\r\n")

    asyncio.run(test())


@pytest.mark.parametrize("target", ["/a b", "/a#b", "/a\r\nX: y", "/é", "a", "", "//\x00", "http://other.example/"])
def test_a_target_no_signed_call_has_is_not_sent(run: Run, target: str) -> None:
    async def test() -> None:
        async with odd_venue() as venue, upstream(venue) as client:
            with pytest.raises(ValueError):
                await client.send(venue.base, "GET", target)
            with pytest.raises(ValueError):
                await client.send(venue.base, "PATCH", "/a")
            with pytest.raises(ValueError):
                await client.send(venue.base, "GET", "/a", query=b"b c")
            assert venue.connections == 0

    run(test)


def test_only_the_listed_venues_are_reached(run: Run) -> None:
    async def test() -> None:
        async with odd_venue() as venue, odd_venue() as other, upstream(venue) as client:
            for base in (other.base, venue.base + "/", venue.base.replace("127.0.0.1", "localhost"), ""):
                with pytest.raises(ValueError):
                    await client.send(base, "GET", "/a")
            assert (venue.connections, other.connections) == (0, 0)
        with pytest.raises(RuntimeError):
            await client.send(venue.base, "GET", "/a")

    run(test)


@pytest.mark.parametrize(
    "base",
    ["http://venue.example", "https://venue.example/", "https://venue.example/fapi", "https://a:b@venue.example",
     "https://venue.example?x", "https://venue.example#x", "ftp://venue.example", "venue.example", "https://", ""],
)  # fmt: skip
def test_a_base_that_is_no_origin_is_refused(base: str) -> None:
    with pytest.raises(ValueError):
        Upstream([base])


def test_construction_holds_its_limits() -> None:
    Upstream(["https://venue.example", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"])
    Upstream(["http://paper:8001"], unsafe_plain_http=True)
    with pytest.raises(ValueError):
        Upstream(["https://venue.example"], connect_seconds=5, total_seconds=5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for `localhost`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem, key_pem = folder / "venue.pem", folder / "venue.key"
    pem.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, key_pem


@pytest.mark.bar("B54")
def test_a_venue_that_cannot_prove_its_name_gets_nothing(run: Run, certificate: tuple[Path, Path]) -> None:
    async def test() -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*certificate)
        async with odd_venue(tls=tls) as venue:
            async with upstream(venue) as client:
                outcome = await order(client, venue)
                assert outcome == NotSent("SSLCertVerificationError")
            other_name = venue.base.replace("localhost", "127.0.0.1")
            async with Upstream([other_name], ca_file=certificate[0]) as client:
                outcome = await client.send(other_name, "POST", "/fapi/v1/order", body=b"a=1")
                assert isinstance(outcome, NotSent)
            assert venue.requests == []
            async with upstream(venue, ca_file=certificate[0]) as client:
                assert isinstance(await order(client, venue), Answered)

    run(test)
