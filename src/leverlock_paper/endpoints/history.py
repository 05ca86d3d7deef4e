"""What the account has done: orders, fills, income, forced orders, margin changes."""

from __future__ import annotations

from leverlock_paper.database import Row
from leverlock_paper.endpoints.order_documents import fill_document, order_document
from leverlock_paper.endpoints.windows import Window, window_of
from leverlock_paper.numbers import eight, plain
from leverlock_paper.venue import Call

INCOME_TYPES = (
    "TRANSFER",
    "WELCOME_BONUS",
    "REALIZED_PNL",
    "FUNDING_FEE",
    "COMMISSION",
    "INSURANCE_CLEAR",
    "REFERRAL_KICKBACK",
    "COMMISSION_REBATE",
)


def _select(call: Call, table: str, where: str, values: tuple[object, ...], window: Window) -> list[Row]:
    """Rows in the window, oldest first: the oldest ones when a start is named, else the newest."""
    order = "ASC" if window.from_start else "DESC"
    rows = call.db.execute(
        f"SELECT * FROM {table} WHERE account = ? AND time BETWEEN ? AND ?{where} ORDER BY id {order} LIMIT ? OFFSET ?",
        (call.account, window.start, window.end, *values, window.limit, (window.page - 1) * window.limit),
    ).fetchall()
    return rows if window.from_start else rows[::-1]


def all_orders(call: Call) -> object:
    window = window_of(call, default_limit=500, most=1000)
    where, values = " AND symbol = ?", (call.symbol().name,)
    rows = _after(call, "orders", "orderId", where=where, values=values, window=window)
    return [order_document(row, with_time=True) for row in rows]


def user_trades(call: Call) -> object:
    window = window_of(call, default_limit=500, most=1000)
    where, values = " AND symbol = ?", (call.symbol().name,)
    order = call.params.optional_integer("orderId")
    if order is not None:
        where, values = where + " AND order_id = ?", (*values, order)  # type: ignore[assignment]
    return [fill_document(row) for row in _after(call, "fills", "fromId", where=where, values=values, window=window)]


def _after(call: Call, table: str, name: str, *, where: str, values: tuple[object, ...], window: Window) -> list[Row]:
    """As `_select`, from a given id on when the call names one."""
    first = call.params.optional_integer(name)
    if first is None:
        return _select(call, table, where, values, window)
    window = Window(window.start, window.end, window.limit, True, window.page)
    return _select(call, table, where + " AND id >= ?", (*values, first), window)


def income(call: Call) -> object:
    window = window_of(call, default_limit=100, most=1000)
    where, values = "", ()
    symbol = call.optional_symbol()
    if symbol is not None:
        where, values = " AND symbol = ?", (symbol.name,)  # type: ignore[assignment]
    if "incomeType" in call.params:
        kind = call.params.choice("incomeType", INCOME_TYPES)
        where, values = where + " AND type = ?", (*values, kind)  # type: ignore[assignment]
    return [
        {
            "symbol": row["symbol"],
            "incomeType": row["type"],
            "income": eight(row["amount"]),
            "asset": row["asset"],
            "info": row["info"],
            "time": row["time"],
            "tranId": row["id"],
            "tradeId": row["trade_id"],
        }
        for row in _select(call, "income", where, values, window)
    ]


def force_orders(call: Call) -> object:
    """Liquidations. The other kind, ADL, does not happen here: the venue is every order's counterparty."""
    window = window_of(call, default_limit=50, most=100)
    kind = call.params.choice("autoCloseType", ("LIQUIDATION", "ADL"), "LIQUIDATION")
    where, values = " AND forced = ?", (kind,)
    symbol = call.optional_symbol()
    if symbol is not None:
        where, values = where + " AND symbol = ?", (*values, symbol.name)  # type: ignore[assignment]
    return [order_document(row, with_time=True) for row in _select(call, "orders", where, values, window)]


def margin_history(call: Call) -> object:
    window = window_of(call, default_limit=500, most=500)
    where, values = " AND symbol = ?", (call.symbol().name,)
    kind = call.params.optional_integer("type")
    if kind is not None:
        where, values = where + " AND type = ?", (*values, kind)  # type: ignore[assignment]
    return [
        {
            "symbol": row["symbol"],
            "type": row["type"],
            "deltaType": "USER_ADJUST",
            "amount": plain(row["amount"]),
            "asset": "USDT",
            "time": row["time"],
            "positionSide": row["side"],
        }
        for row in _select(call, "margin_changes", where, values, window)
    ]
