"""Policy: rules as data, and the decision they make about an action (semantics 9 and 11).

All rules that match are joined and the strictest wins, so order does not matter and a further rule can only add.
A fact that is unknown makes its condition true. A gated action without any rule is refused when the policy is
loaded (`policy_file.py`), so here the absence of a rule means a free action or one that is open on purpose.

Rules are compiled once, when the policy is loaded, into one bucket per action: equality conditions become a
dictionary look-up and thresholds a sorted ladder with the joined requirement at every rung. A decision therefore
costs the same for ten rules and for a thousand; rules of other actions cost nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import product
from typing import Final, cast

from leverlock.domain.action import UNKNOWN, Action, ActionType, Attributes, AttributeValue
from leverlock.domain.environment import Environment
from leverlock.domain.requirement import ProofKind, Requirement, join_all

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
        value = cast(Number, attributes[self.attribute])
        # `above` is strict: a value equal to the threshold does not pass it (M15: 50x passes, 51x does not).
        passed = bisect_left(self.rungs, _negated(value) if self.downward else value)
        return self.demands[passed - 1] if passed else None


@dataclass(slots=True)
class _Cell:
    """What holds once the equality conditions of a group are met."""

    always: Requirement | None = None
    ladders: list[_Ladder] = field(default_factory=list)
    others: list[Rule] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Bucket:
    """All rules of one action, grouped by the attributes that their equality conditions read.

    `reads` names every attribute that a condition of any of them speaks about.
    """

    rules: tuple[Rule, ...]
    reads: tuple[str, ...]
    groups: tuple[tuple[tuple[str, ...], dict[tuple[AttributeValue, ...], _Cell]], ...]

    def demand(self, attributes: Attributes) -> Requirement | None:
        try:
            return self._indexed(attributes)
        except (KeyError, TypeError):
            # An attribute is absent or UNKNOWN: look at every rule, with the unknown counted as true.
            return join_all([rule.requirement for rule in self.rules if rule.matches(attributes)])

    def _indexed(self, attributes: Attributes) -> Requirement | None:
        demanded: Requirement | None = None
        for names, cells in self.groups:
            key = tuple([attributes[name] for name in names])
            if UNKNOWN in key:
                raise KeyError(names)
            cell = cells.get(cast("tuple[AttributeValue, ...]", key))
            if cell is None:
                continue
            if cell.always is not None:
                demanded = cell.always if demanded is None else demanded.join(cell.always)
            for ladder in cell.ladders:
                rung = ladder.demand(attributes)
                if rung is not None:
                    demanded = rung if demanded is None else demanded.join(rung)
            for rule in cell.others:
                if rule.matches(attributes):
                    demanded = rule.requirement if demanded is None else demanded.join(rule.requirement)
        return demanded


@dataclass(frozen=True)
class Policy:
    """A loaded policy: its rules, its settings, and the index compiled from them.

    `version` is the first half of the SHA-256 of the file's text: nodes and transactions compare it.
    """

    name: str
    version: str
    rules: tuple[Rule, ...]
    require_enrolment: bool = False
    unsafe_allow: frozenset[str] = frozenset()
    text: str = ""
    buckets: Mapping[str, _Bucket] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        grouped: dict[str, list[Rule]] = {}
        for rule in self.rules:
            grouped.setdefault(rule.action, []).append(rule)
        object.__setattr__(self, "buckets", {name: _compile(rules) for name, rules in grouped.items()})

    def demand(self, action_name: str, attributes: Attributes) -> Requirement | None:
        """The joined requirement of all matching rules of one action, None where none matches."""
        bucket = self.buckets.get(action_name)
        return None if bucket is None else bucket.demand(attributes)

    def _demand_of(self, part: Action) -> Requirement | None:
        bucket = self.buckets.get(part.type.name)
        return None if bucket is None else bucket.demand(part.attributes_of(bucket.reads))

    def requirement(self, action: Action) -> Requirement | None:
        """What `action` demands: for a bundle that of all its legs together, and never below the type's floor."""
        demands = [self._demand_of(part) for part in action.parts]
        demanded = [demand for demand in demands if demand is not None]
        if action.type.floor is not None:
            demanded.append(action.type.floor)
        return join_all(demanded)

    def matching(self, action: Action) -> list[str]:
        """The names of the rules that match, for the audit trail and for people."""
        return sorted(
            {
                rule.name
                for part in action.parts
                if (bucket := self.buckets.get(part.type.name)) is not None
                for rule in bucket.rules
                if rule.matches(part.attributes)
            }
        )


class Outcome(StrEnum):
    """What a decision comes to."""

    ALLOW = "allow"
    CHALLENGE = "challenge"
    REFUSE = "refuse"


