"""Conditional (algo) orders: they wait for the mark price and then become a plain order."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from leverlock_paper.database import Row, savepoint
from leverlock_paper.errors import VenueError, refusal, unsupported
from leverlock_paper.numbers import ZERO
from leverlock_paper.order_form import (
    SELF_TRADE_MODES,
    OrderForm,
    check_price,
    check_quantity,
    read_client_id,
    read_position_side,
    read_reduce_only,
)
from leverlock_paper.orders import place
from leverlock_paper.parameters import Params
from leverlock_paper.positions import find
from leverlock_paper.symbols import CONDITIONAL_TYPES, SYMBOLS, TIMES_IN_FORCE, Symbol
from leverlock_paper.venue import Venue, symbol_named

LIMIT_TYPES = frozenset({"STOP", "TAKE_PROFIT"})
CLOSING_TYPES = frozenset({"STOP_MARKET", "TAKE_PROFIT_MARKET"})

ALGO_FIELDS = frozenset(
    [
        "algoType",
        "symbol",
        "side",
        "positionSide",
        "type",
        "timeInForce",
        "quantity",
        "price",
        "triggerPrice",
        "workingType",
        "priceMatch",
        "closePosition",
        "priceProtect",
        "reduceOnly",
        "activatePrice",
        "activationPrice",
        "callbackRate",
        "clientAlgoId",
        "newOrderRespType",
        "selfTradePreventionMode",
        "goodTillDate",
    ]
)


@dataclass(slots=True)
class AlgoForm:
    """A conditional order as it was asked for. `above`: it triggers when the price has risen that far."""

    symbol: Symbol
    side: str
    position_side: str
    type: str
    tif: str
    quantity: Decimal
    price: Decimal
    trigger_price: Decimal
    activate_price: Decimal
    callback_rate: Decimal
    reduce_only: bool
    close_position: bool
    client_id: str
    stp: str
    working_type: str
    price_protect: bool

    @property
    def above(self) -> bool:
        if self.type == "TRAILING_STOP_MARKET":
            # It arms when the price has gone to its favourable side, and fires on the way back.
            return self.side == "SELL"
        return (self.side == "BUY") == self.type.startswith("STOP")


def read_algo(params: Params, *, hedge: bool) -> AlgoForm:
    """Reads a conditional order. Raises the venue's errors."""
    params.choice("algoType", ("CONDITIONAL",))
    symbol = symbol_named(params.required("symbol"))
    side = params.choice("side", ("BUY", "SELL"), code=-1117)
    kind = params.choice("type", CONDITIONAL_TYPES, code=-1116)
    for name in ("priceMatch", "goodTillDate"):
        if params.text(name, "NONE") not in ("NONE", "0"):
            raise unsupported(name)
    if params.text("timeInForce") == "GTD":
        raise unsupported("timeInForce GTD")
    close_position = params.flag("closePosition")
    if close_position and kind not in CLOSING_TYPES:
        raise refusal(-4136, kind, "true")
    if close_position and "quantity" in params:
        raise refusal(-4137)
    if close_position and "reduceOnly" in params:
        raise refusal(-1106, "reduceonly")
    limit, trailing = kind in LIMIT_TYPES, kind == "TRAILING_STOP_MARKET"
    if not limit and "price" in params:
        raise refusal(-1106, "price")
    activation = "activationPrice" if "activationPrice" in params else "activatePrice"
    form = AlgoForm(
        symbol=symbol,
        side=side,
        position_side=read_position_side(params, hedge=hedge),
        type=kind,
        tif=params.choice("timeInForce", TIMES_IN_FORCE, "GTC", -1115),
        quantity=ZERO if close_position else params.decimal("quantity"),
        price=params.decimal("price") if limit else ZERO,
        trigger_price=ZERO if trailing else params.decimal("triggerPrice"),
        activate_price=(params.optional_decimal(activation) or ZERO) if trailing else ZERO,
        callback_rate=params.decimal("callbackRate") if trailing else ZERO,
        reduce_only=read_reduce_only(params, hedge=hedge),
        close_position=close_position,
        client_id=read_client_id(params, "clientAlgoId"),
        stp=params.choice("selfTradePreventionMode", SELF_TRADE_MODES, "EXPIRE_MAKER"),
        working_type=params.choice("workingType", ("CONTRACT_PRICE", "MARK_PRICE"), "CONTRACT_PRICE"),
        price_protect=params.flag("priceProtect"),
    )
    params.choice("newOrderRespType", ("ACK", "RESULT"), "ACK", -1136)
    _check_filters(form)
    return form


def _check_filters(form: AlgoForm) -> None:
    if not form.close_position:
        check_quantity(form.symbol, form.quantity, market=form.type not in LIMIT_TYPES)
    if form.type in LIMIT_TYPES:
        check_price(form.symbol, form.price)
    if form.type == "TRAILING_STOP_MARKET":
        if not Decimal("0.1") <= form.callback_rate <= 10:
            raise refusal(-1130, "callbackRate")
        if form.activate_price:
            check_price(form.symbol, form.activate_price)
    else:
        if form.trigger_price <= 0:
            raise refusal(-4006)
        check_price(form.symbol, form.trigger_price)


