"""Policy: rules as data, and the decision they make about an action (semantics 9 and 11).

All rules that match are joined and the strictest wins, so order does not matter and a further rule can only add.
A fact that is unknown makes its condition true. A gated action without any rule is refused when the policy is
loaded (`policy_file.py`), so here the absence of a rule means a free action or one that is open on purpose.

Rules are compiled once, when the policy is loaded, into one bucket per action (`policy_index.py`). A decision therefore
costs the same for ten rules and for a thousand; rules of other actions cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from leverlock.domain.action import Action, ActionType, Attributes
from leverlock.domain.environment import Environment
from leverlock.domain.policy_index import Bucket, Condition, Number, Rule, compile_rules
from leverlock.domain.requirement import ProofKind, Requirement, join_all

__all__ = [
    "Condition",
    "Decision",
    "Number",
    "Outcome",
    "Policy",
    "Rule",
    "Standing",
    "Why",
    "decide",
    "must_have_rule",
]


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
    buckets: Mapping[str, Bucket] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        grouped: dict[str, list[Rule]] = {}
        for rule in self.rules:
            grouped.setdefault(rule.action, []).append(rule)
        object.__setattr__(self, "buckets", {name: compile_rules(rules) for name, rules in grouped.items()})

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
_KEY_ALONE: Final = Requirement.of(ProofKind.SECURITY_KEY)


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
    if not standing.usable_factor and requirement.needs_factor:
        return _NO_USABLE_FACTOR
    return Decision(Outcome.CHALLENGE, Why.RULE_MATCHED, requirement)


def _unprotected(policy: Policy, action: Action, requirement: Requirement) -> Decision:
    """Protection was never switched on: no code can be asked for, but what needs the password, or a security key,
    needs it all the same."""
    if policy.require_enrolment and action.type.environment is not Environment.LOGIN:
        return _ENROLMENT_REQUIRED
    for alone in (_PASSWORD_ALONE, _KEY_ALONE):
        if alone.proofs <= requirement.proofs:
            return Decision(Outcome.CHALLENGE, Why.NOT_ENABLED, alone)
    return _NOT_ENABLED


def must_have_rule(action_type: ActionType) -> bool:
    """Whether a policy has to speak about this type: bundles are judged by their legs, and a floor is a rule."""
    return action_type.gated and action_type.legs is None and action_type.floor is None
