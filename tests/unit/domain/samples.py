"""Valid values for every declared field, so that every row of the action table can be tried, those to come as well."""

from __future__ import annotations

from leverlock.domain.action import Action, ActionType, bundle, parse
from leverlock.domain.values import Field, Kind

# For each kind: distinct values with distinct meanings.
_VALUES = {
    Kind.TEXT: ["BTCUSDT", "ETHUSDT", "这是测试币456"],
    Kind.DECIMAL: ["1", "2.5", "50000"],
    Kind.INTEGER: ["1", "20", "75"],
    Kind.BOOLEAN: ["true", "false"],
}


def values(field: Field) -> list[str]:
    """Two or more canonical values of a field, each meaning something else; one where it has only one choice."""
    if field.ascii:
        return ["0xAb12", "T9yD", "bc1q7"]
    return sorted(field.choices) if field.kind is Kind.CHOICE else _VALUES[field.kind]


def full_fields(action_type: ActionType) -> dict[str, str]:
    """A value for every field that the type declares, optional ones included."""
    return {name: values(field)[0] for name, field in action_type.fields.items()}


def least_fields(action_type: ActionType) -> dict[str, str]:
    """A value for every required field and for no other."""
    return {name: values(field)[0] for name, field in action_type.fields.items() if field.required}


def least(action_type: ActionType, facts: dict[str, str] | None = None) -> Action:
    """The smallest valid action of a type: required fields, or a bundle of one leg."""
    if action_type.legs is not None:
        return bundle(action_type, (least(action_type.legs, facts),))
    return parse(action_type, least_fields(action_type), facts)