def place_algo(venue: Venue, account: int, form: AlgoForm, now: int) -> Row:
    """Accepts the order to wait. Raises -2021 when it would trigger at once, -4116 for a client id in use."""
    db, symbol = venue.db, form.symbol
    mark = venue.book.mark(symbol, now)
    at_once = mark >= form.trigger_price if form.above else mark <= form.trigger_price
    if form.trigger_price and at_once:
        raise refusal(-2021)
    if form.close_position or form.reduce_only:
        position = find(db, account, symbol.name, form.position_side)
        if position.amount == 0 or (position.amount > 0) == (form.side == "BUY"):
            raise refusal(-2022 if form.reduce_only else -4112)
    waiting = db.execute(
        "SELECT client_id FROM algo_orders WHERE account = ? AND symbol = ? AND status = 'NEW'",
        (account, symbol.name),
    ).fetchall()
    if any(row["client_id"] == form.client_id for row in waiting):
        raise refusal(-4116)
    if len(waiting) >= symbol.open_algo_orders:
        raise refusal(-2025)
    # A trailing order without an activation price follows the price from the first moment.
    armed = form.type == "TRAILING_STOP_MARKET" and not form.activate_price
    cursor = db.execute(
        "INSERT INTO algo_orders (account, client_id, symbol, side, position_side, type, tif, quantity,"
        " price, trigger_price, activate_price, callback_rate, extreme, above, reduce_only, close_position,"
        " stp, working_type, price_protect, status, time, update_time)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,'NEW',?,?)",
        (
            account,
            form.client_id,
            symbol.name,
            form.side,
            form.position_side,
            form.type,
            form.tif,
            form.quantity,
            form.price,
            form.trigger_price,
            form.activate_price,
            form.callback_rate,
            mark if armed else ZERO,
            int(form.above),
            int(form.reduce_only),
            int(form.close_position),
            form.stp,
            form.working_type,
            int(form.price_protect),
            now,
            now,
        ),
    )
    return algo_by_id(venue, int(cursor.lastrowid or 0))


def algo_by_id(venue: Venue, order: int) -> Row:
    row: Row = venue.db.execute("SELECT * FROM algo_orders WHERE id = ?", (order,)).fetchone()
    return row


def trigger_waiting(venue: Venue, now: int) -> None:
    """Turns every conditional order whose price has come into a plain order."""
    for row in venue.db.execute("SELECT * FROM algo_orders WHERE status = 'NEW' ORDER BY id").fetchall():
        mark = venue.book.mark(SYMBOLS[row["symbol"]], now)
        if row["type"] == "TRAILING_STOP_MARKET":
            due = _trailing_is_due(venue, row, mark)
        else:
            due = mark >= row["trigger_price"] if row["above"] else mark <= row["trigger_price"]
        if due:
            _trigger(venue, row, now)


def _trailing_is_due(venue: Venue, row: Row, mark: Decimal) -> bool:
    extreme = row["extreme"]
    if extreme == 0:
        reached = mark >= row["activate_price"] if row["above"] else mark <= row["activate_price"]
        if not reached:
            return False
        extreme = mark
    extreme = max(extreme, mark) if row["above"] else min(extreme, mark)
    if extreme != row["extreme"]:
        venue.db.execute("UPDATE algo_orders SET extreme = ? WHERE id = ?", (extreme, row["id"]))
    back = extreme * row["callback_rate"] / 100
    return bool(mark <= extreme - back if row["above"] else mark >= extreme + back)


def _trigger(venue: Venue, row: Row, now: int) -> None:
    symbol = SYMBOLS[row["symbol"]]
    quantity = row["quantity"]
    if row["close_position"]:
        quantity = abs(find(venue.db, row["account"], symbol.name, row["position_side"]).amount)
    limit = row["type"] in LIMIT_TYPES
    form = OrderForm(
        symbol=symbol,
        side=row["side"],
        position_side=row["position_side"],
        type="LIMIT" if limit else "MARKET",
        tif=row["tif"] if limit else "GTC",
        quantity=quantity,
        price=row["price"],
        reduce_only=bool(row["reduce_only"]) or (bool(row["close_position"]) and row["position_side"] == "BOTH"),
        client_id=row["client_id"],
        orig_type=row["type"],
        stop_price=row["trigger_price"],
        close_position=bool(row["close_position"]),
        working_type=row["working_type"],
        price_protect=bool(row["price_protect"]),
    )
    status, order, failure = "FINISHED", 0, ""
    try:
        with savepoint(venue.db):
            order = place(venue, row["account"], form, now)["id"]
    except VenueError as error:
        # The order that it should become is refused (no margin, no position): it ends here, with the reason.
        status, failure = "REJECTED", f"{error.code} {error.msg}"
    venue.db.execute(
        "UPDATE algo_orders SET status = ?, actual_order = ?, failure = ?, update_time = ?, trigger_time = ?"
        " WHERE id = ?",
        (status, order, failure, now, now, row["id"]),
    )
