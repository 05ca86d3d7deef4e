"""Orders: accepting, filling, cancelling, amending. Each function runs inside the caller's transaction."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from leverlock_paper import ledger
from leverlock_paper.database import Database, Row
from leverlock_paper.errors import refusal
from leverlock_paper.margin import Exposure, settings_of, view_account
from leverlock_paper.numbers import ZERO, plain
from leverlock_paper.order_form import OrderForm, check_price_band
from leverlock_paper.positions import find, held, keep
from leverlock_paper.symbols import Symbol
from leverlock_paper.venue import Venue, symbol_named

TAKER_FEE = Decimal("0.0005")
MAKER_FEE = Decimal("0.0002")
MOST_AMENDMENTS = 10_000  # how often one order may be amended (`maxMoveOrderLimit`)


def place(venue: Venue, account: int, form: OrderForm, now: int) -> Row:
    """Accepts the order and fills it where the book allows. Raises the venue's refusals."""
    symbol = form.symbol
    bid, ask = venue.book.best(symbol, now)
    market_price = ask if form.side == "BUY" else bid
    price = market_price if form.type == "MARKET" else form.price
    if form.type == "LIMIT":
        check_price_band(symbol, form.side, form.price, venue.book.mark(symbol, now))
    form = _bounded_by_position(venue.db, account, form)
    _check_client_id(venue.db, account, form)
    _check_cover(venue, account, form, price, now)
    crosses = form.type == "MARKET" or (form.price >= ask if form.side == "BUY" else form.price <= bid)
    if form.tif == "GTX" and crosses:
        raise refusal(-5022)
    if form.tif == "FOK" and not crosses:
        raise refusal(-5021)
    order = _insert(venue.db, account, form, now)
    if crosses:
        fill(venue, order, market_price, maker=False, now=now)
    elif form.tif == "IOC":
        close(venue.db, order["id"], "EXPIRED", now)
    return by_id(venue.db, order["id"])


def _is_closing(form: OrderForm) -> bool:
    """Whether the order can only make a position smaller."""
    hedge_close = (form.position_side, form.side) in (("LONG", "SELL"), ("SHORT", "BUY"))
    return form.reduce_only or form.close_position or hedge_close


def _bounded_by_position(db: Database, account: int, form: OrderForm) -> OrderForm:
    """A closing order closes at most what is there: -2022 without a position, else its quantity is cut."""
    if not _is_closing(form):
        return form
    position = find(db, account, form.symbol.name, form.position_side)
    if position.amount * form.signed >= 0:
        raise refusal(-2022)
    return replace(form, quantity=min(form.quantity, abs(position.amount)))


def _check_client_id(db: Database, account: int, form: OrderForm) -> None:
    known = db.execute(
        "SELECT 1 FROM orders WHERE account = ? AND symbol = ? AND client_id = ? AND status = 'NEW'",
        (account, form.symbol.name, form.client_id),
    ).fetchone()
    if known:
        raise refusal(-4116)
    waiting = db.execute(
        "SELECT count(*) AS n FROM orders WHERE account = ? AND symbol = ? AND status = 'NEW'",
        (account, form.symbol.name),
    ).fetchone()
    if waiting["n"] >= form.symbol.open_orders:
        raise refusal(-2025)


def _check_cover(venue: Venue, account: int, form: OrderForm, price: Decimal, now: int) -> None:
    """MIN_NOTIONAL, the position limit of the leverage, and the margin. A closing order needs none."""
    if _is_closing(form):
        return
    notional = form.quantity * price
    if notional < form.symbol.least_notional:
        raise refusal(-4164, plain(form.symbol.least_notional))
    view = view_account(venue, account, now, form.symbol)
    exposure = view.exposures[form.symbol.name]
    available = view.available
    before_margin, before = exposure.position_margin + exposure.order_margin, exposure.largest()
    _add_order(exposure, form, notional)
    after = exposure.largest()
    if after > before and after > form.symbol.most_notional(exposure.leverage):
        raise refusal(-2027)
    needed = exposure.position_margin + exposure.order_margin - before_margin
    if needed > 0 and needed > available:
        raise refusal(-2019)


def _add_order(exposure: Exposure, form: OrderForm, notional: Decimal) -> None:
    sums = exposure.bids if form.side == "BUY" else exposure.asks
    sums[form.position_side] = sums.get(form.position_side, ZERO) + notional


def _insert(db: Database, account: int, form: OrderForm, now: int) -> Row:
    cursor = db.execute(
        "INSERT INTO orders (account, client_id, symbol, side, position_side, type, orig_type, tif, quantity,"
        " price, stop_price, reduce_only, close_position, stp, working_type, price_protect, status, executed,"
        " cum_quote, forced, time, update_time) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,'NEW','0','0',?,?,?)",
        (
            account,
            form.client_id,
            form.symbol.name,
            form.side,
            form.position_side,
            form.type,
            form.orig_type or form.type,
            form.tif,
            form.quantity,
            form.price,
            form.stop_price,
            int(form.reduce_only),
            int(form.close_position),
            form.stp,
            form.working_type,
            int(form.price_protect),
            form.forced,
            now,
            now,
        ),
    )
    return by_id(db, int(cursor.lastrowid or 0))


