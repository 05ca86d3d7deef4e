"""What moves when the price moves: resting orders, conditional orders, liquidations, funding, countdowns."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

from leverlock_paper import ledger
from leverlock_paper.book import FUNDING_MS
from leverlock_paper.conditional import trigger_waiting
from leverlock_paper.database import fact, remember
from leverlock_paper.margin import view_account
from leverlock_paper.numbers import ZERO
from leverlock_paper.order_form import OrderForm
from leverlock_paper.orders import by_id, cancel_all, fill, place
from leverlock_paper.positions import Position, find, held
from leverlock_paper.prices import TICK_MS
from leverlock_paper.symbols import SYMBOLS
from leverlock_paper.venue import Venue


def is_due(venue: Venue, now: int) -> bool:
    """Whether the price may have moved since the last look, or a countdown has run out."""
    if (now // TICK_MS, venue.prices.version) != venue.looked_at:
        return True
    due = venue.db.execute("SELECT 1 FROM countdowns WHERE deadline <= ? LIMIT 1", (now,)).fetchone()
    return due is not None


def advance(venue: Venue, now: int) -> None:
    """Brings every account up to the moment. In a transaction of its own, before the call that asks."""
    venue.looked_at = (now // TICK_MS, venue.prices.version)
    _run_countdowns(venue, now)
    _settle_funding(venue, now)
    _fill_resting(venue, now)
    trigger_waiting(venue, now)
    _liquidate(venue, now)


def _run_countdowns(venue: Venue, now: int) -> None:
    for row in venue.db.execute("SELECT * FROM countdowns WHERE deadline <= ?", (now,)).fetchall():
        cancel_all(venue.db, row["account"], row["symbol"], now)
        venue.db.execute("DELETE FROM countdowns WHERE account = ? AND symbol = ?", (row["account"], row["symbol"]))


def _fill_resting(venue: Venue, now: int) -> None:
    best: dict[str, tuple[Decimal, Decimal]] = {}
    for order in venue.db.execute("SELECT * FROM orders WHERE status = 'NEW' ORDER BY id").fetchall():
        name = order["symbol"]
        if name not in best:
            best[name] = venue.book.best(SYMBOLS[name], now)
        bid, ask = best[name]
        if order["price"] >= ask if order["side"] == "BUY" else order["price"] <= bid:
            # A resting order is the maker: it is filled at its own price.
            fill(venue, by_id(venue.db, order["id"]), order["price"], maker=True, now=now)


def _settle_funding(venue: Venue, now: int) -> None:
    current = now // FUNDING_MS
    last = int(fact(venue.db, "funding_period", "-1"))
    if last == current:
        return
    remember(venue.db, "funding_period", str(current))
    if last < 0:
        return
    # After a long pause only the latest periods are settled: nobody traded while the venue was off.
    for period in range(max(last, current - 3), current):
        for account in _accounts_with_positions(venue):
            for position in held(venue.db, account):
                symbol = SYMBOLS[position.symbol]
                notional = position.amount * venue.book.mark(symbol, (period + 1) * FUNDING_MS)
                ledger.book_income(
                    venue.db,
                    account,
                    "FUNDING_FEE",
                    -notional * venue.book.funding_rate(symbol, period),
                    (period + 1) * FUNDING_MS,
                    symbol=position.symbol,
                )


def _accounts_with_positions(venue: Venue) -> list[int]:
    rows = venue.db.execute("SELECT DISTINCT account FROM positions WHERE amount != '0'").fetchall()
    return [row["account"] for row in rows]


def _liquidate(venue: Venue, now: int) -> None:
    for account in _accounts_with_positions(venue):
        view = view_account(venue, account, now)
        for exposure in view.exposures.values():
            if exposure.isolated:
                for position in exposure.positions:
                    left = position.isolated_wallet + position.unrealized(exposure.mark)
                    if left < exposure.symbol.maintenance_margin(position.amount * exposure.mark):
                        _close_by_force(venue, position, now)
        crossed = [position for exposure in view.crossed for position in exposure.positions]
        if crossed and view.cross_margin_balance < view.cross_maintenance:
            for exposure in view.crossed:
                cancel_all(venue.db, account, exposure.symbol.name, now)
            for position in crossed:
                _close_by_force(venue, position, now)
            _clear_deficit(venue, account, now)


def _close_by_force(venue: Venue, position: Position, now: int) -> None:
    """Closes the position at market; a loss beyond an isolated margin is the insurance fund's."""
    symbol, account = SYMBOLS[position.symbol], position.account
    cancel_all(venue.db, account, symbol.name, now)
    cover = find(venue.db, account, symbol.name, position.side).isolated_wallet
    before = ledger.balance(venue.db, account, "FUTURES", ledger.SETTLEMENT)
    form = OrderForm(
        symbol=symbol,
        side="SELL" if position.amount > 0 else "BUY",
        position_side=position.side,
        type="MARKET",
        tif="IOC",
        quantity=abs(position.amount),
        price=ZERO,
        reduce_only=position.side == "BOTH",
        client_id=f"autoclose-{uuid4().hex[:20]}",
        orig_type="LIMIT",
        forced="LIQUIDATION",
    )
    place(venue, account, form, now)
    if position.isolated:
        lost = before - ledger.balance(venue.db, account, "FUTURES", ledger.SETTLEMENT)
        if lost > cover:
            ledger.book_income(venue.db, account, "INSURANCE_CLEAR", lost - cover, now, symbol=symbol.name)


def _clear_deficit(venue: Venue, account: int, now: int) -> None:
    isolated = sum((p.isolated_wallet for p in held(venue.db, account)), ZERO)
    left = ledger.balance(venue.db, account, "FUTURES", ledger.SETTLEMENT) - isolated
    if left < 0:
        ledger.book_income(venue.db, account, "INSURANCE_CLEAR", -left, now)
