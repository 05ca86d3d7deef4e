"""A thief with a key races the leverage: he wants an order judged at 20x and executed at 125x (M15, B51, B70)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from thief import Thief, until

from stack import Account, Stack

STEP_UP = -40101
EXECUTION_UNKNOWN = -1007
SYMBOL_BUSY = -40108
SYMBOLS = "/fapi/v1/symbolConfig"
LEVERAGE = "/fapi/v1/leverage"
SLOW_MS = 400  # the venue's answer to a read; under the half second for which the gateway waits


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("races")) as running:
        yield running


@pytest.fixture
def victim(stack: Stack) -> Iterator[Account]:
    stack.venue.clear_calls()
    yield stack.account()
    stack.venue.clear_faults()


@pytest.mark.bar("B70")
def test_a_read_from_before_a_leverage_change_is_not_believed_after_it(stack: Stack, victim: Account) -> None:
    thief = Thief(stack.url, stack.gateway_key(victim))
    stack.venue.add_fault(SYMBOLS, when="after", delay_ms=SLOW_MS)
    with ThreadPoolExecutor(1) as pool:
        # An order of another symbol has the gateway read every symbol; the answer, BTCUSDT at 20x, is slow.
        warm = pool.submit(thief.order, "ETHUSDT", "0.1")
        until(lambda: stack.venue_calls(victim, path=SYMBOLS))
        # Nothing of BTCUSDT is open, so its leverage may be raised. The gateway forgets what it knew.
        assert thief.leverage(125).status == 200
        assert not warm.done(), "the race was not run: the slow read came first"
        assert warm.result().status == 200
    ordered = thief.order("BTCUSDT")
    assert ordered.code == STEP_UP, ordered
    assert stack.orders_executed(victim) == 1  # the ordinary one


@pytest.mark.bar("B70")
def test_an_order_begun_under_a_leverage_change_does_not_outwait_it(stack: Stack, victim: Account) -> None:
    thief = Thief(stack.url, stack.gateway_key(victim))
    stack.venue.add_fault(LEVERAGE, when="before", delay_ms=SLOW_MS // 2)
    # The first read of symbols belongs to the leverage change itself; the second is the order's.
    stack.venue.add_fault(SYMBOLS, when="after", delay_ms=SLOW_MS, skip=1)
    with ThreadPoolExecutor(2) as pool:
        raised = pool.submit(thief.leverage, 125)
        until(lambda: stack.venue_calls(victim, path=LEVERAGE))
        ordered = pool.submit(thief.order, "BTCUSDT")
        until(lambda: len(stack.venue_calls(victim, path=SYMBOLS)) > 1)
        assert not raised.done(), "the race was not run: the leverage was changed before the read"
        assert raised.result().status == 200
        assert ordered.result().code == STEP_UP, ordered.result()
    assert stack.orders_executed(victim) == 0


@pytest.mark.bar("B45")
@pytest.mark.bar("B70")
def test_a_leverage_change_of_which_nobody_knows_leaves_the_leverage_unknown(stack: Stack, victim: Account) -> None:
    thief = Thief(stack.url, stack.gateway_key(victim))
    stack.venue.add_fault(LEVERAGE, when="before", cut=True)
    assert thief.leverage(125).code == EXECUTION_UNKNOWN
    # The venue, busy, executes it only after the gateway has read the symbols again.
    assert thief.order("ETHUSDT", "0.1").status == 200
    late = {"symbol": "BTCUSDT", "leverage": "125"}
    assert stack.venue.signed(victim.venue_key, "POST", LEVERAGE, late).status == 200
    ordered = thief.order("BTCUSDT")
    assert ordered.code == STEP_UP, ordered
    assert thief.order("ETHUSDT", "0.1").status == 200, "other symbols go on"
    assert stack.orders_executed(victim) == 2


@pytest.mark.bar("B45")
def test_no_leverage_is_raised_over_an_order_of_which_nobody_knows(stack: Stack, victim: Account) -> None:
    thief = Thief(stack.url, stack.gateway_key(victim))
    stack.venue.add_fault("/fapi/v1/order", when="before", cut=True)
    assert thief.order("BTCUSDT").code == EXECUTION_UNKNOWN
    # The venue has not taken it yet, so nothing seems to be open; raising the leverage now would catch it on its way.
    raised = thief.leverage(125)
    assert raised.code == SYMBOL_BUSY, raised
    assert thief.leverage(125, "ETHUSDT").code != SYMBOL_BUSY, "other symbols go on"
