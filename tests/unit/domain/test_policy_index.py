"""Joining and matching: the compiled index says what a plain reading of all rules says, and adding only adds (I17)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverlock.domain.action import UNKNOWN
from leverlock.domain.policy import Condition, Policy, Rule
from leverlock.domain.requirement import Backup, ProofKind, Requirement, join_all

ALL = [
    Requirement(frozenset(c), backups)
    for n in (1, 2)
    for c in itertools.combinations(ProofKind, n)
    for backups in (frozenset(), frozenset(Backup))
]
TOTP = Requirement.of("totp")
ACTION, OTHER = "futures.order.place", "futures.order.amend"

# Attributes by their kind; values and thresholds come from the same small pools, so that they meet.
POOLS: dict[str, list[Any]] = {
    "leverage": [0, 1, 49, 50, 51, 125],
    "price": [Decimal(0), Decimal("0.1"), Decimal("0.10000000000000000000000000000000000001"), Decimal(50), 50],
    "quantity": [Decimal(1), Decimal("1.5"), 2, Decimal("-3")],
    "symbol": ["BTCUSDT", "ETHUSDT", "这是测试币456"],
    "side": ["BUY", "SELL"],
    "reduces_risk": [True, False],
}
NUMBERS = ["leverage", "price", "quantity"]


Choose = Callable[
    [Sequence[Any]], Any
]  # picks one: of Hypothesis, which shrinks, or of a seeded generator, which is fast


def condition(choose: Choose, attribute: str) -> Condition:
    pool = POOLS[attribute]
    form = choose(["is", "one_of", "above", "below", "both"] if attribute in NUMBERS else ["is", "one_of"])
    if form in ("is", "one_of"):
        return Condition(attribute, choices=frozenset(choose(pool) for _ in range(1 if form == "is" else 3)))
    above, below = choose(pool), choose(pool)
    return Condition(
        attribute,
        above=above if form in ("above", "both") else None,
        below=below if form in ("below", "both") else None,
    )


def rules(choose: Choose, *, least: int = 0) -> list[Rule]:
    made = []
    for number in range(choose(range(least, 13))):
        attributes = {choose(sorted(POOLS)) for _ in range(choose(range(5)))}
        conditions = tuple(condition(choose, attribute) for attribute in sorted(attributes))
        made.append(Rule(f"rule {number}", choose([ACTION, ACTION, ACTION, OTHER]), choose(ALL), conditions))
    return made


def attributes(choose: Choose) -> dict[str, Any]:
    """Every attribute with a value, mostly; some unknown, some absent."""
    drawn = {name: choose([*pool, *pool, UNKNOWN, None]) for name, pool in POOLS.items()}
    return {name: value for name, value in drawn.items() if value is not None}


SEEDED = [random.Random(seed).choice for seed in range(2_000)]


def plainly(made: list[Rule], action: str, known: dict[str, Any]) -> Requirement | None:
    """The specification, read aloud: all proofs of the rules that match, the backups they share; unknown is true."""

    def true_of(c: Condition) -> bool:
        if known.get(c.attribute, UNKNOWN) is UNKNOWN:
            return True
        value = known[c.attribute]
        if c.choices:
            return any(value == choice for choice in c.choices)
        return not (c.above is not None and value <= c.above) and not (c.below is not None and value >= c.below)

    matching = [rule for rule in made if rule.action == action and all(true_of(c) for c in rule.conditions)]
    if not matching:
        return None
    proofs = {kind for rule in matching for kind in rule.requirement.proofs}
    backups = {each for each in Backup if all(each in rule.requirement.backups for rule in matching)}
    return Requirement(frozenset(proofs), frozenset(backups))


def policy(made: list[Rule]) -> Policy:
    return Policy("p", "v", tuple(made))


@given(st.data())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_index_equals_a_plain_reading(data: st.DataObject) -> None:
    """With examples that shrink to the smallest difference."""

    def choose(options: Sequence[Any]) -> Any:
        return data.draw(st.sampled_from(options))

    made, known = rules(choose), attributes(choose)
    assert policy(made).demand(ACTION, known) == plainly(made, ACTION, known)


def test_the_index_equals_a_plain_reading_in_breadth() -> None:
    matched = 0
    for choose in SEEDED:
        made = rules(choose)
        compiled = policy(made)
        for _ in range(10):
            known = attributes(choose)
            for action in (ACTION, OTHER, "no.rules.here"):
                assert compiled.demand(action, known) == plainly(made, action, known)
                matched += plainly(made, action, known) is not None
    assert matched > 5_000


def test_the_index_equals_a_plain_reading_of_many_rules() -> None:
    """Ladders of hundreds of rungs, upwards and downwards, with equalities beside them."""
    chance = random.Random(1000)
    made = []
    for number in range(600):
        attribute = chance.choice(["leverage", "quantity"])
        bound = {chance.choice(["above", "below"]): chance.randrange(200)}
        side = chance.choice([(), (Condition("side", choices=frozenset({chance.choice(["BUY", "SELL"])})),)])
        made.append(Rule(f"r{number}", ACTION, chance.choice(ALL[:2]), (Condition(attribute, **bound), *side)))
    for count in (1, 2, 5, 30, 600):
        some = policy(made[:count])
        for _ in range(300):
            known = {"leverage": chance.randrange(-5, 205), "quantity": chance.randrange(-5, 205), "side": "BUY"}
            known |= chance.choice([{}, {}, {"side": "SELL"}, {"leverage": UNKNOWN}])
            assert some.demand(ACTION, known) == plainly(made[:count], ACTION, known)


@pytest.mark.parametrize("bound", [{"above": Decimal("0.1")}, {"below": Decimal("0.1")}])
def test_a_threshold_is_exact_to_the_last_digit(bound: dict[str, Decimal]) -> None:
    """38 digits: more than Python's decimal context keeps when it negates a number."""
    rule = Rule("r", ACTION, TOTP, (Condition("quantity", **bound),))
    near = [Decimal("0.09999999999999999999999999999999999999"), Decimal("0.10000000000000000000000000000000000001")]
    for value in (*near, Decimal("0.1")):
        passed = value > Decimal("0.1") if "above" in bound else value < Decimal("0.1")
        assert (policy([rule]).demand(ACTION, {"quantity": value}) == TOTP) is passed


