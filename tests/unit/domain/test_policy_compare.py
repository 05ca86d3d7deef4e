"""A policy that demands less anywhere is found, with an example; one that does not is let pass (semantics 9)."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal
from typing import Any

import pytest

from leverlock.domain.action import UNKNOWN
from leverlock.domain.actions import ACTIONS
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.policy import Condition, Policy, Rule
from leverlock.domain.policy_compare import environments_of, weakenings
from leverlock.domain.requirement import Backup, ProofKind, Requirement, join_all

from . import shipped

ACTION = "futures.order.place"
ROW = ACTIONS[ACTION]
TOTP = Requirement.of("totp")
TINY = Decimal("0.10000000000000000000000000000000000001")

# What conditions name, and what requests hold: the same numbers, and those beside and between them.
NAMED: dict[str, list[Any]] = {
    "leverage": [0, 1, 50, 51, 125],
    "price": [Decimal(0), Decimal("0.1"), TINY, 50],
    "symbol": ["BTCUSDT", "ETHUSDT"],
    "side": ["BUY", "SELL"],
    "reduces_risk": [True, False],
}
HELD: dict[str, list[Any]] = {
    "leverage": [0, 1, 2, 49, 50, 51, 52, 124, 125, 126, 10**17, UNKNOWN],
    "price": [Decimal(0), Decimal("0.05"), Decimal("0.1"), TINY, Decimal("0.2"), 49, 50, 51, UNKNOWN],
    "symbol": ["BTCUSDT", "ETHUSDT", "这是测试币456"],
    "side": ["BUY", "SELL"],
    "reduces_risk": [True, False, UNKNOWN],
}
REQUIREMENTS = [
    Requirement(frozenset(proofs), backups)
    for count in (1, 2)
    for proofs in itertools.combinations([ProofKind.TOTP, ProofKind.PASSWORD, ProofKind.WALLET], count)
    for backups in (frozenset(), frozenset({Backup.SMS}))
]


def policy(*rules: Rule, **settings: Any) -> Policy:
    return Policy("p", "v", rules, **settings)


def rule(requirement: Requirement = TOTP, name: str = "r", **conditions: Condition) -> Rule:
    return Rule(name, ACTION, requirement, tuple(conditions.values()))


def above(number: int) -> Condition:
    return Condition("leverage", above=number)


def random_rules(dice: random.Random) -> list[Rule]:
    made = []
    for number in range(dice.randrange(6)):
        conditions = []
        for name in dice.sample(sorted(NAMED), dice.randrange(4)):
            pool = NAMED[name]
            form = dice.choice(["choices", "above", "below", "both"]) if name in ("leverage", "price") else "choices"
            if form == "choices":
                conditions.append(Condition(name, choices=frozenset(dice.choices(pool, k=dice.randrange(1, 3)))))
            else:
                low, high = dice.choice(pool), dice.choice(pool)
                conditions.append(
                    Condition(
                        name,
                        above=low if form in ("above", "both") else None,
                        below=high if form in ("below", "both") else None,
                    )
                )
        made.append(Rule(f"rule {number}", ACTION, dice.choice(REQUIREMENTS), tuple(conditions)))
    return made


def demanded(rules: list[Rule], held: dict[str, Any]) -> Requirement | None:
    """The specification, read aloud: all rules that match, joined."""
    return join_all([each.requirement for each in rules if all(c.holds(held) for c in each.conditions)])


def asks_less(before: list[Rule], after: list[Rule], held: dict[str, Any]) -> bool:
    wanted, given = demanded(before, held), demanded(after, held)
    return wanted is not None and (given is None or not given.covers(wanted))


EVERYTHING = [dict(zip(HELD, values, strict=True)) for values in itertools.product(*HELD.values())]


@pytest.mark.parametrize("seed", range(250))
def test_it_says_what_looking_at_every_action_says(seed: int) -> None:
    dice = random.Random(seed)
    before = random_rules(dice)
    # Half of the pairs are near each other: a change of one rule is what people make.
    after = random_rules(dice) if dice.random() < 0.4 else [*before]
    if after and dice.random() < 0.7:
        after[dice.randrange(len(after))] = dice.choice([*random_rules(dice), rule(above=above(50))])
    if dice.random() < 0.3:
        after += random_rules(dice)
    found = weakenings(policy(*before), policy(*after))
    assert bool(found) == any(asks_less(before, after, held) for held in EVERYTHING)
    for weakening in found:
        assert asks_less(before, after, dict(weakening.example)), str(weakening)


def test_a_threshold_that_is_lowered_demands_more_and_one_that_is_raised_less() -> None:
    at_50, at_40, at_60 = (policy(rule(above=above(n))) for n in (50, 40, 60))
    assert not weakenings(at_50, at_40)
    [found] = weakenings(at_50, at_60)
    assert found.action == ACTION
    assert 50 < found.example["leverage"] <= 60  # type: ignore[operator]
    assert "totp is no longer required" in str(found)
    assert environments_of([found]) == {Environment.FUTURES}


def test_rules_that_cover_one_together_are_as_strict_as_it() -> None:
    whole = policy(rule())
    halves = [rule(name="low", below=Condition("leverage", below=51)), rule(name="high", above=above(50))]
    assert not weakenings(whole, policy(*halves))
    gap = [rule(name="low", below=Condition("leverage", below=50)), rule(name="high", above=above(50))]
    [found] = weakenings(whole, policy(*gap))
    assert found.example["leverage"] == 50
    sides = [rule(name=side, side=Condition("side", choices=frozenset({side}))) for side in ("BUY", "SELL")]
    assert not weakenings(whole, policy(*sides))
    assert weakenings(whole, policy(sides[0]))


def test_thresholds_that_differ_in_the_last_digit_are_told_apart() -> None:
    near = Decimal(str(TINY)[:-1] + "2")
    before = policy(rule(price=Condition("price", above=TINY)))
    after = policy(rule(price=Condition("price", above=near)))
    [found] = weakenings(before, after)
    assert TINY < found.example["price"] <= near  # type: ignore[operator]
    assert not weakenings(after, before)


def test_a_backup_that_is_admitted_is_less_and_one_that_is_taken_away_more() -> None:
    strict, lenient = policy(rule()), policy(rule(Requirement.of("totp", backups=["sms"])))
    [found] = weakenings(strict, lenient)
    assert "sms may stand in" in str(found)
    assert not weakenings(lenient, strict)


def test_a_floor_holds_whatever_the_file_says() -> None:
    ruled = policy(Rule("out", "futures.withdraw", Requirement.of("wallet", "movement")))
    assert not weakenings(ruled, policy())
    more = policy(Rule("out", "futures.withdraw", Requirement.of("wallet", "movement", "password")))
    assert [each.what for each in weakenings(more, policy())] == ["password is no longer required"]


def test_leaving_an_action_open_is_less() -> None:
    open_ = policy(unsafe_allow=frozenset({ACTION}))
    assert weakenings(policy(rule(above=above(50))), open_)
    assert not weakenings(open_, policy(rule()))


def test_no_longer_requiring_enrolment_is_less_everywhere() -> None:
    [found] = weakenings(policy(require_enrolment=True), policy())
    assert found.environments == frozenset(MARKETS)
    assert not weakenings(policy(), policy(require_enrolment=True))


def test_what_is_too_tangled_counts_as_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leverlock.domain.policy_compare.MOST_STEPS", 2)
    rules = [rule(name=str(n), above=above(n), side=Condition("side", choices=frozenset({"BUY"}))) for n in range(9)]
    found = weakenings(policy(*rules), policy(*reversed(rules)))
    assert any(each.what == "too tangled to be compared" for each in found)


def test_the_shipped_policies_are_ordered() -> None:
    literal, trader = (shipped.policy(name) for name in shipped.NAMES)
    assert not weakenings(literal, literal)
    assert not weakenings(trader, literal)
    assert {found.action for found in weakenings(literal, trader)} == {ACTION, "futures.conditional_order.place"}
