"""An order and a leverage change of one symbol never pass each other on their way to the venue (semantics 2)."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import pytest

from gateway.live import OTHER_SYMBOLS, SYMBOL, Live, wait_for
from leverlock.domain.limits import Limits
from leverlock.gateway.facts import DRAIN_SECONDS, LINGER_MARGIN_SECONDS, SymbolBusy, VenueFacts
from world import SettableClock

ACCOUNT = "up_1"
# An order that the venue takes and that leaves nothing open: a raise of the leverage is then free.
FLEETING = {"type": "LIMIT", "timeInForce": "IOC", "price": "58000", "quantity": "0.01"}


async def at_20x(path: str, parameters: Mapping[str, str]) -> Any:
    return [{"symbol": SYMBOL, "marginType": "CROSSED", "leverage": 20}]


def lanes() -> VenueFacts:
    return VenueFacts(SettableClock(), Limits())


@pytest.mark.bar("B51")
def test_a_change_waits_for_orders_in_flight_and_orders_see_it_coming() -> None:
    async def story() -> list[str]:
        facts, told = lanes(), []
        landed = asyncio.Event()

        async def order() -> None:
            with facts.order(ACCOUNT, {SYMBOL}):
                told.append("order leaves")
                await landed.wait()
                told.append("order is back")

        async def change() -> None:
            async with facts.change(ACCOUNT, SYMBOL):
                told.append("change leaves")

        first = asyncio.ensure_future(order())
        await asyncio.sleep(0)
        second = asyncio.ensure_future(change())
        await asyncio.sleep(0)
        call = facts.asked_by_call(ACCOUNT, at_20x, {SYMBOL})
        assert await call.recent() == {}, "a symbol that is being changed has no known leverage"
        assert await call.now() == {}
        other = facts.asked_by_call("up_2", at_20x, {SYMBOL})
        assert await other.recent() != {}, "another account is not concerned"
        landed.set()
        await asyncio.gather(first, second)
        assert facts._lanes == {}
        return told

    assert asyncio.run(story()) == ["order leaves", "order is back", "change leaves"]


def test_a_change_is_refused_when_an_order_hangs_or_another_change_is_there() -> None:
    async def story() -> None:
        facts = lanes()
        with facts.order(ACCOUNT, {SYMBOL, "ETHUSDT"}):
            began = time.monotonic()
            with pytest.raises(SymbolBusy):
                async with facts.change(ACCOUNT, SYMBOL):
                    raise AssertionError("it went ahead")
            assert DRAIN_SECONDS - 0.01 <= time.monotonic() - began < DRAIN_SECONDS + 0.3
            async with facts.change(ACCOUNT, "SOLUSDT"):
                with pytest.raises(SymbolBusy):
                    async with facts.change(ACCOUNT, "SOLUSDT"):
                        raise AssertionError("it went ahead")
        assert facts._lanes == {}

    asyncio.run(story())


def test_lanes_leave_nothing_behind() -> None:
    """Whatever symbols are named, however calls end."""

    async def one(facts: VenueFacts, number: int) -> None:
        rng = random.Random(number)
        symbols = frozenset(f"S{rng.randrange(50)}" for _ in range(rng.randrange(1, 6)))
        try:
            if number % 5:
                with facts.order(f"up_{number % 7}", symbols) as hold:
                    await asyncio.sleep(rng.random() / 100)
                    if number % 11 == 0:
                        hold.linger(-LINGER_MARGIN_SECONDS + 0.01)
                    if number % 3 == 0:
                        raise RuntimeError
            else:
                async with facts.change(f"up_{number % 7}", min(symbols)):
                    await asyncio.sleep(rng.random() / 100)
                    if number % 2:
                        raise RuntimeError
        except (RuntimeError, SymbolBusy):
            pass

    async def story() -> None:
        facts = lanes()
        tasks = [asyncio.ensure_future(one(facts, number)) for number in range(3000)]
        await asyncio.sleep(0.005)
        for task in tasks[::4]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        deadline = time.monotonic() + 5
        while facts._lanes and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert facts._lanes == {}

    asyncio.run(story())


def test_what_is_remembered_of_accounts_is_bounded() -> None:
    async def story() -> None:
        facts = lanes()
        for number in range(20_050):
            facts.forget(f"up_{number}")
        assert len(facts._void) <= 10_000
        call = facts.asked_by_call("up_1", at_20x, {SYMBOL})
        assert await call.recent() != {}

    asyncio.run(story())


# -- at the venue ----------------------------------------------------------------------------------------------------
def test_a_leverage_change_is_refused_while_an_order_hangs_at_the_venue(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 20, OTHER_SYMBOLS[0]: 20})
    bot, other = live.client(alice), live.client(alice)
    assert bot.order(**FLEETING).status == 200
    live.venue.clear_calls()
    live.venue.add_fault("/fapi/v1/order", method="POST", delay_ms=1300)
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(bot.order, **FLEETING)
        wait_for(lambda: len(live.venue.calls("/fapi/v1/order", "POST")) == 1)
        began = time.monotonic()
        refused = other.leverage(75)
        assert time.monotonic() - began < 1.3
        assert (refused.status, refused.code) == (400, -40108), refused
        assert live.executed("/fapi/v1/leverage") == []
        assert other.leverage(75, OTHER_SYMBOLS[0]).status == 200, "another symbol is not concerned"
        assert hanging.result().status == 200
    assert other.leverage(75).status == 200


def test_orders_are_challenged_while_a_leverage_change_hangs_at_the_venue(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    bot, other = live.client(alice), live.client(alice)
    assert bot.order(**FLEETING).status == 200  # 20x is known
    live.venue.add_fault("/fapi/v1/leverage", method="POST", delay_ms=600)
    live.venue.clear_calls()
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(other.leverage, 75)
        wait_for(lambda: len(live.venue.calls("/fapi/v1/leverage", "POST")) == 1)
        assert bot.order(**FLEETING).stepped_up
        assert hanging.result().status == 200
    assert live.executed("/fapi/v1/order") == []


@pytest.mark.bar("B51")
def test_an_order_of_unknown_outcome_may_still_arrive_so_its_symbol_waits(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    assert bot.order(**FLEETING).status == 200
    live.venue.add_fault("/fapi/v1/order", method="POST", cut=True)
    fields = {"symbol": SYMBOL, "side": "BUY", **FLEETING}
    lost = bot.call("POST", "/fapi/v1/order", fields, recvWindow=700)
    assert (lost.status, lost.code) == (503, -1007)
    live.venue.clear_calls()
    assert bot.leverage(75).code == -40108
    assert live.executed() == []
    wait_for(lambda: not live.gateway._facts._lanes, 5)
    assert bot.leverage(75).status == 200


@pytest.mark.bar("B51")
def test_a_leverage_change_of_unknown_outcome_leaves_the_leverage_unknown(live: Live) -> None:
    alice = live.party(leverage={SYMBOL: 20})
    bot = live.client(alice)
    assert bot.order(**FLEETING).status == 200
    live.venue.add_fault("/fapi/v1/leverage", method="POST", status=503, code=-1000, when="after")
    assert bot.leverage(75, recvWindow=700).status == 503
    live.venue.clear_calls()
    asked = bot.order(**FLEETING)
    assert asked.stepped_up
    assert "unknown leverage" in asked.json["msg"]
    assert live.executed() == []
    wait_for(lambda: not live.gateway._facts._lanes, 5)
    assert "on 75x" in bot.order(**FLEETING).json["msg"]


@pytest.mark.mission("M15")
@pytest.mark.bar("B51")
@pytest.mark.bar("B70")
def test_no_order_executes_above_50x_whatever_overtakes_what(live: Live) -> None:
    """Six bots, two symbols, leverage going up and down, answers late by a seeded chance."""
    alice = live.party(leverage={SYMBOL: 20, "ETHUSDT": 20})
    rng = random.Random(15)
    for path, method in (("/fapi/v1/symbolConfig", "GET"), ("/fapi/v1/order", "POST"), ("/fapi/v1/leverage", "POST")):
        for _ in range(60):
            # The venue acts at once and answers late: what it says may be overtaken by what it does next.
            late = {"delay_ms": rng.choice((5, 20, 60, 150)), "when": "after", "skip": rng.randrange(4)}
            live.venue.add_fault(path, method=method, **late)
    for symbol in (SYMBOL, "ETHUSDT"):
        live.set_leverage(alice, 20, symbol)
    live.venue.clear_calls()
    began = time.monotonic()
    prices = {SYMBOL: "58000", "ETHUSDT": "2900"}
    seen: list[tuple[str, int, int | None]] = []
    ticking = threading.Event()

    def goes_on() -> bool:
        """For four seconds, and longer on a busy machine, until enough has passed in both directions."""
        passed = [kind for kind, status, _ in [*seen] if status == 200]
        enough = passed.count("leverage") > 15 and len(passed) - passed.count("leverage") > 15
        seconds = time.monotonic() - began
        return seconds < 4 or (not enough and seconds < 30)

    def trade(number: int) -> None:
        bot, chance = live.client(alice), random.Random(number)
        while goes_on():
            symbol = chance.choice((SYMBOL, "ETHUSDT"))
            if chance.random() < 0.5:
                answer = bot.order(symbol, **(FLEETING | {"price": prices[symbol]}))
                seen.append(("order", answer.status, answer.json.get("code")))
            else:
                leg = {"symbol": symbol, "side": "BUY", **(FLEETING | {"price": prices[symbol]})}
                answer = bot.batch(leg, leg)
                seen.append(("batch", answer.status, None))

    def lever(number: int) -> None:
        bot, chance = live.client(alice), random.Random(number)
        while goes_on():
            answer = bot.leverage(chance.choice((20, 75)), chance.choice((SYMBOL, "ETHUSDT")))
            seen.append(("leverage", answer.status, answer.json.get("code")))

    def age() -> None:
        while not ticking.wait(0.05):
            live.clock.tick(700)  # facts age, and are renewed behind the calls

    with ThreadPoolExecutor(8) as pool:
        aging = pool.submit(age)
        work = [pool.submit(trade, number) for number in range(4)] + [pool.submit(lever, n) for n in (10, 11)]
        for done in work:
            done.result(60)
        ticking.set()
        aging.result(5)
    assert seen.count(("leverage", 200, None)) > 15
    assert sum(1 for kind, status, _ in seen if kind != "leverage" and status == 200) > 15
    assert {status for _, status, _ in seen} <= {200, 400, 401}, set(seen)
    assert {code for kind, _, code in seen if kind == "leverage"} <= {None, -40108}
    check_log(live, {SYMBOL: 20, "ETHUSDT": 20})
    wait_for(lambda: not live.gateway._facts._lanes)


def check_log(live: Live, leverage: dict[str, int]) -> None:
    """Walk through what the venue did, in its order: no order was taken above 50x."""
    above = []
    for call in live.executed():
        if not call["acted"]:
            continue
        said = {name: values[0] for name, values in parse_qs(call["body"]).items()}
        if call["path"] == "/fapi/v1/leverage":
            leverage[said["symbol"]] = int(said["leverage"])
        elif call["path"] == "/fapi/v1/order":
            above += [call["number"]] if leverage[said["symbol"]] > 50 else []
        else:
            symbol = "ETHUSDT" if "ETHUSDT" in said["batchOrders"] else SYMBOL
            above += [call["number"]] if leverage[symbol] > 50 else []
    assert above == []


@pytest.mark.mission("M16")
@pytest.mark.bar("B51")
def test_a_repetition_of_the_margin_mode_cannot_undo_a_switch_that_overtakes_it(live: Live) -> None:
    """*Crossed* while it is crossed needs no code; it must not arrive after the owner's switch to isolated."""
    alice = live.party(leverage={SYMBOL: 20})
    bot, thief = live.client(alice), live.client(alice)
    asked = bot.margin_mode("ISOLATED")
    live.approve(alice, asked.challenge)
    assert bot.order(**FLEETING).status == 200
    live.venue.clear_calls()
    # What the thief's call reads is true when it leaves the venue, and comes back late; so does the switch's answer.
    live.venue.add_fault("/fapi/v1/symbolConfig", method="GET", when="after", delay_ms=350)
    live.venue.add_fault("/fapi/v1/marginType", method="POST", when="after", delay_ms=700)
    with ThreadPoolExecutor() as pool:
        racing = pool.submit(thief.margin_mode, "CROSSED")
        wait_for(lambda: len(live.venue.calls("/fapi/v1/symbolConfig")) == 1)
        switch = bot.margin_mode("ISOLATED")
        undone = racing.result()
    switched = [call["body"].split("marginType=")[1].split("&")[0] for call in live.executed() if call["acted"]]
    if switch.status == 200:
        assert switched == ["ISOLATED"]
    else:
        assert (switch.code, switched) == (-40108, []), switch
        assert undone.code == -4046, undone  # it was crossed still
        assert bot.margin_mode("ISOLATED").status == 200
    assert live.venue.account(alice.venue_account)["symbols"][SYMBOL]["isolated"] is True
