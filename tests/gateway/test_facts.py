"""The venue's facts: how old they may be, what makes them unknown, and that unknown is never *allow* (semantics 2)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.live import SYMBOL, Live, wait_for
from leverlock.domain.limits import Limits
from leverlock.gateway.facts import VenueFacts
from leverlock.gateway.venue_answers import READ_SECONDS, configured_symbols
from world import SettableClock

ACCOUNT = "up_1"


def configuration(leverage: int, symbol: str = SYMBOL) -> list[dict[str, Any]]:
    return [{"symbol": symbol, "marginType": "CROSSED", "leverage": leverage}]


class SlowVenue:
    """`VenueRead` whose answers come when a test gives them."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[Any]] = []

    async def read(self, path: str, parameters: Mapping[str, str]) -> Any:
        assert (path, dict(parameters)) == ("/fapi/v1/symbolConfig", {})
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]

    async def begun(self, number: int) -> None:
        deadline = time.monotonic() + 5
        while len(self.asked) <= number:
            assert time.monotonic() < deadline, "the venue was not asked again"
            await asyncio.sleep(0)

    async def answered(self, number: int, found: Any) -> None:
        await self.begun(number)
        self.asked[number].set_result(found)


def facts_and_venue() -> tuple[VenueFacts, SlowVenue, SettableClock]:
    clock = SettableClock()
    return VenueFacts(clock, Limits()), SlowVenue(), clock


@pytest.mark.bar("B51")
@pytest.mark.bar("B70")
def test_a_reading_that_a_leverage_change_overtook_is_void() -> None:
    """It left the venue as 20x, and comes back when 75x is in force: nothing may be allowed by it, now or later."""

    async def story() -> None:
        facts, venue, _ = facts_and_venue()
        # An ordinary order begins a reading that is slow to come back.
        waiting = asyncio.ensure_future(facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL}).recent())
        await venue.begun(0)
        async with facts.change(ACCOUNT, SYMBOL):
            pass  # forwarded, and answered: 75x
        await venue.answered(0, configuration(20))
        assert await waiting == {}
        later = asyncio.ensure_future(facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL}).recent())
        await venue.answered(1, configuration(75))
        assert (await later)[SYMBOL]["leverage"] == "75"

    asyncio.run(story())


@pytest.mark.bar("B51")
def test_a_reading_in_the_background_that_a_change_overtook_is_not_kept() -> None:
    async def story() -> None:
        facts, venue, clock = facts_and_venue()
        first = asyncio.ensure_future(facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL}).recent())
        await venue.answered(0, configuration(20))
        await first
        clock.tick(Limits().leverage_fresh_ms // 2 + 1)
        await facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL}).recent()  # renews behind the call's back
        await venue.begun(1)
        async with facts.change(ACCOUNT, SYMBOL):
            pass
        await venue.answered(1, configuration(20))
        await asyncio.sleep(0.01)
        later = asyncio.ensure_future(facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL}).recent())
        await venue.answered(2, configuration(75))
        assert (await later)[SYMBOL]["leverage"] == "75"

    asyncio.run(story())


@pytest.mark.bar("B51")
def test_a_reading_that_is_back_when_the_change_ends_is_void_too() -> None:
    """The answers of the reading and of the change arrive in one turn of the loop."""

    async def story() -> None:
        facts, venue, _ = facts_and_venue()
        change = facts.change(ACCOUNT, SYMBOL)
        await change.__aenter__()
        waiting = asyncio.ensure_future(facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL}).recent())
        await asyncio.sleep(0)
        await venue.answered(0, configuration(20))
        await asyncio.sleep(0)  # the reading is done, its waiter has not run yet
        await change.__aexit__(None, None, None)
        assert await waiting == {}

    asyncio.run(story())


@pytest.mark.bar("B51")
def test_what_is_compared_at_execution_was_read_after_the_call_arrived() -> None:
    async def story() -> None:
        facts, venue, _ = facts_and_venue()
        first = asyncio.ensure_future(facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL}).recent())
        await venue.answered(0, configuration(75))
        await first
        call = facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL})
        assert (await call.recent())[SYMBOL]["leverage"] == "75"  # fresh enough to judge an ordinary order
        spending = asyncio.ensure_future(call.now())
        await venue.answered(1, configuration(100))
        assert (await spending)[SYMBOL]["leverage"] == "100"
        assert (await call.now())[SYMBOL]["leverage"] == "100"  # and not a third time
        assert len(venue.asked) == 2

    asyncio.run(story())


