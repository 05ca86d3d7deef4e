"""Faults put in the way, and the limits: what a client sees, and what the venue did nevertheless."""

from __future__ import annotations

import http.client
import time
from pathlib import Path

import pytest

from venue_process import PaperVenue, VenueAnswer, VenueKey

ORDER = "/fapi/v1/order"


def buy(venue: PaperVenue, key: VenueKey, **params: int) -> VenueAnswer:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    return venue.signed(key, "POST", ORDER, order | params)


@pytest.mark.parametrize(("when", "executed"), [("before", 0), ("after", 1)])
def test_an_unknown_outcome_before_or_after_acting(
    venue: PaperVenue, account: int, key: VenueKey, when: str, executed: int
) -> None:
    venue.clear_calls()
    venue.add_fault(ORDER, when=when, status=503, code=-1007, msg="Timeout waiting for response from backend server.")
    answer = buy(venue, key)
    assert (answer.status, answer.code) == (503, -1007)
    assert len(venue.account(account)["positions"]) == executed
    assert venue.orders_executed() == executed
    assert buy(venue, key).status == 200, "a fault is spent"


@pytest.mark.parametrize(("when", "executed"), [("before", 0), ("after", 1)])
def test_a_cut_connection_before_or_after_acting(
    venue: PaperVenue, account: int, key: VenueKey, when: str, executed: int
) -> None:
    venue.add_fault(ORDER, when=when, cut=True)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        buy(venue, key)
    assert len(venue.account(account)["positions"]) == executed
    assert "Traceback" not in venue.log()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delay(venue: PaperVenue, key: VenueKey, when: str) -> None:
    venue.add_fault(ORDER, when=when, delay_ms=300)
    began = time.monotonic()
    assert buy(venue, key).status == 200
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("status", [418, 429])
def test_a_rate_limit_answer_says_when_to_come_back(venue: PaperVenue, key: VenueKey, status: int) -> None:
    venue.add_fault("/fapi/*", status=status, code=-1003, msg="Too many requests", retry_after=7, remaining=2)
    for _ in range(2):
        answer = buy(venue, key)
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (status, -1003, "7")
    assert buy(venue, key).status == 200


def test_a_fault_matches_method_and_path_and_may_wait(venue: PaperVenue, key: VenueKey) -> None:
    venue.add_fault(ORDER, method="DELETE", status=500, code=-1000)
    venue.add_fault("/fapi/v1/leverage", status=500, code=-1000)
    venue.add_fault(ORDER, method="POST", status=500, code=-1000, skip=1)
    assert buy(venue, key).status == 200
    assert buy(venue, key).status == 500


def test_a_body_that_is_not_json(venue: PaperVenue, key: VenueKey) -> None:
    venue.add_fault(ORDER, when="after", status=200, body='"<html>"')
    assert buy(venue, key).json == "<html>"


def test_limits_are_counted_told_and_enforced(tmp_path: Path) -> None:
    limits = ("--weight-limit-1m", "60", "--order-limit-10s", "3")
    with PaperVenue(tmp_path, arguments=limits) as venue:
        key = venue.create_key(venue.create_account())
        # The venue's clock is put to the start of a minute: no window ends while the test counts.
        venue.admin("POST", "clock", {"offsetMs": 60_000 - int(time.time() * 1000) % 60_000})
        told = {row["rateLimitType"]: row["limit"] for row in venue.public("/fapi/v1/exchangeInfo").json["rateLimits"]}
        assert told["REQUEST_WEIGHT"] == 60
        moment = venue.public("/fapi/v1/time").json["serverTime"]
        answers = [buy(venue, key, timestamp=moment) for _ in range(4)]
        assert [a.status for a in answers] == [200, 200, 200, 429]
        assert [a.headers["x-mbx-order-count-10s"] for a in answers] == ["1", "2", "3", "4"]
        assert [a.headers["x-mbx-used-weight-1m"] for a in answers] == ["3", "4", "5", "6"]
        assert answers[3].code == -1015
        assert 1 <= int(answers[3].headers["retry-after"]) <= 10
        depths = [venue.public("/fapi/v1/depth", symbol="BTCUSDT") for _ in range(6)]
        assert [answer.status for answer in depths] == [200] * 5 + [429]
        assert depths[5].code == -1003
        assert 1 <= int(depths[5].headers["retry-after"]) <= 60


def test_a_batch_counts_every_leg(tmp_path: Path) -> None:
    with PaperVenue(tmp_path) as venue:
        key = venue.create_key(venue.create_account())
        leg = '{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"0.01"}'
        answer = venue.signed(key, "POST", "/fapi/v1/batchOrders", {"batchOrders": f"[{leg},{leg},{leg}]"})
        assert answer.headers["x-mbx-order-count-1m"] == "3"
        assert venue.orders_executed() == 3
