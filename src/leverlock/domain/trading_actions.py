"""Rows of the action table: trading. Orders, amendments, leverage, modes and cancels on the futures market.

Cancels of every kind are free: stopping somebody from reducing his risk is a loss of its own (semantics 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from leverlock.domain.action import UNKNOWN, ActionType, AttributeValue, Facts, Unknown
from leverlock.domain.environment import Environment
from leverlock.domain.hold import HoldScope
from leverlock.domain.requirement import Backup
from leverlock.domain.values import Field, Kind, boolean, choice, decimal, integer, word

_ORDER: Final[dict[str, Field]] = {
    "symbol": word(required=True),
    "side": choice("BUY", "SELL", required=True),
    "position_side": choice("BOTH", "LONG", "SHORT"),
    "type": choice("LIMIT", "MARKET", required=True),
    "time_in_force": choice("GTC", "IOC", "FOK", "GTX", "GTD"),
    "quantity": decimal(),
    "price": decimal(),
    "price_match": choice(
        "NONE",
        "OPPONENT",
        "OPPONENT_5",
        "OPPONENT_10",
        "OPPONENT_20",
        "QUEUE",
        "QUEUE_5",
        "QUEUE_10",
        "QUEUE_20",
    ),
    "reduce_only": boolean(),
    "self_trade_prevention": choice("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"),
    "good_till_date": integer(),
    "client_order_id": word(bound=False),
    "response_type": choice("ACK", "RESULT", bound=False),
}

_CONDITIONAL: Final[dict[str, Field]] = {
    **{name: field for name, field in _ORDER.items() if name not in {"type"}},
    "type": choice("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET", required=True),
    "trigger_price": decimal(),
    "working_type": choice("MARK_PRICE", "CONTRACT_PRICE"),
    "price_protect": boolean(),
    "close_position": boolean(),
    "activate_price": decimal(),
    "callback_rate": decimal(),
}

_AMEND: Final[dict[str, Field]] = {
    "symbol": word(required=True),
    "side": choice("BUY", "SELL", required=True),
    "order_id": integer(),
    "client_order_id": word(),  # here it names the order to change, so it is bound
    "quantity": decimal(required=True),
    "price": decimal(),
    "price_match": _ORDER["price_match"],
    # Validation only at the venue: it does not make the amended order reduce-only, so no rule may read it.
    "reduce_only": boolean(),
}

_VENUE_FACTS: Final[dict[str, Field]] = {
    "leverage": integer(),
    "margin_mode": choice("ISOLATED", "CROSSED"),
}


def _order_attributes(fields: Mapping[str, str], _facts: Facts) -> dict[str, AttributeValue | Unknown]:
    side = fields.get("position_side", "BOTH")
    if side != "BOTH":
        # Hedge mode: the side alone decides, and no flag beside it makes an opening order a closing one.
        return {"reduces_risk": (fields["side"], side) in {("SELL", "LONG"), ("BUY", "SHORT")}}
    return {"reduces_risk": fields.get("reduce_only") == "true" or _closes_position(fields)}


def _closes_position(fields: Mapping[str, str]) -> bool:
    """Close-position as venues know it: of these types, and without a quantity that another reader might prefer."""
    asked = fields.get("close_position") == "true" and "quantity" not in fields
    return asked and fields["type"] in ("STOP_MARKET", "TAKE_PROFIT_MARKET")


def _leverage_attributes(fields: Mapping[str, str], facts: Facts) -> dict[str, AttributeValue | Unknown]:
    current = facts.get("current_leverage")
    return {"raises": UNKNOWN if current is None else int(fields["leverage"]) > int(current)}


def _margin_mode_attributes(fields: Mapping[str, str], facts: Facts) -> dict[str, AttributeValue | Unknown]:
    current = facts.get("current_margin_mode")
    return {"switches": UNKNOWN if current is None else fields["margin_mode"] != current}


TEXT_BACKUP: Final = frozenset({Backup.SMS})  # what a thief gains by one of these is bounded and soon seen (M13)

ORDER_PLACE: Final = ActionType(
    name="futures.order.place",
    environment=Environment.FUTURES,
    gated=True,
    title="Place an order",
    fields=_ORDER,
    facts=_VENUE_FACTS,
    derived={"reduces_risk": Kind.BOOLEAN},
    derive=_order_attributes,
    groupable=True,
    legacy_exempt=True,
    held_by=HoldScope.OPENING,
    backups=TEXT_BACKUP,
)

CONDITIONAL_PLACE: Final = ActionType(
    name="futures.conditional_order.place",
    environment=Environment.FUTURES,
    gated=True,
    title="Place a conditional order",
    fields=_CONDITIONAL,
    facts=_VENUE_FACTS,
    derived={"reduces_risk": Kind.BOOLEAN},
    derive=_order_attributes,
    groupable=True,
    legacy_exempt=True,
    held_by=HoldScope.OPENING,
    backups=TEXT_BACKUP,
)

ORDER_AMEND: Final = ActionType(
    name="futures.order.amend",
    environment=Environment.FUTURES,
    gated=True,
    title="Change a resting order",
    fields=_AMEND,
    facts=_VENUE_FACTS,
    groupable=True,
    legacy_exempt=True,
    held_by=HoldScope.OPENING,
    backups=TEXT_BACKUP,
)

ORDER_BATCH: Final = ActionType(
    name="futures.order.place_batch",
    environment=Environment.FUTURES,
    gated=True,
    title="Place several orders",
    groupable=True,
    legacy_exempt=True,
    held_by=HoldScope.OPENING,
    legs=ORDER_PLACE,
)

AMEND_BATCH: Final = ActionType(
    name="futures.order.amend_batch",
    environment=Environment.FUTURES,
    gated=True,
    title="Change several resting orders",
    groupable=True,
    legacy_exempt=True,
    held_by=HoldScope.OPENING,
    legs=ORDER_AMEND,
)

LEVERAGE_SET: Final = ActionType(
    name="futures.leverage.set",
    environment=Environment.FUTURES,
    gated=True,
    title="Set the leverage of a symbol",
    fields={"symbol": word(required=True), "leverage": integer(required=True)},
    # `exposed`: a position or an order of the symbol is open.
    facts={"current_leverage": integer(), "exposed": boolean()},
    derived={"raises": Kind.BOOLEAN},
    derive=_leverage_attributes,
    groupable=True,
    legacy_exempt=True,
    held_by=HoldScope.OPENING,
    backups=TEXT_BACKUP,
)

MARGIN_MODE_SET: Final = ActionType(
    name="futures.margin_mode.set",
    environment=Environment.FUTURES,
    gated=True,
    title="Switch the margin mode of a symbol",
    fields={"symbol": word(required=True), "margin_mode": choice("ISOLATED", "CROSSED", required=True)},
    # Clients set the mode at every start; what it is already is no switch (M16).
    facts={"leverage": integer(), "current_margin_mode": choice("ISOLATED", "CROSSED")},
    derived={"switches": Kind.BOOLEAN},
    derive=_margin_mode_attributes,
    groupable=True,
    legacy_exempt=True,
    backups=TEXT_BACKUP,
)

POSITION_MODE_SET: Final = ActionType(
    name="futures.position_mode.set",
    environment=Environment.FUTURES,
    gated=False,
    title="Switch between one-way and hedge mode",
    fields={"hedged": boolean(required=True)},
)

ORDER_CANCEL: Final = ActionType(
    name="futures.order.cancel",
    environment=Environment.FUTURES,
    gated=False,
    title="Cancel orders",
    fields={
        "symbol": word(),
        "scope": choice("one", "several", "all", "conditional", "countdown", required=True),
    },
)

TRADING: Final = (
    ORDER_PLACE,
    CONDITIONAL_PLACE,
    ORDER_AMEND,
    ORDER_BATCH,
    AMEND_BATCH,
    LEVERAGE_SET,
    MARGIN_MODE_SET,
    POSITION_MODE_SET,
    ORDER_CANCEL,
)
