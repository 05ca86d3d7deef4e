"""Rules, and the index that is compiled from those of one action.

Equality conditions become a dictionary look-up, single thresholds a sorted ladder with the joined requirement at every
rung, pairs of thresholds a sorted stair for each requirement. Rules of three bounds or more are looked at one by one.
What the index says is what a plain reading of all rules says, to the last digit; a property test holds it to that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, product
from typing import Any, cast

from leverlock.domain.action import UNKNOWN, Attributes, AttributeValue
from leverlock.domain.requirement import Requirement, join_all

Number = int | Decimal


@dataclass(frozen=True, slots=True)
class Condition:
    """What a rule says about one attribute. `choices` (equality) or bounds, never both."""

    attribute: str
    choices: frozenset[AttributeValue] = frozenset()
    above: Number | None = None
    below: Number | None = None

    def holds(self, attributes: Attributes) -> bool:
        """Whether it is true of these attributes; unknown or absent facts make it true."""
        value = attributes.get(self.attribute, UNKNOWN)
        if value is UNKNOWN:
            return True
        if self.choices:
            return value in self.choices
        number = cast(Number, value)
        return (self.above is None or number > self.above) and (self.below is None or number < self.below)


@dataclass(frozen=True, slots=True)
class Rule:
    """Under these conditions, this action demands this proof."""

    name: str
    action: str
    requirement: Requirement
    conditions: tuple[Condition, ...] = ()

    def matches(self, attributes: Attributes) -> bool:
        return all(condition.holds(attributes) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class _Ladder:
    """Rules that differ only in one bound of one attribute; `demands[i]` joins all rungs passed by i thresholds."""

    attribute: str
    rungs: list[Number]
    demands: list[Requirement]
    downward: bool

    def demand(self, attributes: Attributes) -> Requirement | None:
        value: Any = attributes[self.attribute]  # `typing.cast` is a call, and this is asked of every order
        # `above` is strict: a value equal to the threshold does not pass it (M15: 50x passes, 51x does not).
        passed = bisect_left(self.rungs, _negated(value) if self.downward else value)
        return self.demands[passed - 1] if passed else None


@dataclass(frozen=True, slots=True)
class _Bound:
    """One threshold of a rule. A downward one is kept negated, so that each is passed by a greater value."""

    attribute: str
    downward: bool
    number: Number

    @property
    def direction(self) -> tuple[str, bool]:
        return self.attribute, self.downward


@dataclass(frozen=True, slots=True)
class _Stair:
    """Rules of two bounds that demand the same: `lowest[i]` is the lowest second bound of the rungs up to i.

    One of them matches where the first value passes some rungs and the second the lowest bound among these.
    """

    first: tuple[str, bool]
    second: tuple[str, bool]
    rungs: list[Number]
    lowest: list[Number]
    requirement: Requirement

    def demand(self, attributes: Attributes) -> Requirement | None:
        passed = bisect_left(self.rungs, _upward(attributes, *self.first))
        if passed and self.lowest[passed - 1] < _upward(attributes, *self.second):
            return self.requirement
        return None


@dataclass(slots=True)
class _Cell:
    """What holds once the equality conditions of a group are met. `others` have three bounds or more."""

    always: Requirement | None = None
    sorted: tuple[_Ladder | _Stair, ...] = ()
    others: tuple[Rule, ...] = ()

    def join(self, demanded: Requirement | None, attributes: Attributes) -> Requirement | None:
        """`demanded` together with what this cell demands."""
        if self.always is not None:
            demanded = self.always if demanded is None else demanded.join(self.always)
        for found in self.sorted:
            demand = found.demand(attributes)
            if demand is not None:
                demanded = demand if demanded is None else demanded.join(demand)
        for rule in self.others:
            if rule.matches(attributes):
                demanded = rule.requirement if demanded is None else demanded.join(rule.requirement)
        return demanded


@dataclass(frozen=True, slots=True)
class Bucket:
    """All rules of one action, grouped by the attributes that their equality conditions read.

    `reads` names every attribute that a condition of any of them speaks about; `plain` holds the rules without
    equality conditions.
    """

    rules: tuple[Rule, ...]
    reads: tuple[str, ...]
    plain: _Cell | None
    groups: tuple[tuple[tuple[str, ...], dict[tuple[AttributeValue, ...], _Cell]], ...]

    def demand(self, attributes: Attributes) -> Requirement | None:
        """The joined requirement of the rules that match, None where none does."""
        try:
            demanded = None if self.plain is None else self.plain.join(None, attributes)
            for names, cells in self.groups:
                key: Any = tuple([attributes[name] for name in names])
                if UNKNOWN in key:
                    raise KeyError(names)
                cell = cells.get(key)
                if cell is not None:
                    demanded = cell.join(demanded, attributes)
        except (KeyError, TypeError):
            # An attribute is absent or UNKNOWN: look at every rule, with the unknown counted as true.
            return join_all([rule.requirement for rule in self.rules if rule.matches(attributes)])
        return demanded


def compile_rules(rules: list[Rule]) -> Bucket:
    """The index over the rules of one action."""
    groups: dict[tuple[str, ...], dict[tuple[AttributeValue, ...], list[Rule]]] = {}
    for rule in rules:
        equalities = sorted((c for c in rule.conditions if c.choices), key=lambda c: c.attribute)
        cells = groups.setdefault(tuple(c.attribute for c in equalities), {})
        for key in product(*(sorted(c.choices, key=repr) for c in equalities)):
            cells.setdefault(key, []).append(rule)
    plain = groups.pop((), {}).get(())
    return Bucket(
        tuple(rules),
        tuple(sorted({condition.attribute for rule in rules for condition in rule.conditions})),
        None if plain is None else _cell(plain),
        tuple((names, {key: _cell(members) for key, members in cells.items()}) for names, cells in groups.items()),
    )


def _cell(members: list[Rule]) -> _Cell:
    ladders: dict[tuple[str, bool], list[tuple[Number, Requirement]]] = {}
    stairs: dict[tuple[tuple[str, bool], tuple[str, bool], Requirement], list[tuple[Number, Number]]] = {}
    always, others = [], []
    for rule in members:
        match sorted(_bounds(rule), key=lambda bound: bound.direction):
            case []:
                always.append(rule.requirement)
            case [one]:
                ladders.setdefault(one.direction, []).append((one.number, rule.requirement))
            case [one, two]:
                shape = one.direction, two.direction, rule.requirement
                stairs.setdefault(shape, []).append((one.number, two.number))
            case _:
                others.append(rule)
    found = [_ladder(direction, steps) for direction, steps in ladders.items()]
    return _Cell(join_all(always), (*found, *(_stair(*shape, steps) for shape, steps in stairs.items())), tuple(others))


def _bounds(rule: Rule) -> Iterable[_Bound]:
    for condition in rule.conditions:
        if condition.above is not None:
            yield _Bound(condition.attribute, False, condition.above)
        if condition.below is not None:
            yield _Bound(condition.attribute, True, _negated(condition.below))


def _ladder(direction: tuple[str, bool], steps: list[tuple[Number, Requirement]]) -> _Ladder:
    steps.sort(key=_threshold)
    demands = list(accumulate((requirement for _, requirement in steps), Requirement.join))
    return _Ladder(direction[0], [number for number, _ in steps], demands, direction[1])


def _stair(
    first: tuple[str, bool], second: tuple[str, bool], requirement: Requirement, steps: list[tuple[Number, Number]]
) -> _Stair:
    steps.sort(key=_threshold)
    lowest = list(accumulate((number for _, number in steps), min))
    return _Stair(first, second, [number for number, _ in steps], lowest, requirement)


def _upward(attributes: Attributes, attribute: str, downward: bool) -> Number:
    """The value as bounds are kept. Raises KeyError for one that is absent; an unknown one compares with nothing."""
    value: Any = attributes[attribute]
    return _negated(value) if downward else value


def _negated(number: Number) -> Number:
    """Exact: the minus sign of a Decimal rounds to 28 digits, which could lift a value over its threshold."""
    return number.copy_negate() if isinstance(number, Decimal) else -number


def _threshold(step: tuple[Number, object]) -> Number:
    return step[0]
