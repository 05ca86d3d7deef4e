"""Actions: typed requests to do something, each with declared fields, facts and attributes.

`actions.py` holds the table of them all. An action's canonical form is what a challenge is bound to: account,
principal, target and every bound field, as RFC 8785 JSON of strings, version 1; its SHA-256 is the digest that
decides whether two requests mean the same (B41, B42).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from leverlock.domain.canonical import canonical_json
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.hold import HoldScope
from leverlock.domain.requirement import Backup, Requirement
from leverlock.domain.values import Field, Kind, ValueRefused

FORM_VERSION = "1"
MAX_LEGS = 5

AttributeValue = str | int | bool | Decimal


class Unknown:
    """The value of a fact that the venue did not tell, or told too long ago. Makes every condition true."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()

Attributes = Mapping[str, AttributeValue | Unknown]
Facts = Mapping[str, str]
Derive = Callable[[Mapping[str, str], Facts], dict[str, AttributeValue | Unknown]]


def _derive_nothing(_fields: Mapping[str, str], _facts: Facts) -> dict[str, AttributeValue | Unknown]:
    return {}


@dataclass(frozen=True)
class ActionType:
    """One row of the action table.

    `gated`: a policy must have a rule for it. `facts`: what the venue tells about it, re-read at execution.
    `derived`: further attributes that `derive` computes from fields and facts. `groupable`: one TOTP code may approve
    several of them together (semantics 12). `legacy_exempt`: not challenged for legacy keys (semantics 6). `floor`:
    proofs that no policy can lower. `legs`: the type of the parts of a bundle, which is judged by its riskiest (B69).
    `held_by`: the hold that refuses it for a day after a recovery or a change of factors. `backups`: what a policy may
    let stand in for the code, and nothing beyond it (B20).
    """

    name: str
    environment: Environment
    gated: bool
    title: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    facts: Mapping[str, Field] = field(default_factory=dict)
    derived: Mapping[str, Kind] = field(default_factory=dict)
    derive: Derive = _derive_nothing
    groupable: bool = False
    legacy_exempt: bool = False
    floor: Requirement | None = None
    legs: ActionType | None = None
    held_by: HoldScope | None = None
    backups: frozenset[Backup] = frozenset()

    @property
    def attributes(self) -> dict[str, Kind]:
        """What a rule may speak about, by name."""
        declared = {**self.fields, **self.facts}
        return {name: f.kind for name, f in declared.items()} | dict(self.derived)


@dataclass(frozen=True)
class Action:
    """A parsed request: canonical field values only, or the legs of a bundle. Built by `parse` and `bundle`."""

    type: ActionType
    fields: Mapping[str, str]
    facts: Facts = field(default_factory=dict)
    legs: tuple[Action, ...] = ()

    @property
    def attributes(self) -> Attributes:
        """Every declared attribute that has a value; facts not given are UNKNOWN."""
        return self.attributes_of((*self.fields, *self.type.facts, *self.type.derived))

    def attributes_of(self, names: Iterable[str]) -> Attributes:
        """Those of `names` alone: a decision reads two or three of a dozen, and typing them all costs more than it."""
        row = self.type
        values: dict[str, AttributeValue | Unknown] = {}
        derived = False
        for name in names:
            if name in row.derived:
                derived = True
            elif name in row.facts:
                values[name] = typed(row.facts[name].kind, self.facts[name]) if name in self.facts else UNKNOWN
            elif name in self.fields:
                values[name] = typed(row.fields[name].kind, self.fields[name])
        if derived:
            values.update(row.derive(self.fields, self.facts))
        return values

    @property
    def parts(self) -> tuple[Action, ...]:
        """What the policy judges: the legs of a bundle, or the action itself."""
        return self.legs or (self,)

    @property
    def reduces_risk(self) -> bool:
        """Whether every part can only make the position smaller, as far as the action itself tells."""
        return all(part.attributes_of(("reduces_risk",)).get("reduces_risk") is True for part in self.parts)

    @property
    def facts_known(self) -> bool:
        """Whether the venue told every declared fact of every part."""
        return all(name in part.facts for part in self.parts for name in part.type.facts)

    def bound(self) -> dict[str, Any]:
        """What the owner approves: the action's name with its bound fields, or with those of each leg in order."""
        if self.legs:
            return {"action": self.type.name, "legs": [leg.bound() for leg in self.legs]}
        kept = {name: text for name, text in self.fields.items() if self.type.fields[name].bound}
        return {"action": self.type.name, "fields": kept}

    def bound_facts(self) -> bytes:
        """The facts under which it was judged, canonical; any change of them voids an approval (B51)."""
        return canonical_json([dict(part.facts) for part in self.parts])


def typed(kind: Kind, text: str) -> AttributeValue:
    """A canonical text as the value that conditions compare."""
    if kind is Kind.BOOLEAN:
        return text == "true"
    if kind is Kind.INTEGER:
        return int(text)
    if kind is Kind.DECIMAL:
        return Decimal(text)
    return text


def parse(action_type: ActionType, fields: Mapping[str, str], facts: Mapping[str, str] | None = None) -> Action:
    """The action that `fields` mean. Raises Refused(MALFORMED) naming the unknown, missing or wrong field (B43)."""
    if action_type.legs is not None:
        raise Refused(Reason.MALFORMED, f"{action_type.name} takes legs", field="legs")
    canonical = _canonical(action_type.fields, fields)
    return Action(action_type, canonical, _canonical(action_type.facts, facts or {}))


def bundle(action_type: ActionType, legs: tuple[Action, ...]) -> Action:
    """Several actions asked for in one call. Raises Refused when it is empty, too long or of mixed types."""
    if action_type.legs is None or any(leg.type is not action_type.legs for leg in legs):
        raise Refused(Reason.MALFORMED, f"{action_type.name} does not take these legs", field="legs")
    if not 1 <= len(legs) <= MAX_LEGS:
        raise Refused(Reason.MALFORMED, f"expected 1 to {MAX_LEGS} legs", field="legs")
    return Action(action_type, {}, legs=legs)


def _canonical(declared: Mapping[str, Field], given: Mapping[str, str]) -> dict[str, str]:
    canonical: dict[str, str] = {}
    for name, value in given.items():
        spec = declared.get(name)
        if spec is None:
            raise Refused(Reason.MALFORMED, f"unknown field {name[:64]!r}", field=name[:64])
        try:
            canonical[name] = spec.canonical(value)
        except ValueRefused as problem:
            raise Refused(Reason.MALFORMED, f"{name}: {problem}", field=name) from None
    for name, spec in declared.items():
        if spec.required and name not in canonical:
            raise Refused(Reason.MALFORMED, f"missing field {name!r}", field=name)
    return canonical


@dataclass(frozen=True, slots=True)
class Intent:
    """One action, wanted by one principal of one account at one target, in canonical form.

    `principal` is the asker (`key:…`, `session:…`, `integrator:…`), `target` the upstream account at the venue.
    """

    account_id: str
    principal: str
    target: str
    action: Action

    def canonical(self) -> bytes:
        """Stored form, version 1, with exact bytes pinned in the tests."""
        return canonical_json(
            {
                "version": FORM_VERSION,
                "account": self.account_id,
                "environment": self.action.type.environment.value,
                "principal": self.principal,
                "target": self.target,
                **self.action.bound(),
            }
        )


def digest_of(canonical: bytes) -> bytes:
    """SHA-256 of a canonical form: equal exactly when the meaning is equal."""
    return hashlib.sha256(canonical).digest()
