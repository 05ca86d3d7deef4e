"""Prices: a pure function of (seed, symbol, time), or what was set by hand.

The walk is a sum of smooth noises of ever longer periods. Any moment, past or future, has its price without a
history having been kept, so candles, trades and depth agree with one another and a seed replays exactly.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from hashlib import blake2b
from math import exp

from leverlock_paper.database import Database, fact, remember
from leverlock_paper.symbols import SYMBOLS, Symbol

TICK_MS = 1_000  # the price changes at most once a second

# Period in seconds -> amplitude of the logarithm of the price: about sqrt(period), as a random walk has it.
_OCTAVES = (
    (7, 0.00012),
    (45, 0.0003),
    (300, 0.0008),
    (1_800, 0.002),
    (10_800, 0.005),
    (86_400, 0.014),
    (604_800, 0.035),
    (5_184_000, 0.09),
)


@lru_cache(maxsize=200_000)
def noise(seed: int, name: str, kind: str, index: int) -> float:
    """A number in [-1, 1) that depends on its arguments alone."""
    digest = blake2b(f"{seed}|{name}|{kind}|{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**63 - 1.0


def _walk(seed: int, name: str, second: int) -> float:
    total = 0.0
    for period, amplitude in _OCTAVES:
        index, rest = divmod(second, period)
        share = rest / period
        share = share * share * (3 - 2 * share)
        left = noise(seed, name, str(period), index)
        right = noise(seed, name, str(period), index + 1)
        total += amplitude * (left + (right - left) * share)
    return total


@lru_cache(maxsize=100_000)
def walked_price(seed: int, name: str, second: int) -> Decimal:
    """The price of the walk at that second, rounded to the symbol's tick."""
    symbol = SYMBOLS[name]
    price = symbol.start_price * Decimal(repr(exp(_walk(seed, name, second))))
    return to_tick(symbol, price)


def to_tick(symbol: Symbol, price: Decimal) -> Decimal:
    steps = (price / symbol.tick).quantize(Decimal(1), ROUND_HALF_UP)
    return max(symbol.tick, steps * symbol.tick)


class Prices:
    """The price of every symbol at every moment."""

    def __init__(self, db: Database, seed: int, mode: str) -> None:
        self._db = db
        self.mode = mode  # "walk" or "manual"
        self.seed = int(fact(db, "seed", str(seed)))
        remember(db, "seed", str(self.seed))
        self.shift_seconds = int(fact(db, "shift", "0"))
        self.version = 0  # raised by every change by hand, so that resting orders are looked at again
        self._events: dict[str, tuple[list[int], list[Decimal | None]]] = {}
        for row in db.execute("SELECT symbol, time, price FROM price_events ORDER BY id"):
            self._note(row["symbol"], row["time"], row["price"])

    def at(self, symbol: Symbol, moment: int) -> Decimal:
        """The price at that moment (ms): the last one set by hand before it, else the walk's."""
        events = self._events.get(symbol.name)
        if events:
            index = bisect_right(events[0], moment) - 1
            if index >= 0:
                price = events[1][index]
                if price is not None:
                    return price
        if self.mode == "manual":
            return symbol.start_price
        return walked_price(self.seed, symbol.name, moment // TICK_MS + self.shift_seconds)

    def set(self, symbol: Symbol, moment: int, price: Decimal | None) -> None:
        """Sets a price from that moment on; None gives the symbol back to the walk (or its first price)."""
        self._db.execute(
            "INSERT INTO price_events (symbol, time, price) VALUES (?, ?, ?)", (symbol.name, moment, price)
        )
        self._note(symbol.name, moment, price)

    def _note(self, name: str, moment: int, price: Decimal | None) -> None:
        times, prices = self._events.setdefault(name, ([], []))
        # After a clock was set back, what was set in the time then called future is void.
        while times and times[-1] > moment:
            times.pop()
            prices.pop()
        times.append(moment)
        prices.append(price)
        self.version += 1

    def step(self, seconds: int) -> None:
        """Moves the walk on by that many seconds at once."""
        self.shift_seconds += seconds
        remember(self._db, "shift", str(self.shift_seconds))
        self.version += 1