def test_facts_live_five_seconds_and_a_clock_set_back_lends_them_none() -> None:
    async def story() -> None:
        facts, venue, clock = facts_and_venue()
        first = asyncio.ensure_future(facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL}).recent())
        await venue.answered(0, configuration(20))
        await first
        clock.tick(5_000)
        assert await facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL}).recent() != {}
        await venue.answered(1, None)  # the renewal fails
        for step in (1, -5_002):  # older than five seconds; read in what is now the future
            clock.tick(step)
            number = len(venue.asked)
            later = asyncio.ensure_future(facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL}).recent())
            await venue.answered(number, None)
            assert await later == {}

    asyncio.run(story())


def test_a_reading_that_took_longer_than_it_may_live_is_not_believed() -> None:
    async def story() -> None:
        facts, venue, clock = facts_and_venue()
        waiting = asyncio.ensure_future(facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL}).recent())
        await venue.begun(0)
        clock.tick(5_001)
        await venue.answered(0, configuration(20))
        assert await waiting == {}

    asyncio.run(story())


def test_one_call_waits_half_a_second_in_all() -> None:
    """The fastest client gives up after one second."""

    async def story() -> float:
        facts, venue, _ = facts_and_venue()
        began = time.monotonic()
        call = facts.asked_by_call(ACCOUNT, venue.read, {SYMBOL})
        assert await call.recent() == {}
        assert await call.now() == {}
        return time.monotonic() - began

    assert READ_SECONDS <= asyncio.run(story()) < READ_SECONDS + 0.3


@pytest.mark.bar("B92")
def test_a_reading_that_raises_is_unknown() -> None:
    async def broken(path: str, parameters: Mapping[str, str]) -> Any:
        raise RuntimeError("a fault of ours")

    async def story() -> None:
        facts, _, _ = facts_and_venue()
        call = facts.asked_by_call(ACCOUNT, broken, {SYMBOL})
        assert await call.recent() == {}
        assert await call.now() == {}

    asyncio.run(story())


GOOD = {"symbol": SYMBOL, "marginType": "CROSSED", "leverage": 20}
GARBAGE: dict[str, Any] = {
    "no list": {"symbol": SYMBOL, "leverage": 20, "marginType": "CROSSED"},
    "an error": {"code": -1000, "msg": "x"},
    "a text": [GOOD | {"leverage": "20"}],
    "a fraction": [GOOD | {"leverage": 20.5}],
    "a float": [GOOD | {"leverage": 20.0}],
    "true": [GOOD | {"leverage": True}],
    "zero": [GOOD | {"leverage": 0}],
    "negative": [GOOD | {"leverage": -20}],
    "null": [GOOD | {"leverage": None}],
    "missing": [{"symbol": SYMBOL, "marginType": "CROSSED"}],
    "unknown margin": [GOOD | {"marginType": "PORTFOLIO"}],
    "no margin": [{"symbol": SYMBOL, "leverage": 20}],
    "another symbol": [GOOD | {"symbol": "ETHUSDT"}],
    "rows that are none": [None, 1, "x", []],
    "two values": [GOOD, GOOD | {"leverage": 125}],
    "one value and garbage": [GOOD, GOOD | {"leverage": "125"}],
    "nothing": [],
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_says_nothing_of_the_symbol(name: str) -> None:
    assert SYMBOL not in (configured_symbols(GARBAGE[name]) or {})


def test_what_is_documented_is_understood() -> None:
    assert configured_symbols([GOOD, GOOD]) == {
        SYMBOL: {"leverage": "20", "margin_mode": "CROSSED", "current_margin_mode": "CROSSED"}
    }


# -- the same through the gateway, with a venue in trouble -----------------------------------------------------------
TROUBLE: dict[str, dict[str, Any]] = {
    "slow": {"delay_ms": 1500},
    "500": {"status": 500},
    "503": {"status": 503, "code": -1008},
    "429": {"status": 429, "code": -1003},
    "cut": {"cut": True},
    "html": {"status": 200, "body": "<html>"},
    "empty": {"status": 200, "body": ""},
    "null": {"status": 200, "body": "null"},
    "deep": {"status": 200, "body": "[" * 100_000},
    "empty list": {"status": 200, "body": "[]"},
    "a number too many": {"status": 200, "body": '[{"symbol":"BTCUSDT","marginType":"CROSSED","leverage":1e1}]'},
}


@pytest.mark.mission("M15")
@pytest.mark.bar("B98")
@pytest.mark.parametrize("name", TROUBLE)
def test_an_order_whose_leverage_cannot_be_read_is_challenged(live: Live, name: str) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    assert bot.order().status == 200
    live.forget_facts()
    live.venue.clear_calls()
    live.venue.add_fault("/fapi/v1/symbolConfig", method="GET", remaining=10, **TROUBLE[name])
    began = time.monotonic()
    answer = bot.order()
    assert time.monotonic() - began < 2
    assert answer.stepped_up, answer
    assert "unknown leverage" in answer.json["msg"]
    assert live.executed() == []
    live.venue.clear_faults()
    passed = bot.order()
    assert passed.status == 200, passed


@pytest.mark.bar("B51")
def test_an_approval_is_kept_while_the_facts_cannot_be_read(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 75})
    bot = live.client(alice)
    asked = bot.order()
    live.approve(alice, asked.challenge)
    live.forget_facts()
    live.venue.clear_calls()
    live.venue.add_fault("/fapi/v1/symbolConfig", method="GET", remaining=10, status=500)
    for _ in range(3):
        waiting = bot.order()
        assert waiting.stepped_up
        assert waiting.challenge == asked.challenge
        assert "send the same call again" in waiting.json["msg"]
        assert waiting.json["leverlock"]["state"] == "approved"
        assert 0 < waiting.json["leverlock"]["expiresAt"] - live.clock.now_ms() <= 60_000
    assert live.executed() == []
    assert live.state(alice, asked.challenge) == "approved"
    live.venue.clear_faults()
    assert bot.order().status == 200
    assert live.state(alice, asked.challenge) == "consumed"