class Why(StrEnum):
    """Why a decision came out as it did: the word of the metric, of the audit trail and of the API."""

    FREE = "free"
    NO_RULE_MATCHED = "no_rule_matched"
    UNSAFE_ALLOW = "unsafe_allow"
    NOT_ENABLED = "not_enabled"
    LEGACY_KEY = "legacy_key"
    RULE_MATCHED = "rule_matched"
    ENROLMENT_REQUIRED = "enrolment_required"
    NO_USABLE_FACTOR = "no_usable_factor"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of the asking account in the action's environment.

    `protected`: protection was switched on and never off again. `usable_factor`: an authenticator can answer.
    `legacy_key`: the asking key is older than the account's Futures protection and was not edited since (M21).
    """

    protected: bool = False
    usable_factor: bool = False
    legacy_key: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow, challenge with this requirement, or refuse; and why."""

    outcome: Outcome
    why: Why
    requirement: Requirement | None = None


_FREE: Final = Decision(Outcome.ALLOW, Why.FREE)
_NO_RULE_MATCHED: Final = Decision(Outcome.ALLOW, Why.NO_RULE_MATCHED)
_UNSAFE_ALLOW: Final = Decision(Outcome.ALLOW, Why.UNSAFE_ALLOW)
_NOT_ENABLED: Final = Decision(Outcome.ALLOW, Why.NOT_ENABLED)
_LEGACY_KEY: Final = Decision(Outcome.ALLOW, Why.LEGACY_KEY)
_ENROLMENT_REQUIRED: Final = Decision(Outcome.REFUSE, Why.ENROLMENT_REQUIRED)
_NO_USABLE_FACTOR: Final = Decision(Outcome.REFUSE, Why.NO_USABLE_FACTOR)
_PASSWORD_ALONE: Final = Requirement.of(ProofKind.PASSWORD)


def decide(policy: Policy, action: Action, standing: Standing) -> Decision:
    """The decision of semantics 9 and 11, from top to bottom."""
    requirement = policy.requirement(action)
    if requirement is None:
        if any(part.type.name in policy.unsafe_allow for part in action.parts):
            return _UNSAFE_ALLOW
        return _NO_RULE_MATCHED if action.type.gated else _FREE
    if not standing.protected:
        return _unprotected(policy, action, requirement)
    if standing.legacy_key and action.type.legacy_exempt:
        return _LEGACY_KEY
    if not standing.usable_factor:
        return _NO_USABLE_FACTOR
    return Decision(Outcome.CHALLENGE, Why.RULE_MATCHED, requirement)


def _unprotected(policy: Policy, action: Action, requirement: Requirement) -> Decision:
    """Protection was never switched on: no code can be asked for, but what needs the password needs it all the same."""
    if policy.require_enrolment and action.type.environment is not Environment.LOGIN:
        return _ENROLMENT_REQUIRED
    if ProofKind.PASSWORD in requirement.proofs:
        return Decision(Outcome.CHALLENGE, Why.NOT_ENABLED, _PASSWORD_ALONE)
    return _NOT_ENABLED


def must_have_rule(action_type: ActionType) -> bool:
    """Whether a policy has to speak about this type: bundles are judged by their legs, and a floor is a rule."""
    return action_type.gated and action_type.legs is None and action_type.floor is None


def _compile(rules: list[Rule]) -> _Bucket:
    groups: dict[tuple[str, ...], dict[tuple[AttributeValue, ...], list[tuple[Rule, tuple[Condition, ...]]]]] = {}
    for rule in rules:
        equalities = sorted((c for c in rule.conditions if c.choices), key=lambda c: c.attribute)
        bounds = tuple(c for c in rule.conditions if not c.choices)
        cells = groups.setdefault(tuple(c.attribute for c in equalities), {})
        for key in product(*(sorted(c.choices, key=repr) for c in equalities)):
            cells.setdefault(key, []).append((rule, bounds))
    return _Bucket(
        tuple(rules),
        tuple(sorted({condition.attribute for rule in rules for condition in rule.conditions})),
        tuple((names, {key: _cell(members) for key, members in cells.items()}) for names, cells in groups.items()),
    )


def _cell(members: list[tuple[Rule, tuple[Condition, ...]]]) -> _Cell:
    cell = _Cell(always=join_all([rule.requirement for rule, bounds in members if not bounds]))
    rungs: dict[tuple[str, bool], list[tuple[Number, Requirement]]] = {}
    for rule, bounds in members:
        if len(bounds) == 1 and bounds[0].below is None:
            rungs.setdefault((bounds[0].attribute, False), []).append((cast(Number, bounds[0].above), rule.requirement))
        elif len(bounds) == 1 and bounds[0].above is None:
            rungs.setdefault((bounds[0].attribute, True), []).append(
                (_negated(cast(Number, bounds[0].below)), rule.requirement)
            )
        elif bounds:
            cell.others.append(rule)
    for (attribute, downward), steps in rungs.items():
        steps.sort(key=_threshold)
        demands = [steps[0][1]]
        for _, requirement in steps[1:]:
            demands.append(demands[-1].join(requirement))
        cell.ladders.append(_Ladder(attribute, [number for number, _ in steps], demands, downward))
    return cell


def _negated(number: Number) -> Number:
    """Exact: the minus sign of a Decimal rounds to 28 digits, which could lift a value over its threshold."""
    return number.copy_negate() if isinstance(number, Decimal) else -number


def _threshold(step: tuple[Number, Requirement]) -> Number:
    return step[0]
