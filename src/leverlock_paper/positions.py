"""Position accounting: what one fill does to one position."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from leverlock_paper.database import Database, Row
from leverlock_paper.numbers import ZERO

_ENTRY_PLACES = Decimal("0.000000000001")


@dataclass(slots=True)
class Position:
    """One side of one symbol of one account. `amount` is negative for a short; margins are in USDT."""

    account: int
    symbol: str
    side: str  # BOTH, LONG or SHORT
    amount: Decimal
    entry_price: Decimal
    isolated_wallet: Decimal
    isolated: bool
    update_time: int

    def unrealized(self, mark: Decimal) -> Decimal:
        return self.amount * (mark - self.entry_price)

    def apply(self, signed: Decimal, price: Decimal, leverage: int) -> Decimal:
        """Adds a fill of `signed` quantity; returns the profit it realised."""
        realized = ZERO
        if self.amount * signed < 0:
            closing = min(abs(signed), abs(self.amount))
            direction = 1 if self.amount > 0 else -1
            realized = closing * (price - self.entry_price) * direction
            self.isolated_wallet -= self.isolated_wallet * closing / abs(self.amount)
            self.amount -= closing * direction
            signed += closing * direction
            if self.amount == 0:
                self.entry_price = self.isolated_wallet = ZERO
        if signed:
            total = abs(self.amount) + abs(signed)
            cost = abs(self.amount) * self.entry_price + abs(signed) * price
            self.entry_price = (cost / total).quantize(_ENTRY_PLACES, ROUND_HALF_UP)
            self.amount += signed
            if self.isolated:
                self.isolated_wallet += abs(signed) * price / leverage
        return realized


def _of(row: Row) -> Position:
    return Position(
        row["account"],
        row["symbol"],
        row["side"],
        row["amount"],
        row["entry_price"],
        row["isolated_wallet"],
        bool(row["isolated"]),
        row["update_time"],
    )


def held(db: Database, account: int, symbol: str | None = None) -> list[Position]:
    """The account's positions that are not zero."""
    if symbol is None:
        rows = db.execute("SELECT * FROM positions WHERE account = ? AND amount != '0' ORDER BY symbol", (account,))
    else:
        rows = db.execute(
            "SELECT * FROM positions WHERE account = ? AND symbol = ? AND amount != '0'", (account, symbol)
        )
    return [_of(row) for row in rows]


def find(db: Database, account: int, symbol: str, side: str) -> Position:
    """The position, or an empty one."""
    row = db.execute(
        "SELECT * FROM positions WHERE account = ? AND symbol = ? AND side = ?", (account, symbol, side)
    ).fetchone()
    return _of(row) if row else Position(account, symbol, side, ZERO, ZERO, ZERO, False, 0)


def keep(db: Database, position: Position) -> None:
    """Writes the position; zero is written as `0` so that `held` can leave it out by comparing text."""
    db.execute(
        "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            position.account,
            position.symbol,
            position.side,
            position.amount if position.amount else "0",
            position.entry_price,
            position.isolated_wallet,
            int(position.isolated),
            position.update_time,
        ),
    )
