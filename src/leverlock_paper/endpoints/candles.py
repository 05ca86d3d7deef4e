"""Candles: of trades, of the mark price, of the index price."""

from __future__ import annotations

from leverlock_paper.book import INTERVALS, opening
from leverlock_paper.endpoints.general import ONBOARDED
from leverlock_paper.endpoints.windows import window_of
from leverlock_paper.numbers import places, plain
from leverlock_paper.symbols import Symbol
from leverlock_paper.venue import Call, symbol_named


def klines(call: Call) -> object:
    return _candles(call, call.symbol(), volume=True)


def mark_price_klines(call: Call) -> object:
    return _candles(call, call.symbol(), volume=False)


def continuous_klines(call: Call) -> object:
    call.params.choice("contractType", ("PERPETUAL",))
    return _candles(call, symbol_named(call.params.required("pair")), volume=True)


def index_price_klines(call: Call) -> object:
    return _candles(call, symbol_named(call.params.required("pair")), volume=False)


def _candles(call: Call, symbol: Symbol, *, volume: bool) -> list[list[object]]:
    """From the first candle that opens at or after the start, else the newest ones; the last may be open."""
    interval = call.params.choice("interval", INTERVALS, code=-1120)
    length = INTERVALS[interval]
    window = window_of(call, default_limit=500, most=1500)
    last = opening(min(window.end, call.now), interval)
    if window.from_start:
        first = opening(max(window.start, ONBOARDED) + length - 1, interval)
        last = min(last, first + (window.limit - 1) * length)
    else:
        first = max(last - (window.limit - 1) * length, opening(ONBOARDED + length, interval))
    return [_candle(call, symbol, opened, length, volume=volume) for opened in range(first, last + 1, length)]


def _candle(call: Call, symbol: Symbol, opened: int, length: int, *, volume: bool) -> list[object]:
    candle = call.venue.book.candle(symbol, opened, length, call.now)
    prices = [places(p, symbol.price_precision) for p in (candle.open, candle.high, candle.low, candle.close)]
    if volume:
        average = (candle.open + candle.high + candle.low + candle.close) / 4
        base, half = candle.volume, candle.volume / 2
        sums = [
            places(base, symbol.quantity_precision),
            plain(base * average),
            plain(half),
            plain(half * average),
        ]
    else:
        sums = ["0", "0", "0", "0"]
    return [opened, *prices, sums[0], opened + length - 1, sums[1], candle.trades, sums[2], sums[3], "0"]
