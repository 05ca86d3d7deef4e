"""Conditional (algo) orders: place, cancel, read."""

from __future__ import annotations

from leverlock_paper.conditional import place_algo, read_algo
from leverlock_paper.database import Row
from leverlock_paper.endpoints.order_documents import algo_document
from leverlock_paper.endpoints.windows import window_of
from leverlock_paper.errors import refusal
from leverlock_paper.venue import Call


def new_algo(call: Call) -> object:
    form = read_algo(call.params, hedge=bool(call.account_row()["hedge"]))
    row = place_algo(call.venue, call.account, form, call.now)
    call.orders += 1
    return algo_document(row)


def _named(call: Call) -> Row | None:
    algo = call.params.optional_integer("algoId")
    if algo is None and "clientAlgoId" not in call.params:
        raise refusal(-1102, "algoId")
    column, key = ("id", algo) if algo is not None else ("client_id", call.params.text("clientAlgoId"))
    row: Row | None = call.db.execute(
        f"SELECT * FROM algo_orders WHERE account = ? AND {column} = ? ORDER BY id DESC LIMIT 1",
        (call.account, key),
    ).fetchone()
    return row


def cancel_algo(call: Call) -> object:
    row = _named(call)
    if row is None or row["status"] != "NEW":
        raise refusal(-2011)
    call.db.execute("UPDATE algo_orders SET status = 'CANCELED', update_time = ? WHERE id = ?", (call.now, row["id"]))
    return {"algoId": row["id"], "clientAlgoId": row["client_id"], "code": "200", "msg": "success"}


def cancel_open_algos(call: Call) -> object:
    call.db.execute(
        "UPDATE algo_orders SET status = 'CANCELED', update_time = ?"
        " WHERE account = ? AND symbol = ? AND status = 'NEW'",
        (call.now, call.account, call.symbol().name),
    )
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def read_algo_order(call: Call) -> object:
    row = _named(call)
    if row is None:
        raise refusal(-2013)
    return algo_document(row)


def open_algos(call: Call) -> object:
    symbol = call.optional_symbol()
    algo = call.params.optional_integer("algoId")
    rows = call.db.execute(
        "SELECT * FROM algo_orders WHERE account = ? AND status = 'NEW' ORDER BY id", (call.account,)
    ).fetchall()
    return [
        algo_document(row)
        for row in rows
        if (symbol is None or row["symbol"] == symbol.name) and (algo is None or row["id"] == algo)
    ]


def all_algos(call: Call) -> object:
    window = window_of(call, default_limit=500, most=1000)
    rows = call.db.execute(
        "SELECT * FROM (SELECT * FROM algo_orders WHERE account = ? AND symbol = ? AND time BETWEEN ? AND ?"
        " AND id >= ? ORDER BY id DESC LIMIT ?) ORDER BY id",
        (
            call.account,
            call.symbol().name,
            window.start,
            window.end,
            call.params.integer("algoId", 0),
            window.limit,
        ),
    ).fetchall()
    return [algo_document(row) for row in rows]
