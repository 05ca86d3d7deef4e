"""Does a policy demand less anywhere than the one in force? (semantics 9)

Exact, not sampled. What a rule demands holds on a box: for each attribute the values that its condition lets through.
The values of an attribute fall into atoms between which no condition of either policy can tell: each number that is
named and each gap between two of them, each word that is named and *any other*, and *unknown*, which makes every
condition true. A proof of the old policy is kept where the boxes of the new rules that demand it cover the old box;
what is left over is a witness: an action for which less is asked than before.

Attributes are taken as free of each other. Where one follows from others (`raises` from two leverages) a witness may be
an action that nobody can send; such a policy waits for its two operators without need, never the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal, localcontext
from itertools import zip_longest
from typing import Final, cast

from leverlock.domain.action import UNKNOWN, ActionType, AttributeValue, Unknown
from leverlock.domain.actions import ACTIONS
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.policy import Condition, Number, Policy, Rule
from leverlock.domain.requirement import Backup, ProofKind, Requirement
from leverlock.domain.values import Field, Kind

MOST_STEPS: Final = 100_000  # per rule; a policy too tangled to be compared counts as one that demands less
_NUMERIC: Final = frozenset({Kind.INTEGER, Kind.DECIMAL})

Witness = Mapping[str, AttributeValue | Unknown]
Box = Mapping[str, int]  # by attribute, the set of its atoms as a bit mask; an attribute that is absent is unconfined


@dataclass(frozen=True, slots=True)
class Weakening:
    """One place where less is demanded: the action, and an example for which it is so.

    `action` is empty for the setting `require_enrolment`, which concerns every market.
    """

    action: str
    rule: str
    what: str
    example: Witness

    @property
    def environments(self) -> frozenset[Environment]:
        return frozenset(MARKETS) if not self.action else frozenset({ACTIONS[self.action].environment})

    def __str__(self) -> str:
        if not self.action:
            return self.what
        said = [f"{name} {_shown(value)}" for name, value in sorted(self.example.items())]
        return f"{self.action}{' with ' + ', '.join(said) if said else ''}: {self.what} (rule {self.rule!r})"


class _Tangled(Exception):
    """The comparison would take too long."""


def weakenings(before: Policy, after: Policy) -> list[Weakening]:
    """Where `after` demands less than `before`: one example for each rule that it weakens. Empty: nowhere."""
    found: list[Weakening] = []
    if before.require_enrolment and not after.require_enrolment:
        found.append(Weakening("", "", "accounts without protection are no longer refused (require_enrolment)", {}))
    for name in dict.fromkeys(rule.action for rule in before.rules):
        found += _of_action(ACTIONS[name], _rules_of(before, name), _rules_of(after, name))
    return found


def environments_of(found: Iterable[Weakening]) -> frozenset[Environment]:
    """The environments whose owners are told."""
    return frozenset(environment for weakening in found for environment in weakening.environments)


def _rules_of(policy: Policy, action: str) -> list[Rule]:
    return [rule for rule in policy.rules if rule.action == action]


def _of_action(row: ActionType, before: Sequence[Rule], after: Sequence[Rule]) -> Iterator[Weakening]:
    axes = {name: _Axis.of(row, name, (*before, *after)) for name in _spoken_of((*before, *after))}
    floor = row.floor or Requirement(frozenset(), frozenset(Backup))
    boxes = [(_box(rule, axes), rule.requirement) for rule in after]
    for rule in before:
        box, wanted = _box(rule, axes), rule.requirement
        try:
            found = _first_gap(box, wanted, floor, boxes)
        except _Tangled:
            yield Weakening(row.name, rule.name, "too tangled to be compared", {})
            continue
        if found is not None:
            what, left = found
            example = {name: axis.sample(left.get(name, axis.all)) for name, axis in axes.items()}
            yield Weakening(row.name, rule.name, what, example)


def _first_gap(
    box: Box, wanted: Requirement, floor: Requirement, boxes: Sequence[tuple[Box, Requirement]]
) -> tuple[str, Box] | None:
    """What is no longer demanded somewhere in `box`, and where. A floor holds whatever a file says."""
    for proof in ProofKind:
        if proof in wanted.proofs - floor.proofs:
            left = _uncovered(box, [each for each, given in boxes if proof in given.proofs])
            if left is not None:
                return f"{proof} is no longer required", left
    for backup in Backup:
        if backup not in wanted.backups and backup in floor.backups:
            left = _uncovered(box, [each for each, given in boxes if backup not in given.backups])
            if left is not None:
                return f"{backup} may stand in for the code", left
    return None


def _uncovered(box: Box, covers: Sequence[Box]) -> Box | None:
    """A part of `box` that none of `covers` reaches, None where they cover it all. Raises _Tangled."""
    steps = MOST_STEPS
    waiting = [(box, 0)]
    while waiting:
        rest, first = waiting.pop()
        for number in range(first, len(covers)):
            cover = covers[number]
            steps -= 1
            if steps < 0:
                raise _Tangled
            if not all(rest[name] & mask for name, mask in cover.items()):
                continue
            for name, mask in cover.items():
                if outside := rest[name] & ~mask:
                    waiting.append(({**rest, name: outside}, number + 1))
                rest = {**rest, name: rest[name] & mask}
            break  # what is left of it lies inside this cover
        else:
            return rest
    return None


def _box(rule: Rule, axes: Mapping[str, _Axis]) -> Box:
    box = {name: axis.all for name, axis in axes.items()}
    for condition in rule.conditions:
        box[condition.attribute] &= axes[condition.attribute].mask(condition)
    return box


def _spoken_of(rules: Iterable[Rule]) -> list[str]:
    return sorted({condition.attribute for rule in rules for condition in rule.conditions})


@dataclass(frozen=True, slots=True)
class _Axis:
    """The atoms of one attribute: each a value that stands for all that no condition can tell from it."""

    atoms: tuple[AttributeValue | Unknown, ...]

    @property
    def all(self) -> int:
        return (1 << len(self.atoms)) - 1

    @classmethod
    def of(cls, row: ActionType, name: str, rules: Iterable[Rule]) -> _Axis:
        declared = {**row.fields, **row.facts}.get(name) or Field(row.derived[name], positive=False)
        conditions = [condition for rule in rules for condition in rule.conditions if condition.attribute == name]
        values: list[AttributeValue | Unknown]
        if declared.kind in _NUMERIC:
            values = [*_numbers(conditions, whole=declared.kind is Kind.INTEGER, positive=declared.positive)]
        elif declared.kind is Kind.BOOLEAN:
            values = [True, False]
        else:
            named = sorted({str(choice) for condition in conditions for choice in condition.choices})
            closed = declared.kind is Kind.CHOICE and declared.choices
            values = [*sorted(declared.choices)] if closed else [*named, _other(named)]
        if name in row.facts or name in row.derived or not declared.required:
            values.append(UNKNOWN)
        return cls(tuple(values))

    def mask(self, condition: Condition) -> int:
        return sum(
            1 << number for number, atom in enumerate(self.atoms) if condition.holds({condition.attribute: atom})
        )

    def sample(self, mask: int) -> AttributeValue | Unknown:
        """A value of the set: one that can be written down where there is one."""
        return next(atom for number, atom in enumerate(self.atoms) if mask >> number & 1)


def _numbers(conditions: Iterable[Condition], *, whole: bool, positive: bool) -> list[Number]:
    """Every number that is named, and one of each gap beside and between them, in ascending order."""
    named = {
        Decimal(cast(Number, bound))
        for condition in conditions
        for bound in (*condition.choices, condition.above, condition.below)
        if bound is not None
    }
    points = sorted(point for point in named if point >= 0 or not positive)
    found: list[Decimal] = []
    # Decimal arithmetic rounds to the digits of its context, which could move a value over a threshold.
    with localcontext(prec=64 + max([len(point.as_tuple().digits) + abs(_exponent(point)) for point in points] or [0])):
        if not positive and points:
            found.append(points[0].to_integral_value(ROUND_FLOOR) - 1)
        elif not points or points[0] > 0:
            found.append(Decimal(0))
        for point, following in zip_longest(points, points[1:]):
            if not whole or point == point.to_integral_value():
                found.append(point)
            found += _between(point, following, whole=whole)
    return [int(number) if number == number.to_integral_value() else number for number in found]


def _between(low: Decimal, high: Decimal | None, *, whole: bool) -> list[Decimal]:
    """A number above `low` and below `high`, if there is one."""
    upper = low.to_integral_value(ROUND_FLOOR) + 1
    if high is None or upper < high:
        return [upper]
    return [] if whole else [low + Decimal(1).scaleb(min(_exponent(low), _exponent(high)) - 1)]


def _exponent(number: Decimal) -> int:
    return min(cast(int, number.as_tuple().exponent), 0)


def _other(named: Sequence[str]) -> str:
    """A word that no condition names."""
    word = "ANY"
    while word in named:
        word += "X"
    return word


def _shown(value: AttributeValue | Unknown) -> str:
    return "unknown" if value is UNKNOWN else str(value).lower() if isinstance(value, bool) else str(value)
