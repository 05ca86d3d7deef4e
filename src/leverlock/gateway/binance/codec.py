"""Between the venue's parameters and our actions, in both directions.

`read` makes the action that the policy judges; `write` makes, from that same action and from nothing else, the
parameters that are signed and forwarded (B65). What a client sent in another spelling (`True`, `1e-05`, `50.0`) leaves
here in the one canonical form.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from leverlock.domain.action import Action, ActionType, Facts, bundle, parse
from leverlock.domain.actions import (
    CONDITIONAL_PLACE,
    LEVERAGE_SET,
    MARGIN_MODE_SET,
    ORDER_AMEND,
    ORDER_PLACE,
    POSITION_MODE_SET,
)
from leverlock.domain.errors import Refused
from leverlock.domain.values import Kind
from leverlock.gateway.binance.errors import BinanceError, IllegalCharacters, MissingParameter, UnreadParameter
from leverlock.gateway.binance.parameters import canonical_name

BATCH: Final = "batchOrders"

_ORDER: Final = {
    "symbol": "symbol",
    "side": "side",
    "positionSide": "position_side",
    "type": "type",
    "timeInForce": "time_in_force",
    "quantity": "quantity",
    "price": "price",
    "priceMatch": "price_match",
    "reduceOnly": "reduce_only",
    "selfTradePreventionMode": "self_trade_prevention",
    "goodTillDate": "good_till_date",
    "newClientOrderId": "client_order_id",
    "newOrderRespType": "response_type",
}
_CONDITIONAL: Final = {
    **{name: field for name, field in _ORDER.items() if name != "newClientOrderId"},
    "clientAlgoId": "client_order_id",
    "triggerPrice": "trigger_price",
    "workingType": "working_type",
    "priceProtect": "price_protect",
    "closePosition": "close_position",
    "activatePrice": "activate_price",
    "callbackRate": "callback_rate",
}
_AMEND: Final = {
    "symbol": "symbol",
    "side": "side",
    "orderId": "order_id",
    "origClientOrderId": "client_order_id",
    "quantity": "quantity",
    "price": "price",
    "priceMatch": "price_match",
    "reduceOnly": "reduce_only",
}

NAMES: Final[dict[str, dict[str, str]]] = {
    ORDER_PLACE.name: _ORDER,
    CONDITIONAL_PLACE.name: _CONDITIONAL,
    ORDER_AMEND.name: _AMEND,
    LEVERAGE_SET.name: {"symbol": "symbol", "leverage": "leverage"},
    POSITION_MODE_SET.name: {"dualSidePosition": "hedged"},
    MARGIN_MODE_SET.name: {"symbol": "symbol", "marginType": "margin_mode"},
}
# The venue's one way to say what we say in the type of the action.
_CONSTANTS: Final = {CONDITIONAL_PLACE.name: {"algoType": "CONDITIONAL"}}
# Spellings that clients use for the same parameter.
_ALIASES: Final = {CONDITIONAL_PLACE.name: {"activationPrice": "activatePrice"}}
# The venue documents these for some flags, and its own SDK writes them into every leg of a batch.
_FLAGS: Final = {"TRUE": "true", "FALSE": "false"}
_MOVED: Final = CONDITIONAL_PLACE.fields["type"].choices


class InvalidSymbol(BinanceError):
    code = -1121

    def __init__(self) -> None:
        super().__init__("Invalid symbol.")


class MovedToAlgo(BinanceError):
    """Since 2025-12-09 the venue takes conditional orders on the algo endpoint only."""

    code = -4120

    def __init__(self) -> None:
        super().__init__("Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.")


def known_names(action_type: ActionType) -> frozenset[str]:
    """Every parameter name that a call for this action may carry."""
    if action_type.legs is not None:
        return frozenset({BATCH})
    name = action_type.name
    return frozenset({*NAMES[name], *_CONSTANTS.get(name, ()), *_ALIASES.get(name, ())})


def read(action_type: ActionType, parameters: Mapping[str, str]) -> Action:
    """The action that a call means, without facts. Raises BinanceError or Refused(MALFORMED) naming the parameter."""
    if action_type.legs is None:
        return _read_one(action_type, parameters)
    unread = set(parameters) - {BATCH}
    if unread:
        raise UnreadParameter(f"Not all sent parameters were read; '{min(unread)}' is not known here.")
    if BATCH not in parameters:
        raise MissingParameter(BATCH)
    legs = [_read_one(action_type.legs, _leg(leg)) for leg in _legs(parameters[BATCH])]
    return bundle(action_type, tuple(legs))


def with_facts(action: Action, facts_of: Mapping[str, Facts]) -> Action:
    """The same action under what the venue says of each of its symbols; a symbol that is missing is unknown."""
    if action.legs:
        return Action(action.type, action.fields, {}, tuple(with_facts(leg, facts_of) for leg in action.legs))
    known = facts_of.get(action.fields.get("symbol", ""), {})
    return Action(action.type, action.fields, {name: known[name] for name in action.type.facts if name in known})


def symbols_of(action: Action) -> frozenset[str]:
    """The symbols an action touches."""
    return frozenset(part.fields["symbol"] for part in action.parts if "symbol" in part.fields)


def write(action: Action) -> Iterable[tuple[str, str]]:
    """The parameters to sign and forward."""
    if action.legs:
        legs = [dict(_write_one(leg)) for leg in action.legs]
        return [(BATCH, json.dumps(legs, ensure_ascii=False, separators=(",", ":")))]
    return _write_one(action)


def _read_one(action_type: ActionType, parameters: Mapping[str, str]) -> Action:
    name = action_type.name
    names, constants, aliases = NAMES[name], _CONSTANTS.get(name, {}), _ALIASES.get(name, {})
    # Looked at before the names: the old form's `stopPrice` would be refused without telling where to go.
    if action_type is ORDER_PLACE and parameters.get("type") in _MOVED:
        raise MovedToAlgo
    fields: dict[str, str] = {}
    for sent, value in parameters.items():
        if not canonical_name(sent):  # the name in a leg of a batch; others were looked at before
            raise UnreadParameter("Not all sent parameters were read; a parameter name is not canonical.")
        parameter = aliases.get(sent, sent)
        if parameter in constants:
            if value != constants[parameter]:
                raise IllegalCharacters(f"Parameter '{sent}' must be {constants[parameter]}.")
            continue
        field = names.get(parameter)
        if field is None:
            raise UnreadParameter(f"Not all sent parameters were read; '{sent}' is not known here.")
        if field in fields:
            raise IllegalCharacters(f"Parameter '{sent}' says again what another parameter said.")
        if field == "symbol" and value != value.upper():
            # The venue writes no symbol in lower case. Whether it would take one is its affair: two spellings of
            # one symbol would have two leverages here, and an order and a leverage change could pass each other.
            raise InvalidSymbol
        flag = action_type.fields[field].kind is Kind.BOOLEAN
        fields[field] = _FLAGS.get(value, value) if flag else value
    for constant in constants:
        if constant not in parameters:
            raise MissingParameter(constant)
    try:
        return parse(action_type, fields)
    except Refused as problem:
        raise _renamed(problem, names) from None


def _renamed(problem: Refused, names: Mapping[str, str]) -> BinanceError:
    """The same refusal, in the venue's words for the field."""
    parameter = next((sent for sent, field in names.items() if field == problem.field), problem.field or "")
    if problem.detail.startswith("missing"):
        return MissingParameter(parameter)
    expected = problem.detail.partition(": ")[2] or problem.detail
    return IllegalCharacters(f"Illegal value for parameter '{parameter}': {expected}.")


def _write_one(action: Action) -> list[tuple[str, str]]:
    name = action.type.name
    sent = list(_CONSTANTS.get(name, {}).items())
    return sent + [(parameter, action.fields[f]) for parameter, f in NAMES[name].items() if f in action.fields]


def _legs(text: str) -> list[Any]:
    try:
        legs = json.loads(
            text, object_pairs_hook=_without_doubles, parse_float=str, parse_int=str, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise IllegalCharacters(f"Parameter '{BATCH}' is not a JSON list of orders.") from None
    if not isinstance(legs, list) or not all(isinstance(leg, dict) for leg in legs):
        raise IllegalCharacters(f"Parameter '{BATCH}' is not a JSON list of orders.")
    return legs


def _leg(leg: dict[str, Any]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in leg.items():
        if isinstance(value, bool):
            values[name] = "true" if value else "false"
        elif isinstance(value, str):
            values[name] = value
        else:
            raise IllegalCharacters(f"Illegal value in '{BATCH}': a leg holds texts, numbers, true and false.")
    return values


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(_: str) -> Any:
    raise ValueError("not a number")