def fill(venue: Venue, order: Row, price: Decimal, *, maker: bool, now: int) -> None:
    """Fills the whole rest of the order at that price; a reduce-only rest without a position expires."""
    db = venue.db
    account, name = order["account"], order["symbol"]
    quantity = order["quantity"] - order["executed"]
    position = find(db, account, name, order["position_side"])
    if order["reduce_only"] or order["position_side"] != "BOTH":
        opens = (order["position_side"], order["side"]) in (("LONG", "BUY"), ("SHORT", "SELL"))
        if not opens:
            signed_rest = quantity if order["side"] == "BUY" else -quantity
            quantity = min(quantity, abs(position.amount)) if position.amount * signed_rest < 0 else ZERO
    if quantity == 0:
        close(db, order["id"], "EXPIRED", now)
        return
    leverage, isolated = settings_of(db, account, name)
    if position.amount == 0:
        position.isolated = isolated
    realized = position.apply(quantity if order["side"] == "BUY" else -quantity, price, leverage)
    position.update_time = now
    keep(db, position)
    fee = quantity * price * (MAKER_FEE if maker else TAKER_FEE)
    cursor = db.execute(
        "INSERT INTO fills (account, order_id, symbol, side, position_side, price, quantity, commission,"
        " realized, maker, time) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        (
            account,
            order["id"],
            name,
            order["side"],
            order["position_side"],
            price,
            quantity,
            fee,
            realized,
            int(maker),
            now,
        ),
    )
    trade = str(cursor.lastrowid)
    if realized:
        ledger.book_income(db, account, "REALIZED_PNL", realized, now, symbol=name, trade=trade)
    ledger.book_income(db, account, "COMMISSION", -fee, now, symbol=name, trade=trade)
    executed = order["executed"] + quantity
    db.execute(
        "UPDATE orders SET executed = ?, cum_quote = ?, status = ?, update_time = ? WHERE id = ?",
        (
            executed,
            order["cum_quote"] + quantity * price,
            "FILLED" if executed == order["quantity"] else "EXPIRED",
            now,
            order["id"],
        ),
    )


def amend(venue: Venue, order: Row, quantity: Decimal, price: Decimal, now: int) -> Row:
    """Changes price and quantity of a resting limit order; it keeps its id. Raises -5027 for no change."""
    db, symbol = venue.db, _symbol_of(order)
    if order["status"] != "NEW" or order["type"] != "LIMIT":
        raise refusal(-2013)
    if (quantity, price) == (order["quantity"], order["price"]):
        raise refusal(-5027)
    if order["amendments"] >= MOST_AMENDMENTS:
        raise refusal(-5026)
    check_price_band(symbol, order["side"], price, venue.book.mark(symbol, now))
    form = OrderForm(
        symbol=symbol,
        side=order["side"],
        position_side=order["position_side"],
        type="LIMIT",
        tif=order["tif"],
        quantity=quantity,
        price=price,
        reduce_only=bool(order["reduce_only"]),
        client_id=order["client_id"],
    )
    bid, ask = venue.book.best(symbol, now)
    crosses = price >= ask if form.side == "BUY" else price <= bid
    if crosses and form.tif == "GTX":
        raise refusal(-5022)
    # The old order must not count beside the new one while the margin is checked.
    db.execute("UPDATE orders SET status = 'AMENDING' WHERE id = ?", (order["id"],))
    form = _bounded_by_position(db, order["account"], form)
    _check_cover(venue, order["account"], form, price, now)
    db.execute(
        "UPDATE orders SET status = 'NEW', quantity = ?, price = ?, amendments = amendments + 1,"
        " update_time = ? WHERE id = ?",
        (form.quantity, price, now, order["id"]),
    )
    if crosses:
        fill(venue, by_id(db, order["id"]), ask if form.side == "BUY" else bid, maker=False, now=now)
    return by_id(db, order["id"])


def _symbol_of(order: Row) -> Symbol:
    return symbol_named(order["symbol"])


def close(db: Database, order: int, status: str, now: int) -> None:
    db.execute("UPDATE orders SET status = ?, update_time = ? WHERE id = ?", (status, now, order))


def by_id(db: Database, order: int) -> Row:
    row: Row = db.execute("SELECT * FROM orders WHERE id = ?", (order,)).fetchone()
    return row


def find_order(db: Database, account: int, symbol: str, order: int | None, client_id: str) -> Row | None:
    """The account's order by id, else the newest with that client id."""
    if order is not None:
        query, key = "id = ?", order
    else:
        query, key = "client_id = ?", client_id  # type: ignore[assignment]
    row: Row | None = db.execute(
        f"SELECT * FROM orders WHERE account = ? AND symbol = ? AND {query} ORDER BY id DESC LIMIT 1",
        (account, symbol, key),
    ).fetchone()
    return row


def open_orders(db: Database, account: int, symbol: str | None = None) -> list[Row]:
    if symbol is None:
        return db.execute(
            "SELECT * FROM orders WHERE account = ? AND status = 'NEW' ORDER BY id", (account,)
        ).fetchall()
    return db.execute(
        "SELECT * FROM orders WHERE account = ? AND symbol = ? AND status = 'NEW' ORDER BY id",
        (account, symbol),
    ).fetchall()


def cancel_all(db: Database, account: int, symbol: str, now: int) -> int:
    """Cancels the symbol's open orders; conditional orders are another list and stay."""
    cursor = db.execute(
        "UPDATE orders SET status = 'CANCELED', update_time = ? WHERE account = ? AND symbol = ? AND status = 'NEW'",
        (now, account, symbol),
    )
    return cursor.rowcount


def has_open_orders(db: Database, account: int, symbol: str | None = None) -> bool:
    """Whether a plain or a conditional order waits (of that symbol, or of any)."""
    where, values = ("", (account,)) if symbol is None else (" AND symbol = ?", (account, symbol))
    return any(
        db.execute(f"SELECT 1 FROM {table} WHERE account = ? AND status = 'NEW'{where} LIMIT 1", values).fetchone()
        for table in ("orders", "algo_orders")
    )


def has_position(db: Database, account: int, symbol: str | None = None) -> bool:
    return bool(held(db, account, symbol))
