"""The synthetic market around the price: book, public trades, candles, funding.

Everything here is derived from `Prices`, nothing is stored. Orders of accounts do not appear in it: a paper
order is filled against this book, at its best price and whole, and never against another paper order.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import floor

from leverlock_paper.numbers import down_to
from leverlock_paper.prices import Prices, noise
from leverlock_paper.symbols import Symbol

FUNDING_MS = 8 * 3600 * 1000
TRADE_MS = 1_000  # one public trade a second
SAMPLES = 6  # ticks looked at inside a candle for its high and low

INTERVALS = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
    "3d": 259_200_000,
    "1w": 604_800_000,
    "1M": 2_592_000_000,  # thirty days here: the walk knows no calendar
}
_MONDAY = 345_600_000  # the first Monday of the epoch: weeks open on Mondays


@dataclass(frozen=True, slots=True)
class Trade:
    """A public trade; its number is the second in which it happened."""

    number: int
    price: Decimal
    quantity: Decimal
    time: int
    buyer_maker: bool


@dataclass(frozen=True, slots=True)
class Candle:
    """Prices in USDT, volume in the base asset."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int


class Book:
    """Book, trades and candles of every symbol, as a function of the moment."""

    def __init__(self, prices: Prices) -> None:
        self.prices = prices

    def mark(self, symbol: Symbol, moment: int) -> Decimal:
        return self.prices.at(symbol, moment)

    def half_spread(self, symbol: Symbol, mark: Decimal) -> Decimal:
        return max(symbol.tick, down_to(mark / 20_000, symbol.tick))

    def best(self, symbol: Symbol, moment: int) -> tuple[Decimal, Decimal]:
        """Best bid and best ask."""
        mark = self.mark(symbol, moment)
        half = self.half_spread(symbol, mark)
        return max(symbol.tick, mark - half), mark + half

    def levels(self, symbol: Symbol, moment: int, count: int) -> tuple[list[list[Decimal]], list[list[Decimal]]]:
        """Bids and asks, best first, each `[price, quantity]`."""
        bid, ask = self.best(symbol, moment)
        second = moment // 1000
        bids, asks = [], []
        for depth in range(count):
            if bid - depth * symbol.tick > 0:
                bids.append([bid - depth * symbol.tick, self._size(symbol, "bid", second, depth)])
            asks.append([ask + depth * symbol.tick, self._size(symbol, "ask", second, depth)])
        return bids, asks

    def _size(self, symbol: Symbol, side: str, second: int, depth: int) -> Decimal:
        swing = Decimal(floor(noise(self.prices.seed, symbol.name, f"{side}{depth}", second // 5) * 50) + 100)
        return max(symbol.step, down_to(self.unit(symbol) * swing / 10, symbol.step))

    def unit(self, symbol: Symbol) -> Decimal:
        """The quantity of every public trade: some thousand USDT at the first price."""
        return max(symbol.step, down_to(Decimal(4_000) / symbol.start_price, symbol.step))

    def trade(self, symbol: Symbol, number: int) -> Trade:
        """The public trade of that second."""
        moment = number * TRADE_MS
        mark = self.mark(symbol, moment)
        half = self.half_spread(symbol, mark)
        sold = noise(self.prices.seed, symbol.name, "trade", number) < 0
        price = max(symbol.tick, mark - half if sold else mark + half)
        return Trade(number, price, self.unit(symbol), moment, sold)

    def candle(self, symbol: Symbol, opened: int, length: int, now: int) -> Candle:
        """The candle that opened at that moment, up to `now`; its extremes are those of even ticks."""
        end = min(opened + length - 1, max(now, opened))
        span = end - opened
        ticks = [self.prices.at(symbol, opened + span * part // SAMPLES) for part in range(SAMPLES + 1)]
        count = span // TRADE_MS + 1
        return Candle(ticks[0], max(ticks), min(ticks), ticks[-1], self.unit(symbol) * count, count)

    def funding_rate(self, symbol: Symbol, period: int) -> Decimal:
        """The rate settled at the end of that eight-hour period."""
        swing = noise(self.prices.seed, symbol.name, "funding", period)
        return Decimal(round(10_000 + 9_000 * swing)).scaleb(-8)


def opening(moment: int, interval: str) -> int:
    """When the candle that holds that moment opened."""
    length = INTERVALS[interval]
    origin = _MONDAY if interval == "1w" else 0
    return (moment - origin) // length * length + origin