@pytest.mark.bar("B51")
@pytest.mark.parametrize("to", [100, 60, 51])
def test_leverage_changed_behind_our_back_voids_the_approval(live: Live, to: int) -> None:
    alice = live.party(leverage={SYMBOL: 75})
    bot = live.client(alice)
    asked = bot.order()
    live.approve(alice, asked.challenge)
    live.set_leverage(alice, to)  # with the venue's own key; what we have cached is still fresh
    live.venue.clear_calls()
    answer = bot.order()
    assert answer.stepped_up
    assert answer.challenge != asked.challenge
    assert f"on {to}x" in answer.json["msg"]
    assert live.executed() == []
    assert live.state(alice, asked.challenge) == "cancelled"
    closed = [event for event in live.events(alice) if event["kind"] == "challenge.cancelled"]
    assert (closed[-1]["challenge"], closed[-1]["because"]) == (asked.challenge, "facts_changed")


@pytest.mark.bar("B51")
def test_the_margin_mode_changed_behind_our_back_voids_the_approval(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 75})
    bot = live.client(alice)
    asked = bot.order()
    live.approve(alice, asked.challenge)
    isolated = {"symbol": SYMBOL, "marginType": "ISOLATED"}
    assert live.venue.signed(alice.venue_key, "POST", "/fapi/v1/marginType", isolated).status == 200
    live.venue.clear_calls()
    assert bot.order().stepped_up
    assert live.state(alice, asked.challenge) == "cancelled"
    assert live.executed() == []


@pytest.mark.bar("B51")
def test_exposure_opened_after_the_approval_voids_a_raise(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 60})
    bot = live.client(alice)
    order = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    live.venue.add_fault("/fapi/v1/openOrders", method="GET", remaining=1, status=500)
    asked = bot.leverage(75)
    assert asked.stepped_up
    live.approve(alice, asked.challenge)
    assert live.venue.signed(alice.venue_key, "POST", "/fapi/v1/order", order, where="body").status == 200
    live.venue.clear_calls()
    again = bot.leverage(75)
    assert again.stepped_up
    assert again.challenge != asked.challenge
    assert live.executed() == []


@pytest.mark.bar("B70")
def test_leverage_raised_behind_our_back_is_seen_after_five_seconds(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    assert bot.order().status == 200
    live.set_leverage(alice, 125)
    live.clock.tick(5_001)
    assert bot.order().stepped_up


def test_a_busy_client_does_not_wait_for_reads(live: Live) -> None:
    """From half their life on facts are renewed behind the calls."""
    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    assert bot.order().status == 200
    live.clock.tick(2_501)
    live.venue.clear_calls()
    live.venue.add_fault("/fapi/v1/symbolConfig", method="GET", remaining=1, delay_ms=400)
    began = time.monotonic()
    assert bot.order().status == 200
    assert time.monotonic() - began < 0.35
    wait_for(lambda: len(live.venue.calls("/fapi/v1/symbolConfig")) == 1)
