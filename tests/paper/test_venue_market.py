"""The public market: its parts agree with one another and with the price."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from venue_process import PaperVenue

HOUR = 3_600_000
START = 1_790_000_000_000 // HOUR * HOUR


@pytest.fixture(scope="module")
def walking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    with PaperVenue(tmp_path_factory.mktemp("market"), market="walk", seed=3) as running:
        yield running


def klines(venue: PaperVenue, **params: Any) -> Any:
    return venue.public("/fapi/v1/klines", **({"symbol": "BTCUSDT", "interval": "1m"} | params)).json


def test_candles_follow_one_another_and_hold_their_prices(walking: PaperVenue) -> None:
    rows = klines(walking, startTime=START, limit=240)
    assert [row[0] for row in rows] == list(range(START, START + 240 * 60_000, 60_000))
    for row in rows:
        opened, high, low, closed = (Decimal(value) for value in row[1:5])
        assert low <= min(opened, closed) <= max(opened, closed) <= high
        assert row[6] == row[0] + 59_999
        assert row[8] == 60
    assert len({row[1] for row in rows}) > 50, "the price walks"


def test_long_candles_open_and_close_where_the_short_ones_do(walking: PaperVenue) -> None:
    [hour] = klines(walking, interval="1h", startTime=START, limit=1)
    minutes = klines(walking, startTime=START, limit=60)
    assert hour[1] == minutes[0][1]
    assert hour[4] == minutes[-1][4]
    assert Decimal(hour[5]) == sum(Decimal(row[5]) for row in minutes)


def test_public_trades_are_those_of_the_candle(walking: PaperVenue) -> None:
    [minute] = klines(walking, startTime=START, limit=1)
    trades = walking.public(
        "/fapi/v1/aggTrades", symbol="BTCUSDT", startTime=START, endTime=START + 59_999, limit=1000
    ).json
    assert len(trades) == minute[8]
    assert sum(Decimal(trade["q"]) for trade in trades) == Decimal(minute[5])
    again = walking.public("/fapi/v1/aggTrades", symbol="BTCUSDT", fromId=trades[0]["a"], limit=60).json
    assert again == trades


def test_the_newest_candle_and_trades_are_not_in_the_future(walking: PaperVenue) -> None:
    now = int(time.time() * 1000)
    assert klines(walking, limit=3)[-1][0] <= now + 1000
    assert klines(walking, startTime=now + HOUR) == []
    trades = walking.public("/fapi/v1/trades", symbol="BTCUSDT", limit=10).json
    assert len(trades) == 10
    assert trades[-1]["time"] <= now + 1000


def test_the_book_stands_around_the_mark_price(venue: PaperVenue) -> None:
    venue.set_price("BTCUSDT", "64000")
    book = venue.public("/fapi/v1/depth", symbol="BTCUSDT", limit=50).json
    bids, asks = ([Decimal(level[0]) for level in book[side]] for side in ("bids", "asks"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < 64_000 < asks[0]
    assert bids[0] + asks[0] == 128_000
    assert all(Decimal(level[1]) > 0 for side in ("bids", "asks") for level in book[side])
    assert venue.public("/fapi/v1/ticker/price", symbol="BTCUSDT").json["price"] == "64000.0"
    assert venue.public("/fapi/v2/ticker/price", symbol="BTCUSDT").json["price"] == "64000.0"
    assert venue.public("/fapi/v1/premiumIndex", symbol="BTCUSDT").json["markPrice"] == "64000.00000000"
    assert venue.public("/fapi/v1/ticker/24hr", symbol="BTCUSDT").json["lastPrice"] == "64000.0"


@pytest.mark.parametrize(
    "path",
    [
        "/fapi/v1/ticker/24hr",
        "/fapi/v1/ticker/price",
        "/fapi/v1/ticker/bookTicker",
        "/fapi/v1/premiumIndex",
        "/fapi/v1/fundingInfo",
    ],
)
def test_without_a_symbol_all_symbols_are_told(venue: PaperVenue, path: str) -> None:
    listed = {row["symbol"] for row in venue.public("/fapi/v1/exchangeInfo").json["symbols"]}
    assert len(listed) == 12
    assert {row["symbol"] for row in venue.public(path).json} == listed


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("klines", {"symbol": "BTCUSDT"}, -1102),
        ("klines", {"symbol": "BTCUSDT", "interval": "1m", "startTime": 2, "endTime": 1}, -1130),
        ("continuousKlines", {"pair": "BTCUSDT", "interval": "1m", "contractType": "NEXT_QUARTER"}, -1130),
        ("depth", {"symbol": "BTCUSDT", "limit": 7}, -4021),
        ("depth", {"symbol": "NOPE"}, -1121),
        ("ticker/price", {"symbol": "BTCUSDT", "otp": "1"}, -1104),
        ("historicalTrades", {"symbol": "BTCUSDT"}, -2014),
    ],
)
def test_bad_reads_are_refused(venue: PaperVenue, path: str, params: dict[str, Any], code: int) -> None:
    assert venue.public(f"/fapi/v1/{path}", **params).code == code


def test_the_other_candles_are_of_the_same_price(walking: PaperVenue) -> None:
    base = [row[1:5] for row in klines(walking, startTime=START, limit=5)]
    for path, named in (
        ("markPriceKlines", {"symbol": "BTCUSDT"}),
        ("indexPriceKlines", {"pair": "BTCUSDT"}),
        ("continuousKlines", {"pair": "BTCUSDT", "contractType": "PERPETUAL"}),
    ):
        rows = walking.public(f"/fapi/v1/{path}", interval="1m", startTime=START, limit=5, **named).json
        assert [row[1:5] for row in rows] == base


def test_statistics_have_one_entry_per_period(walking: PaperVenue) -> None:
    for path in ("openInterestHist", "globalLongShortAccountRatio"):
        rows = walking.public(f"/futures/data/{path}", symbol="BTCUSDT", period="1h", limit=24).json
        stamps = [row["timestamp"] for row in rows]
        assert stamps == list(range(stamps[0], stamps[0] + 24 * HOUR, HOUR))
    assert float(walking.public("/fapi/v1/openInterest", symbol="BTCUSDT").json["openInterest"]) > 0
