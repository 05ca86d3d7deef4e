"""Single orders and the open ones."""

from __future__ import annotations

from leverlock_paper.database import Row
from leverlock_paper.endpoints.order_documents import order_document
from leverlock_paper.errors import refusal
from leverlock_paper.orders import find_order, open_orders
from leverlock_paper.venue import Call


def read_open_orders(call: Call) -> object:
    symbol = call.optional_symbol()
    rows = open_orders(call.db, call.account, symbol.name if symbol else None)
    return [order_document(row, with_time=True) for row in rows]


def read_open_order(call: Call) -> object:
    row = _named(call)
    if row["status"] != "NEW":
        raise refusal(-2013)
    return order_document(row, with_time=True)


def read_order(call: Call) -> object:
    return order_document(_named(call), with_time=True)


def _named(call: Call) -> Row:
    order = call.params.optional_integer("orderId")
    if order is None and "origClientOrderId" not in call.params:
        raise refusal(-1102, "orderId")
    row = find_order(call.db, call.account, call.symbol().name, order, call.params.text("origClientOrderId"))
    if row is None:
        raise refusal(-2013)
    return row
