"""Wallets: who holds how much of what, and every movement of a futures wallet by its kind."""

from __future__ import annotations

from decimal import Decimal

from leverlock_paper.database import Database
from leverlock_paper.numbers import ZERO

WALLETS = ("SPOT", "MARGIN", "FUTURES", "FUNDING")
SETTLEMENT = "USDT"


def balance(db: Database, account: int, wallet: str, asset: str) -> Decimal:
    row = db.execute(
        "SELECT amount FROM balances WHERE account = ? AND wallet = ? AND asset = ?", (account, wallet, asset)
    ).fetchone()
    return row["amount"] if row else ZERO


def balances(db: Database, account: int, wallet: str) -> dict[str, Decimal]:
    rows = db.execute("SELECT asset, amount FROM balances WHERE account = ? AND wallet = ?", (account, wallet))
    return {row["asset"]: row["amount"] for row in rows}


def credit(db: Database, account: int, wallet: str, asset: str, amount: Decimal) -> Decimal:
    """Adds (or, with a negative amount, takes) and returns the new balance. The caller has checked cover."""
    total = balance(db, account, wallet, asset) + amount
    db.execute(
        "INSERT OR REPLACE INTO balances (account, wallet, asset, amount) VALUES (?, ?, ?, ?)",
        (account, wallet, asset, total),
    )
    return total


def book_income(
    db: Database,
    account: int,
    kind: str,
    amount: Decimal,
    now: int,
    *,
    symbol: str = "",
    asset: str = SETTLEMENT,
    info: str = "",
    trade: str = "",
) -> int:
    """Moves a futures wallet and writes the line that `GET /fapi/v1/income` shows. Returns the line's id."""
    credit(db, account, "FUTURES", asset, amount)
    cursor = db.execute(
        "INSERT INTO income (account, symbol, type, amount, asset, info, trade_id, time) VALUES (?,?,?,?,?,?,?,?)",
        (account, symbol, kind, amount, asset, info or kind, trade, now),
    )
    return int(cursor.lastrowid or 0)
