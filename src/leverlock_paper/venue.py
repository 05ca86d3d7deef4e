"""The venue as one object: its file, its clock, its prices, its counters. Handlers receive it in a `Call`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from leverlock_paper.book import Book
from leverlock_paper.database import Database, Row, open_database
from leverlock_paper.errors import refusal
from leverlock_paper.parameters import Params
from leverlock_paper.prices import Prices
from leverlock_paper.signature import ApiKey
from leverlock_paper.symbols import SYMBOLS, Symbol


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says. Limits are counts per window, as in the answer headers."""

    database: str = ":memory:"
    seed: int = 1
    market: str = "walk"
    admin_token: str = ""
    weight_limit_1m: int = 100_000
    order_limit_10s: int = 10_000
    order_limit_1m: int = 60_000


@dataclass(slots=True)
class Venue:
    """Everything that outlives a call."""

    settings: Settings
    db: Database = field(init=False)
    prices: Prices = field(init=False)
    book: Book = field(init=False)
    clock_offset_ms: int = 0
    # The price tick and the price version that resting orders were last compared with.
    looked_at: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.db = open_database(self.settings.database)
        self.prices = Prices(self.db, self.settings.seed, self.settings.market)
        self.book = Book(self.prices)

    def now(self) -> int:
        """The venue's clock in ms; tests may set it off by an offset."""
        return time.time_ns() // 1_000_000 + self.clock_offset_ms


@dataclass(slots=True)
class Call:
    """One accepted call: who asks, what, when, and how many orders it has placed so far."""

    venue: Venue
    params: Params
    now: int
    key: ApiKey | None = None
    orders: int = 0

    @property
    def db(self) -> Database:
        return self.venue.db

    @property
    def account(self) -> int:
        if self.key is None:
            raise refusal(-2014)
        return self.key.account

    def symbol(self) -> Symbol:
        """The symbol the call names. Raises -1102, -1121."""
        return symbol_named(self.params.required("symbol"))

    def optional_symbol(self) -> Symbol | None:
        return self.symbol() if "symbol" in self.params else None

    def account_row(self) -> Row:
        row: Row = self.db.execute("SELECT * FROM accounts WHERE id = ?", (self.account,)).fetchone()
        return row


def symbol_named(name: str) -> Symbol:
    symbol = SYMBOLS.get(name)
    if symbol is None:
        raise refusal(-1121)
    return symbol