def test_a_further_rule_never_takes_a_proof_away() -> None:
    for choose in SEEDED:
        made, more, known = rules(choose), rules(choose, least=1), attributes(choose)
        before, after = policy(made).demand(ACTION, known), policy(made + more).demand(ACTION, known)
        assert before is None or (after is not None and after.covers(before))


def test_the_order_of_the_rules_means_nothing() -> None:
    for seed, choose in enumerate(SEEDED):
        made, known = rules(choose, least=2), attributes(choose)
        shuffled = random.Random(seed).sample(made, len(made))
        assert policy(shuffled).demand(ACTION, known) == policy(made).demand(ACTION, known)


def test_knowing_less_never_demands_less() -> None:
    """A fact that turns unknown, or is not there at all, only makes conditions true."""
    for choose in SEEDED:
        made, known, name = rules(choose, least=1), attributes(choose), choose(sorted(POOLS))
        demanded = policy(made).demand(ACTION, known)
        absent = {key: value for key, value in known.items() if key != name}
        for less in ({**known, name: UNKNOWN}, absent):
            now = policy(made).demand(ACTION, less)
            assert demanded is None or (now is not None and now.covers(demanded))


def test_rules_of_other_actions_are_not_looked_at() -> None:
    others = [Rule(f"r{n}", OTHER, TOTP) for n in range(100)]
    assert policy(others).demand(ACTION, {}) is None
    assert set(policy(others).buckets) == {OTHER}


def test_join_is_a_least_upper_bound() -> None:
    """Commutative, associative, idempotent; the result covers both sides and asks for nothing else."""
    for a, b, c in itertools.product(ALL, repeat=3):
        assert a.join(b) == b.join(a)
        assert a.join(b).join(c) == a.join(b.join(c))
        assert a.join(a) == a
        assert a.join(b).covers(a)
        assert a.join(b).covers(b)
        assert a.join(b).proofs == a.proofs | b.proofs
        assert a.join(b).backups == a.backups & b.backups
        assert Requirement.of_text(a.text()) == a
        assert not c.covers(a.join(b)) or (c.covers(a) and c.covers(b))


def test_nothing_joined_is_nothing_demanded_not_an_empty_demand() -> None:
    assert join_all([]) is None
    assert join_all([TOTP]) == TOTP
    assert Requirement.of("totp", "password").words() == ["password", "totp"]
    with pytest.raises(ValueError, match="sms"):
        Requirement.of("sms")
