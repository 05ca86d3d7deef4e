"""Between the venue's parameters and our actions, in both directions.

`read` makes the action that the policy judges; `write` makes, from that same action and from nothing else, the
parameters that are signed and forwarded (B65). What a client sent in another spelling (`True`, `1e-05`, `50.0`) leaves
here in the one canonical form.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from leverlock.domain.action import Action, Facts, bundle, parse
from leverlock.domain.errors import Refused
from leverlock.domain.trading_actions import CONDITIONAL_PLACE, ORDER_PLACE
from leverlock.gateway.binance.errors import BinanceError, IllegalCharacters, MissingParameter, UnreadParameter
from leverlock.gateway.binance.forms import BATCH, Choice, Form
from leverlock.gateway.binance.parameters import canonical_name

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


class NotModelled(BinanceError):
    """The value that decides what the call means is none that we know: unknown is refused (B69)."""

    status = 404
    code = -40106

    def __init__(self, name: str) -> None:
        super().__init__(f"This value of '{name}' is not allowed through the gateway. Nothing was executed.")


def chosen(said: Form | Choice, parameters: Mapping[str, str]) -> Form:
    """The form in which a call speaks. Raises MissingParameter, NotModelled."""
    if isinstance(said, Form):
        return said
    value = parameters.get(said.parameter)
    if value is None:
        raise MissingParameter(said.parameter)
    form = said.forms.get(value)
    if form is None:
        raise NotModelled(said.parameter)
    return form


def read(form: Form, parameters: Mapping[str, str]) -> Action:
    """The action that a call means, without facts. Raises BinanceError or Refused(MALFORMED) naming the parameter."""
    if form.legs is None:
        return _read_one(form, parameters)
    unread = set(parameters) - {BATCH}
    if unread:
        raise UnreadParameter(f"Not all sent parameters were read; '{min(unread)}' is not known here.")
    if BATCH not in parameters:
        raise MissingParameter(BATCH)
    legs = [_read_one(form.legs, _leg(leg)) for leg in _legs(parameters[BATCH])]
    return bundle(form.action, tuple(legs))


def with_facts(action: Action, facts_of: Mapping[str, Facts]) -> Action:
    """The same action under what the venue says of each of its symbols; a symbol that is missing is unknown."""
    if action.legs:
        return Action(action.type, action.fields, {}, tuple(with_facts(leg, facts_of) for leg in action.legs))
    known = facts_of.get(action.fields.get("symbol", ""), {})
    return Action(action.type, action.fields, {name: known[name] for name in action.type.facts if name in known})


def symbols_of(action: Action) -> frozenset[str]:
    """The symbols whose facts at the venue an action hangs on."""
    return frozenset(part.fields["symbol"] for part in action.parts if part.type.facts and "symbol" in part.fields)


def write(form: Form, action: Action) -> Iterable[tuple[str, str]]:
    """The parameters to sign and forward."""
    if form.legs is not None:
        legs = [dict(_write_one(form.legs, leg)) for leg in action.legs]
        return [(BATCH, json.dumps(legs, ensure_ascii=False, separators=(",", ":")))]
    return _write_one(form, action)


def _read_one(form: Form, parameters: Mapping[str, str]) -> Action:
    # Looked at before the names: the old form's `stopPrice` would be refused without telling where to go.
    if form.action is ORDER_PLACE and parameters.get("type") in _MOVED:
        raise MovedToAlgo
    fields: dict[str, str] = dict(form.fixed)
    aliases, constants, names = form.aliases, form.constants, form.names
    for sent, value in parameters.items():
        parameter = aliases.get(sent, sent)
        if parameter in constants:
            if value != constants[parameter]:
                raise IllegalCharacters(f"Parameter '{sent}' must be {constants[parameter]}.")
            continue
        field = names.get(parameter)
        if field is None:
            if not canonical_name(sent):  # the name in a leg of a batch; others were looked at before
                raise UnreadParameter("Not all sent parameters were read; a parameter name is not canonical.")
            raise UnreadParameter(f"Not all sent parameters were read; '{sent}' is not known here.")
        if field in fields:
            raise IllegalCharacters(f"Parameter '{sent}' says again what another parameter said.")
        if field == "symbol" and value != value.upper():
            # The venue writes no symbol in lower case. Whether it would take one is its affair: two spellings of
            # one symbol would have two leverages here, and an order and a leverage change could pass each other.
            raise InvalidSymbol
        fields[field] = form.ours(parameter, value)
    for constant in constants:
        if constant not in parameters:
            raise MissingParameter(constant)
    try:
        return parse(form.action, fields)
    except Refused as problem:
        raise _renamed(problem, form.names) from None


def _renamed(problem: Refused, names: Mapping[str, str]) -> BinanceError:
    """The same refusal, in the venue's words for the field."""
    parameter = next((sent for sent, field in names.items() if field == problem.field), problem.field or "")
    if problem.detail.startswith("missing"):
        return MissingParameter(parameter)
    expected = problem.detail.partition(": ")[2] or problem.detail
    return IllegalCharacters(f"Illegal value for parameter '{parameter}': {expected}.")


def _write_one(form: Form, action: Action) -> list[tuple[str, str]]:
    said = [
        (parameter, form.theirs(parameter, action.fields[field]))
        for parameter, field in form.names.items()
        if field in action.fields
    ]
    return [*form.constants.items(), *said]


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
