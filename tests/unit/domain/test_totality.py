"""A model check without a solver: every action, every class of risk and every standing decides, and never too little.

The classes are exhaustive for the shipped policies: their conditions read the venue's leverage, what the order does to
a position and whether the account is exposed; each class holds a value on either side of every threshold, and unknown.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from leverlock.domain.action import Action, ActionType, bundle, parse
from leverlock.domain.actions import ACTIONS
from leverlock.domain.environment import Environment
from leverlock.domain.policy import Decision, Outcome, Policy, Standing, Why, decide
from leverlock.domain.policy_file import load_policy
from leverlock.domain.requirement import ProofKind
from leverlock.domain.values import Field, Kind

from .samples import values
from .shipped import NAMES, SOURCES, policy

STANDINGS = [Standing(*flags) for flags in itertools.product((False, True), repeat=3)]
POLICIES: list[Policy] = [policy(name) for name in NAMES]
STRICT = "require_enrolment = true\n"
LEVERAGES = ["1", "49", "50", "51", "125", None]
# Fields that rules may read beside the facts; of the others one value each is enough.
RISKY_FIELDS = {"side", "position_side", "reduce_only", "close_position", "leverage", "margin_mode", "scope"}


def classes(name: str, field: Field) -> list[str | None]:
    """The values of a field or fact that could be judged differently; None: not given."""
    if field.kind is Kind.INTEGER and "leverage" in name:
        known: list[str | None] = list(LEVERAGES)
    elif name in RISKY_FIELDS or field.kind is Kind.BOOLEAN:
        known = [*values(field), None]
    else:
        known = [values(field)[0]]
    return [value for value in known if value is not None or not field.required]


def product(declared: dict[str, Field]) -> Iterator[dict[str, str]]:
    names = list(declared)
    for chosen in itertools.product(*(classes(name, declared[name]) for name in names)):
        yield {name: value for name, value in zip(names, chosen, strict=True) if value is not None}


def actions_of(row: ActionType) -> list[Action]:
    """Every class of a simple action; for a bundle every pair of a sample of its legs, and each leg alone."""
    if row.legs is None:
        facts = [dict(known) for known in product(dict(row.facts))]
        return [parse(row, fields, known) for fields in product(dict(row.fields)) for known in facts]
    legs = actions_of(row.legs)
    sample = legs[:: max(1, len(legs) // 40)]
    return [bundle(row, legs) for legs in [*((leg,) for leg in legs), *itertools.product(sample, repeat=2)]]


UNIVERSE = {row.name: actions_of(row) for row in ACTIONS.values()}


def test_the_universe_is_not_empty() -> None:
    assert sum(map(len, UNIVERSE.values())) > 5_000
    assert all(UNIVERSE.values())


def decisions(rules: Policy, standing: Standing, name: str) -> Iterator[tuple[Action, Decision]]:
    return ((action, decide(rules, action, standing)) for action in UNIVERSE[name])


NEEDED_ALL_THE_SAME = {ProofKind.PASSWORD, ProofKind.SECURITY_KEY}

each_action = pytest.mark.parametrize("name", sorted(UNIVERSE))
each_policy = pytest.mark.parametrize("rules", POLICIES, ids=lambda rules: rules.name)


@each_policy
@each_action
def test_everything_decides_and_nothing_below_its_floor(rules: Policy, name: str) -> None:
    """An allow is one of five that semantics 6, 9 and 11 name; a challenge asks at least for the floor."""
    row = ACTIONS[name]
    for standing in STANDINGS:
        for action, decision in decisions(rules, standing, name):
            if decision.outcome is Outcome.CHALLENGE:
                assert decision.requirement is not None
                assert decision.requirement.proofs
                if not standing.protected:
                    # Without protection no code can be asked for; what needs the password, or a security key, needs
                    # it all the same.
                    [alone] = decision.requirement.proofs
                    assert alone in NEEDED_ALL_THE_SAME & rules.requirement(action).proofs
                    continue
                assert row.floor is None or decision.requirement.covers(row.floor)
                assert standing.usable_factor or decision.requirement.proofs == {ProofKind.SECURITY_KEY}
            elif decision.outcome is Outcome.ALLOW:
                floored = row.floor is not None
                assert not floored or (decision.why is Why.NOT_ENABLED and not NEEDED_ALL_THE_SAME & row.floor.proofs)
                assert decision.requirement is None
                allowed_by = {
                    Why.FREE: not row.gated,
                    Why.NO_RULE_MATCHED: rules.requirement(action) is None,
                    Why.NOT_ENABLED: not standing.protected and not rules.require_enrolment,
                    Why.LEGACY_KEY: standing.legacy_key and row.legacy_exempt,
                }
                assert allowed_by[decision.why]


@each_policy
@each_action
def test_nobody_with_a_working_factor_is_shut_out(rules: Policy, name: str) -> None:
    """I14: protected and able to answer, every action is allowed or asked about, with proofs of kinds that exist."""
    for legacy in (False, True):
        for _, decision in decisions(rules, Standing(True, True, legacy), name):
            assert decision.outcome is not Outcome.REFUSE
            assert decision.requirement is None or decision.requirement.proofs <= set(ProofKind)


@each_policy
@each_action
def test_where_enrolment_is_required_nothing_demanding_passes_without(rules: Policy, name: str) -> None:
    strict = load_policy(STRICT + SOURCES[rules.name])
    for standing in STANDINGS:
        for action, decision in decisions(strict, standing, name):
            demanded = strict.requirement(action) is not None
            if demanded and not standing.protected and action.type.environment is not Environment.LOGIN:
                assert (decision.outcome, decision.why) == (Outcome.REFUSE, Why.ENROLMENT_REQUIRED)
                assert decision.why is not Why.NOT_ENABLED
            assert decision.why is not Why.NOT_ENABLED or decision.outcome is Outcome.CHALLENGE


@each_policy
@pytest.mark.parametrize("name", sorted(row.name for row in ACTIONS.values() if row.legs is None))
def test_more_risk_never_takes_a_proof_away(rules: Policy, name: str) -> None:
    """I17: each fact raised, or turned unknown, demands at least what was demanded before.

    What is *current* is neither more nor less risk: it tells whether there is a switch.
    """
    row = ACTIONS[name]
    order = {level: rank for rank, level in enumerate(LEVERAGES)}
    for action in UNIVERSE[name]:
        before = rules.requirement(action)
        for fact, spec in row.facts.items():
            worse: list[str | None] = [None]
            if fact == "leverage":
                worse = [level for level in LEVERAGES if order[level] > order[action.facts.get(fact)]]
            elif spec.kind is Kind.BOOLEAN and action.facts.get(fact) == "false" and not fact.startswith("current_"):
                worse = ["true", None]
            for value in worse:
                facts = {key: known for key, known in action.facts.items() if key != fact}
                after = rules.requirement(Action(row, action.fields, facts | ({} if value is None else {fact: value})))
                assert before is None or (after is not None and after.covers(before))


@each_policy
@pytest.mark.bar("B69")
@pytest.mark.parametrize("name", sorted(row.name for row in ACTIONS.values() if row.legs is not None))
def test_a_bundle_demands_what_its_legs_demand_and_nothing_less(rules: Policy, name: str) -> None:
    for action in UNIVERSE[name]:
        together = rules.requirement(action)
        alone = [demand for leg in action.legs if (demand := rules.requirement(leg)) is not None]
        assert (together is None) is (not alone)
        if together is not None:
            assert together.proofs == frozenset().union(*(demand.proofs for demand in alone))


@each_policy
def test_cancels_always_pass(rules: Policy) -> None:
    """I15."""
    for standing in STANDINGS:
        for _, decision in decisions(rules, standing, "futures.order.cancel"):
            assert (decision.outcome, decision.why) == (Outcome.ALLOW, Why.FREE)


def test_trader_is_never_stricter_than_literal() -> None:
    literal, trader = POLICIES
    for name, universe in UNIVERSE.items():
        for action in universe:
            lax, strict = trader.requirement(action), literal.requirement(action)
            assert lax is None or (strict is not None and strict.covers(lax)), name


def test_the_environment_is_the_table_s_and_never_the_caller_s() -> None:
    """No field or fact of any action names an environment: the type alone decides whose factor answers (B9)."""
    for row in ACTIONS.values():
        assert isinstance(row.environment, Environment)
        assert row.legs is None or row.legs.environment is row.environment
        assert not {"environment", "env"} & (set(row.fields) | set(row.facts))


def test_what_has_a_floor_is_gated_and_exempt_for_nobody() -> None:
    for row in ACTIONS.values():
        if row.floor is not None:
            assert row.gated
            assert row.floor.proofs
            assert not row.legacy_exempt
            assert not row.groupable
        assert row.legs is None or row.legs.floor is None, "a floor of a leg would not be seen by `requirement`"
        assert row.legs is None or (row.legs.legacy_exempt, row.legs.groupable) == (row.legacy_exempt, row.groupable)
