"""An order as it was asked for: read from parameters and held against the symbol's filters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from uuid import uuid4

from leverlock_paper.errors import refusal, unsupported
from leverlock_paper.numbers import ZERO, is_multiple, plain
from leverlock_paper.parameters import Params
from leverlock_paper.symbols import CONDITIONAL_TYPES, ORDER_TYPES, TIMES_IN_FORCE, Symbol
from leverlock_paper.venue import symbol_named

_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}", re.ASCII)
# Paper orders never meet one another, so each of these modes means the same here.
SELF_TRADE_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")

ORDER_FIELDS = frozenset(
    [
        "symbol",
        "side",
        "positionSide",
        "type",
        "timeInForce",
        "quantity",
        "reduceOnly",
        "price",
        "newClientOrderId",
        "newOrderRespType",
        "selfTradePreventionMode",
        "closePosition",
        "stopPrice",
        "workingType",
        "priceProtect",
        "activationPrice",
        "callbackRate",
        "priceMatch",
        "goodTillDate",
    ]
)


@dataclass(slots=True)
class OrderForm:
    """A new order before it is accepted. Prices in USDT, quantities in base assets; zero means not given."""

    symbol: Symbol
    side: str
    position_side: str
    type: str
    tif: str
    quantity: Decimal
    price: Decimal
    reduce_only: bool
    client_id: str
    response: str = "ACK"
    stp: str = "EXPIRE_MAKER"
    orig_type: str = ""
    stop_price: Decimal = ZERO
    close_position: bool = False
    working_type: str = "CONTRACT_PRICE"
    price_protect: bool = False
    forced: str = ""  # LIQUIDATION for an order of the venue itself

    @property
    def signed(self) -> Decimal:
        return self.quantity if self.side == "BUY" else -self.quantity


def read_order(params: Params, *, hedge: bool) -> OrderForm:
    """Reads a MARKET or LIMIT order. Raises the venue's errors; -4120 for the types of the algo endpoints."""
    symbol = symbol_named(params.required("symbol"))
    side = params.choice("side", ("BUY", "SELL"), code=-1117)
    kind = params.choice("type", ORDER_TYPES, code=-1116)
    if kind in CONDITIONAL_TYPES:
        raise refusal(-4120)
    for name in ("priceMatch", "goodTillDate"):
        if params.text(name, "NONE") not in ("NONE", "0"):
            raise unsupported(name)
    for name in ("stopPrice", "activationPrice", "callbackRate"):
        if name in params:
            raise refusal(-1106, name)
    if params.flag("closePosition"):
        raise refusal(-4136, kind, "true")
    limit = kind == "LIMIT"
    if not limit:
        for name in ("price", "timeInForce"):
            if name in params:
                raise refusal(-1106, name)
    if limit and params.text("timeInForce") == "GTD":
        raise unsupported("timeInForce GTD")
    form = OrderForm(
        symbol=symbol,
        side=side,
        position_side=read_position_side(params, hedge=hedge),
        type=kind,
        tif=params.choice("timeInForce", TIMES_IN_FORCE, code=-1115) if limit else "GTC",
        quantity=params.decimal("quantity"),
        price=params.decimal("price") if limit else ZERO,
        reduce_only=read_reduce_only(params, hedge=hedge),
        client_id=read_client_id(params, "newClientOrderId"),
        response=params.choice("newOrderRespType", ("ACK", "RESULT"), "ACK", -1136),
        stp=params.choice("selfTradePreventionMode", SELF_TRADE_MODES, "EXPIRE_MAKER"),
        orig_type=kind,
        working_type=params.choice("workingType", ("CONTRACT_PRICE", "MARK_PRICE"), "CONTRACT_PRICE"),
        price_protect=params.flag("priceProtect"),
    )
    check_quantity(symbol, form.quantity, market=not limit)
    if limit:
        check_price(symbol, form.price)
    return form


def read_client_id(params: Params, name: str) -> str:
    if name not in params:
        return uuid4().hex[:22]
    client_id = params.text(name)
    if not _CLIENT_ID.fullmatch(client_id):
        raise refusal(-4015)
    return client_id


def read_position_side(params: Params, *, hedge: bool) -> str:
    side = params.choice("positionSide", ("BOTH", "LONG", "SHORT"), "BOTH", -4060)
    if (side == "BOTH") == hedge:
        raise refusal(-4061)
    return side


def read_reduce_only(params: Params, *, hedge: bool) -> bool:
    if hedge and "reduceOnly" in params:
        raise refusal(-1106, "reduceonly")
    return params.flag("reduceOnly")


def check_quantity(symbol: Symbol, quantity: Decimal, *, market: bool) -> None:
    """LOT_SIZE and MARKET_LOT_SIZE."""
    if quantity <= 0:
        raise refusal(-4003)
    if not is_multiple(quantity, symbol.step):
        raise refusal(-1111)
    if quantity < symbol.least:
        raise refusal(-4004)
    if quantity > (symbol.market_most if market else symbol.most):
        raise refusal(-4005)


def check_price(symbol: Symbol, price: Decimal) -> None:
    """PRICE_FILTER."""
    if price <= 0:
        raise refusal(-4001)
    if -int(price.normalize().as_tuple().exponent) > symbol.price_precision:
        raise refusal(-1111)
    if not is_multiple(price, symbol.tick):
        raise refusal(-4014)
    if price < symbol.tick:
        raise refusal(-4013)
    if price > symbol.most_price:
        raise refusal(-4002)


def check_price_band(symbol: Symbol, side: str, price: Decimal, mark: Decimal) -> None:
    """PERCENT_PRICE: a buy not far above the mark, a sell not far below it."""
    highest, lowest = mark * symbol.price_up, mark * symbol.price_down
    if side == "BUY" and price > highest:
        raise refusal(-4016, plain(highest))
    if side == "SELL" and price < lowest:
        raise refusal(-4024, plain(lowest))
