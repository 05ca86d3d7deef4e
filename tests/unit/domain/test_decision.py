"""`decide`: the table of semantics 6, 9 and 11, over every standing, requirement and setting."""

from __future__ import annotations

import itertools
from dataclasses import replace

from leverlock.domain.action import ActionType, bundle, parse
from leverlock.domain.environment import Environment
from leverlock.domain.policy import Decision, Outcome, Policy, Rule, Standing, Why, decide
from leverlock.domain.requirement import Requirement
from leverlock.domain.trading_actions import ORDER_PLACE

BOTH = (False, True)
TOTP, PASSWORD = Requirement.of("totp"), Requirement.of("password")
TYPES = {
    (gated, legacy, floor): ActionType(
        name="futures.thing.do",
        environment=Environment.FUTURES,
        gated=gated,
        title="Do a thing",
        legacy_exempt=legacy,
        floor=PASSWORD if floor else None,
    )
    for gated, legacy, floor in itertools.product(BOTH, repeat=3)
}


def policy(*, ruled: bool, require_enrolment: bool = False, unsafe: bool = False) -> Policy:
    rules = (Rule("r", "futures.thing.do", TOTP),) if ruled else ()
    return Policy("p", "v", rules, require_enrolment, frozenset({"futures.thing.do"} if unsafe else ()))


CASES = [
    (gated, legacy_exempt, floor, ruled, unsafe, required, Standing(*flags))
    for gated, legacy_exempt, floor, ruled, unsafe, required in itertools.product(BOTH, repeat=6)
    for flags in itertools.product(BOTH, repeat=3)
]


def decided(gated, legacy_exempt, floor, ruled, unsafe, required, standing) -> Decision:
    action = parse(TYPES[gated, legacy_exempt, floor], {})
    return decide(policy(ruled=ruled, require_enrolment=required, unsafe=unsafe), action, standing)


def expected(gated, legacy_exempt, floor, ruled, unsafe, required, standing) -> Decision:
    """Semantics 6, 9 and 11 as a list of early answers, written from the text."""
    if not ruled and not floor:
        if unsafe:
            return Decision(Outcome.ALLOW, Why.UNSAFE_ALLOW)
        return Decision(Outcome.ALLOW, Why.NO_RULE_MATCHED if gated else Why.FREE)
    if not standing.protected and required:
        return Decision(Outcome.REFUSE, Why.ENROLMENT_REQUIRED)
    if not standing.protected and floor:
        return Decision(Outcome.CHALLENGE, Why.NOT_ENABLED, PASSWORD)
    if not standing.protected:
        return Decision(Outcome.ALLOW, Why.NOT_ENABLED)
    if standing.legacy_key and legacy_exempt:
        return Decision(Outcome.ALLOW, Why.LEGACY_KEY)
    if not standing.usable_factor:
        return Decision(Outcome.REFUSE, Why.NO_USABLE_FACTOR)
    demanded = {(True, False): TOTP, (False, True): PASSWORD, (True, True): TOTP.join(PASSWORD)}[ruled, floor]
    return Decision(Outcome.CHALLENGE, Why.RULE_MATCHED, demanded)


def test_the_whole_table() -> None:
    for case in CASES:
        assert decided(*case) == expected(*case), case


def test_a_broken_factor_never_opens() -> None:
    """Once on, it stays on (semantics 11): a lost factor turns a challenge into a refusal, nothing into an allow."""
    for *case, standing in CASES:
        able, broken = (decided(*case, replace(standing, usable_factor=usable)) for usable in (True, False))
        assert broken == able or (able.outcome, broken.outcome) == (Outcome.CHALLENGE, Outcome.REFUSE), case


def test_a_requirement_goes_with_a_challenge_and_with_nothing_else() -> None:
    for case in CASES:
        decision = decided(*case)
        assert (decision.requirement is not None) is (decision.outcome is Outcome.CHALLENGE)


def test_an_open_leg_is_told_for_the_bundle() -> None:
    """`unsafe_allow` of a leg is repeated in the decision about the whole (semantics 9)."""
    batch = ActionType("futures.batch", Environment.FUTURES, True, "Batch", legs=ORDER_PLACE)
    action = bundle(batch, (parse(ORDER_PLACE, {"symbol": "B", "side": "BUY", "type": "MARKET"}),))
    opened = Policy("p", "v", (), unsafe_allow=frozenset({ORDER_PLACE.name}))
    assert decide(opened, action, Standing(True, True)).why is Why.UNSAFE_ALLOW
    assert decide(Policy("p", "v", ()), action, Standing(True, True)).why is Why.NO_RULE_MATCHED
