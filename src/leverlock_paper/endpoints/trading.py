"""Plain orders: place, amend, cancel, in ones and in batches; the countdown that cancels."""

from __future__ import annotations

import json
from collections.abc import Callable

from leverlock_paper.database import Row, savepoint
from leverlock_paper.endpoints.order_documents import order_document
from leverlock_paper.errors import VenueError, refusal, unsupported
from leverlock_paper.order_form import ORDER_FIELDS, check_price, check_quantity, read_order
from leverlock_paper.orders import amend, by_id, cancel_all, close, find_order, place
from leverlock_paper.parameters import Params
from leverlock_paper.symbols import SYMBOLS
from leverlock_paper.venue import Call, symbol_named

MOST_LEGS = 5
AMEND_FIELDS = frozenset(
    [
        "symbol",
        "side",
        "quantity",
        "price",
        "orderId",
        "origClientOrderId",
        "priceMatch",
        "reduceOnly",
    ]
)


def new_order(call: Call) -> object:
    return _place(call, call.params)


def test_order(call: Call) -> object:
    """Checks the order's form only; nothing is placed."""
    read_order(call.params, hedge=_hedge(call))
    return {}


def _place(call: Call, params: Params) -> dict[str, object]:
    form = read_order(params, hedge=_hedge(call))
    row = place(call.venue, call.account, form, call.now)
    call.orders += 1
    return order_document(row, acknowledged=form.response == "ACK")


def _hedge(call: Call) -> bool:
    return bool(call.account_row()["hedge"])


def amend_order(call: Call) -> object:
    return _amend(call, call.params)


def _amend(call: Call, params: Params) -> dict[str, object]:
    row = _named_order(call, params)
    if params.text("priceMatch", "NONE") != "NONE":
        raise unsupported("priceMatch")
    side = params.choice("side", ("BUY", "SELL"), code=-1117)
    if row is None or row["status"] != "NEW":
        raise refusal(-2013)
    if side != row["side"]:
        raise refusal(-1117)
    quantity, price = params.decimal("quantity"), params.decimal("price")
    symbol = SYMBOLS[row["symbol"]]
    check_quantity(symbol, quantity, market=False)
    check_price(symbol, price)
    return order_document(amend(call.venue, row, quantity, price, call.now))


def _named_order(call: Call, params: Params) -> Row | None:
    symbol = symbol_named(params.required("symbol"))
    order = params.optional_integer("orderId")
    if order is None and "origClientOrderId" not in params:
        raise refusal(-1102, "orderId")
    return find_order(call.db, call.account, symbol.name, order, params.text("origClientOrderId"))


def cancel_order(call: Call) -> object:
    return _cancel(call, call.params)


def _cancel(call: Call, params: Params) -> dict[str, object]:
    row = _named_order(call, params)
    if row is None or row["status"] != "NEW":
        raise refusal(-2011)
    close(call.db, row["id"], "CANCELED", call.now)
    return order_document(by_id(call.db, row["id"]))


def cancel_open_orders(call: Call) -> object:
    cancel_all(call.db, call.account, call.symbol().name, call.now)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def new_batch(call: Call) -> object:
    return _each(call, ORDER_FIELDS, _place)


def amend_batch(call: Call) -> object:
    return _each(call, AMEND_FIELDS, _amend)


def _each(
    call: Call, allowed: frozenset[str], act: Callable[[Call, Params], dict[str, object]]
) -> list[dict[str, object]]:
    """Every leg for itself: a refused leg is an error object at its place in the list."""
    answers: list[dict[str, object]] = []
    for leg in read_legs(call.params):
        try:
            with savepoint(call.db):
                leg.allow_only(allowed, ("symbol",))
                answers.append(act(call, leg))
        except VenueError as error:
            answers.append(error.document())
    return answers


def read_legs(params: Params) -> list[Params]:
    """The legs of `batchOrders`. Raises -1130 unless it is a list of flat objects, -4082 for their number."""
    legs = _json_list(params, "batchOrders")
    if not 1 <= len(legs) <= MOST_LEGS:
        raise refusal(-4082)
    read: list[Params] = []
    for leg in legs:
        if not isinstance(leg, dict):
            raise refusal(-1130, "batchOrders")
        values: dict[str, str] = {}
        for name, value in leg.items():
            if isinstance(value, bool):
                values[name] = str(value).lower()
            elif isinstance(value, str | int):
                values[name] = str(value)
            else:
                raise refusal(-1130, "batchOrders")
        read.append(Params(values))
    return read


def _json_list(params: Params, name: str) -> list[object]:
    try:
        # Numbers keep the text they were sent in: a float would change the price.
        value = json.loads(params.required(name), parse_float=str, object_pairs_hook=_once)
    except ValueError:
        raise refusal(-1130, name) from None
    if not isinstance(value, list):
        raise refusal(-1130, name)
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name stands twice")
    return document


def cancel_batch(call: Call) -> object:
    """By `orderIdList` or `origClientOrderIdList`; two of the usual clients write the names in lower case."""
    symbol = call.symbol().name
    lists = {name.lower(): name for name in call.params.values}
    by_ids, by_names = lists.get("orderidlist"), lists.get("origclientorderidlist")
    chosen = by_ids or by_names
    if chosen is None:
        raise refusal(-1102, "orderIdList")
    wanted = _json_list(call.params, chosen)
    if not 1 <= len(wanted) <= 10:
        raise refusal(-4082)
    answers: list[dict[str, object]] = []
    for item in wanted:
        name = "orderId" if by_ids else "origClientOrderId"
        try:
            answers.append(_cancel(call, Params({"symbol": symbol, name: str(item)})))
        except VenueError as error:
            answers.append(error.document())
    return answers


def countdown_cancel_all(call: Call) -> object:
    """Cancels the symbol's orders when not called again within `countdownTime` ms; 0 stops the countdown."""
    symbol = call.symbol().name
    countdown = call.params.integer("countdownTime", most=3_600_000 * 24)
    call.db.execute("DELETE FROM countdowns WHERE account = ? AND symbol = ?", (call.account, symbol))
    if countdown:
        call.db.execute("INSERT INTO countdowns VALUES (?, ?, ?)", (call.account, symbol, call.now + countdown))
    return {"symbol": symbol, "countdownTime": str(countdown)}
