"""Something is down: gated calls are denied at once, cancels and reads go on as part 0 says, and it heals (B98)."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.live import SYMBOL, Answer, Client, Live, Party, wait_for
from gateway.test_threshold import order_id
from leverlock.store.connection import BUSY_MS, open_file
from venue_process import PaperVenue

DENIED_SECONDS = 2.0


class Breakable:
    """`connect` of a store whose file can go away: every statement of every connection fails, at once or late."""

    def __init__(self) -> None:
        self.state = "up"

    def __call__(self, path: Path, read_only: bool) -> Any:
        return _Connection(open_file(path, read_only), self)

    def check(self) -> None:
        if self.state == "hangs":
            time.sleep(BUSY_MS / 1000)  # as long as SQLite waits for a lock
            raise sqlite3.OperationalError("database is locked")
        if self.state == "down":
            raise sqlite3.OperationalError("disk I/O error")


class _Connection:
    def __init__(self, raw: sqlite3.Connection, file: Breakable) -> None:
        self._raw = raw
        self._file = file

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        self._file.check()
        return self._raw.execute(sql, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


@pytest.fixture(scope="module")
def file() -> Breakable:
    return Breakable()


@pytest.fixture(scope="module")
def breakable_module(paper: PaperVenue, tmp_path_factory: pytest.TempPathFactory, file: Breakable) -> Iterator[Live]:
    with Live(tmp_path_factory.mktemp("breakable"), paper, options={"connect": file}) as live:
        yield live
        file.state = "up"


@pytest.fixture
def down(breakable_module: Live, venue: PaperVenue, file: Breakable) -> Iterator[Live]:
    """The gateway whose database goes away by `file.state`."""
    file.state = "up"
    breakable_module.on_loop(breakable_module.snapshot.refresh())
    yield breakable_module
    file.state = "up"


def party(live: Live) -> tuple[Party, Client, int]:
    """An owner at 75x, a bot of hers that was seen a moment ago, and an order that rests."""
    alice = live.party(leverage={SYMBOL: 75})
    resting = order_id(live, alice)
    bot = live.client(alice)
    live.settle()
    assert bot.call("GET", "/fapi/v1/openOrders", {"symbol": SYMBOL}).status == 200
    live.venue.clear_calls()
    return alice, bot, resting


def timed(call: Any) -> Answer:
    began = time.monotonic()
    answer: Answer = call()
    assert time.monotonic() - began < DENIED_SECONDS
    return answer


def unavailable(answer: Answer) -> bool:
    return (answer.status, answer.code) == (401, -40109)


@pytest.mark.bar("B98")
@pytest.mark.bar("B89")
@pytest.mark.parametrize("state", ["down", "hangs"])
def test_a_gated_call_is_denied_while_the_database_is_away(down: Live, file: Breakable, state: str) -> None:
    """Also one that was approved; while the snapshot is fresh, and after."""
    alice, bot, _ = party(down)
    asked = bot.order()
    down.approve(alice, asked.challenge)
    down.settle()
    file.state = state
    assert down.snapshot.fresh
    assert unavailable(timed(bot.order))
    assert unavailable(timed(lambda: bot.leverage(100)))
    down.clock.tick(2_000)
    assert unavailable(timed(bot.order))
    assert unavailable(timed(bot.margin_mode))
    assert down.executed() == []
    file.state = "up"
    down.settle()
    assert bot.order().status == 200  # the approval was not lost, and nothing was restarted
    assert down.state(alice, asked.challenge) == "consumed"


@pytest.mark.bar("B98")
@pytest.mark.parametrize("state", ["down", "hangs"])
def test_many_calls_at_once_are_denied_as_fast(down: Live, file: Breakable, state: str) -> None:
    alice, _, _ = party(down)
    bots = [down.client(alice) for _ in range(12)]
    for other in bots:
        assert other.call("GET", "/fapi/v1/openOrders", {"symbol": SYMBOL}).status == 200
    down.venue.clear_calls()
    file.state = state
    down.clock.tick(2_000)
    with ThreadPoolExecutor(36) as pool:
        found = list(pool.map(lambda other: timed(other.order), bots * 3))
    assert all(unavailable(answer) for answer in found)
    assert down.executed() == []


@pytest.mark.bar("B98")
@pytest.mark.parametrize("state", ["down", "hangs"])
def test_cancels_and_reads_go_on_for_a_key_seen_lately(down: Live, file: Breakable, state: str) -> None:
    alice, bot, resting = party(down)
    stranger = down.client(alice)  # never seen by this process
    file.state = state
    down.clock.tick(60_000)
    assert timed(lambda: bot.call("GET", "/fapi/v1/openOrders", {"symbol": SYMBOL})).status == 200
    one = {"symbol": SYMBOL, "orderId": resting}
    cancelled = timed(lambda: bot.call("DELETE", "/fapi/v1/order", one))
    assert (cancelled.status, cancelled.json["status"]) == (200, "CANCELED")
    for method, path, params in (
        ("DELETE", "/fapi/v1/allOpenOrders", {"symbol": SYMBOL}),
        ("DELETE", "/fapi/v1/algoOpenOrders", {"symbol": SYMBOL}),
        ("POST", "/fapi/v1/countdownCancelAll", {"symbol": SYMBOL, "countdownTime": 0}),
    ):
        assert bot.call(method, path, params).status == 200
    down.venue.clear_calls()
    refused = [
        bot.order(),
        bot.limit(),
        bot.leverage(10),
        bot.conditional(),
        bot.amend(resting),
        bot.call("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "true"}),
        bot.poll("ch_" + "a" * 26),
        stranger.call("GET", "/fapi/v3/balance"),
        stranger.call("DELETE", "/fapi/v1/order", one),
    ]
    assert [answer.code for answer in refused] == [-40109] * len(refused)
    assert down.executed() == []
    # A signature is still a signature.
    forged = bot.signed(one)[:-64] + b"0" * 64
    target = f"/fapi/v1/order?{forged.decode()}"
    assert down.send("DELETE", target, headers={"X-MBX-APIKEY": bot.key.api_key}).code == -1022
    # And market data needs no key.
    assert down.send("GET", "/fapi/v1/time").status == 200


@pytest.mark.bar("B98")
def test_it_lasts_fifteen_minutes(down: Live, file: Breakable) -> None:
    _, bot, _ = party(down)
    file.state = "down"
    down.clock.tick(899_000)
    assert bot.call("GET", "/fapi/v3/balance").status == 200
    down.clock.tick(2_000)
    assert unavailable(bot.call("GET", "/fapi/v3/balance"))


@pytest.mark.bar("B98")
def test_lately_is_ten_minutes_before_the_database_went(down: Live, file: Breakable) -> None:
    _, early, _ = party(down)
    down.clock.tick(300_000)
    _, late, _ = party(down)
    for _ in range(2):
        down.clock.tick(150_500)
        down.settle()
    file.state = "down"
    assert late.call("GET", "/fapi/v3/balance").status == 200  # still fresh: the database is not even asked
    down.clock.tick(2_000)
    assert late.call("GET", "/fapi/v3/balance").status == 200
    assert unavailable(early.call("GET", "/fapi/v3/balance"))


@pytest.mark.bar("B11")
@pytest.mark.bar("B98")
def test_a_clock_set_back_makes_nothing_fresh_again(down: Live, file: Breakable) -> None:
    _, bot, _ = party(down)
    file.state = "down"
    down.clock.tick(-10_000)
    try:
        for refused in (bot.order(), bot.leverage(20), bot.call("GET", "/fapi/v3/balance")):
            assert unavailable(refused), refused
        assert down.executed() == []
    finally:
        down.clock.tick(10_000)


@pytest.mark.bar("B11")
def test_a_clock_behind_the_database_stops_verification(down: Live) -> None:
    """By more than a step: nothing is asked, answered or spent, and no header or parameter sets a time."""
    alice, bot, _ = party(down)
    asked = bot.order()
    down.approve(alice, asked.challenge)
    down.clock.tick(-300_000)
    try:
        params = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        now = str(down.clock.now_ms() + 300_000)
        headers = {"X-Test-Now": now, "Date": "Thu, 01 Jan 2026 00:00:15 GMT"}
        for answer in (bot.order(), bot.call("POST", "/fapi/v1/order", params, headers=headers), bot.limit()):
            assert unavailable(answer), answer
        assert bot.call("POST", "/fapi/v1/order", {**params, "now": now}).code == -1104
        assert down.executed() == []
    finally:
        down.clock.tick(300_000)
    assert bot.order().status == 200  # the grant lived on by the right clock


@pytest.mark.bar("B98")
def test_a_key_revoked_in_time_is_not_revived_by_an_outage(down: Live, file: Breakable) -> None:
    from leverlock.app.api_keys import revoke_key

    alice, bot, _ = party(down)
    deployment = down.deployment
    deployment.run(
        lambda tx: revoke_key(tx, deployment.world, account_id=alice.account_id, key_id=bot.key_id, by="test:")
    )
    down.settle()
    file.state = "down"
    for _ in range(2):
        refused = bot.call("GET", "/fapi/v3/balance")
        assert refused.status == 401, refused
        down.clock.tick(2_000)
    assert down.executed() == []


@pytest.mark.bar("B98")
@pytest.mark.bar("B89")
def test_a_store_that_is_closed_denies_and_one_that_is_locked_heals(
    paper: PaperVenue, venue: PaperVenue, tmp_path: Path
) -> None:
    """Another process holds the file for seconds; later the store is closed for good."""
    with Live(tmp_path, paper) as live:
        alice, bot, resting = party(live)
        asked = bot.order()
        live.approve(alice, asked.challenge)
        program = (
            "import sqlite3,sys,time\n"
            f"c=sqlite3.connect({str(live.deployment.path)!r},isolation_level=None)\n"
            "c.execute('BEGIN IMMEDIATE'); print('locked',flush=True); sys.stdin.read()"
        )
        holder = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ}
        )
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"locked\n"
            live.venue.clear_calls()
            with ThreadPoolExecutor(8) as pool:
                found = list(pool.map(lambda _: timed(bot.limit), range(8)))
            assert all(unavailable(answer) for answer in found), found
            assert bot.call("DELETE", "/fapi/v1/order", {"symbol": SYMBOL, "orderId": resting}).status == 200
            assert [call["path"] for call in live.executed() if call["orders"]] == []
        finally:
            holder.communicate(b"", 10)
        assert bot.order().status == 200
        live.deployment.store.close()
        assert unavailable(timed(bot.order))
        live.clock.tick(2_000)
        assert unavailable(timed(bot.order))
        assert bot.call("GET", "/fapi/v3/balance").status == 200


# -- the venue -------------------------------------------------------------------------------------------------------
@pytest.mark.bar("B98")
def test_a_venue_that_is_gone_is_said_so(venue: PaperVenue, tmp_path: Path) -> None:
    with PaperVenue(tmp_path) as other, Live(tmp_path, other) as live:
        other.set_price(SYMBOL, "60000")
        alice = live.party(leverage={SYMBOL: 20})
        high = live.party(leverage={SYMBOL: 75})
        bot, risky = live.client(alice), live.client(high)
        asked = risky.order()
        live.approve(high, asked.challenge)
        assert bot.order().status == 200
        other.stop()
        gone = bot.order()
        assert (gone.status, gone.code) == (503, -1001), gone
        assert "Nothing was executed" in gone.json["msg"]
        assert live.send("GET", "/fapi/v1/time").code == -1001
        assert bot.call("GET", "/fapi/v3/balance").code == -1001
        live.forget_facts()
        began = time.monotonic()
        assert bot.order(quantity="0.02").stepped_up  # the leverage is not known any more
        kept = risky.order()
        assert kept.challenge == asked.challenge
        assert time.monotonic() - began < 2 * DENIED_SECONDS
        assert live.state(high, asked.challenge) == "approved"


@pytest.mark.bar("B98")
@pytest.mark.parametrize(("status", "code"), [(418, -1003), (429, -1003), (429, -1015), (403, -1000)])
def test_limits_of_the_venue_are_passed_through(live: Live, status: int, code: int) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    passed = bot.order()
    assert passed.status == 200
    assert int(passed.headers["x-mbx-used-weight-1m"]) > 0
    assert int(passed.headers["x-mbx-order-count-10s"]) > 0
    live.venue.add_fault("/fapi/v1/order", method="POST", status=status, code=code, msg="Too many", retry_after=17)
    limited = bot.order()
    assert (limited.status, limited.code) == (status, code)
    assert limited.headers["retry-after"] == "17"
    assert bot.order().status == 200


@pytest.mark.bar("B98")
def test_the_venues_error_is_the_clients_error(live: Live) -> None:
    """Bodies pass to the byte, and our headers do not mix with them."""
    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    answer = bot.order(quantity="100000")
    direct = live.venue.signed(
        alice.venue_key,
        "POST",
        "/fapi/v1/order",
        {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "100000"},
        where="body",
    )
    assert (answer.status, answer.body.decode()) == (direct.status, direct.text)
    assert "leverlock-challenge" not in answer.headers


@pytest.mark.bar("B98")
def test_a_hanging_venue_does_not_hold_a_challenge_back(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 75})
    bot = live.client(alice)
    assert bot.call("GET", "/fapi/v3/balance").status == 200
    live.venue.add_fault("/fapi/v1/*", method="GET", remaining=20, delay_ms=1500)
    began = time.monotonic()
    assert bot.order().stepped_up
    assert bot.leverage(125).stepped_up
    assert time.monotonic() - began < 2 * 1.0
    live.venue.clear_faults()
    wait_for(lambda: live.send("GET", "/fapi/v1/time").status == 200)
