"""What the policies `literal` and `trader` demand, row by row (semantics 1 and 2, M15, M16, B69, B70)."""

from __future__ import annotations

import pytest

from leverlock.domain.action import Action, ActionType, bundle, parse
from leverlock.domain.actions import ACTIONS, PUBLIC_ACTIONS
from leverlock.domain.environment import Environment
from leverlock.domain.policy import Outcome, Standing, Why, decide
from leverlock.domain.requirement import ProofKind, Requirement
from leverlock.domain.setting_actions import ADL_SET, DELTA_MODE_SET, MULTI_ASSETS_SET, POSITION_MARGIN_CHANGE
from leverlock.domain.trading_actions import (
    AMEND_BATCH,
    CONDITIONAL_PLACE,
    LEVERAGE_SET,
    MARGIN_MODE_SET,
    ORDER_AMEND,
    ORDER_BATCH,
    ORDER_CANCEL,
    ORDER_PLACE,
    POSITION_MODE_SET,
)

from .samples import least
from .shipped import NAMES, SOURCES, policy

POLICIES = {name: policy(name) for name in NAMES}
both = pytest.mark.parametrize("name", NAMES)
READY = Standing(protected=True, usable_factor=True)
TOTP = Requirement.of("totp", backups=["sms"])
CALM = ["1", "20", "49", "50"]
RISKY = ["51", "75", "125", None]  # None: the venue did not say

# How an order can reduce risk, and forms that look like it and do not.
REDUCING = [
    {"reduce_only": "true"},
    {"side": "SELL", "position_side": "LONG"},
    {"side": "BUY", "position_side": "SHORT"},
]
OPENING = [
    {},
    {"reduce_only": "false"},
    {"side": "BUY", "position_side": "LONG"},
    {"side": "SELL", "position_side": "SHORT"},
    {"side": "SELL", "position_side": "BOTH"},
    {"side": "BUY", "position_side": "BOTH"},
    {"side": "SELL"},
]


def facts(leverage: str | None) -> dict[str, str]:
    return {} if leverage is None else {"leverage": leverage}


def order(leverage: str | None, **fields: str) -> Action:
    return parse(ORDER_PLACE, {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", **fields}, facts(leverage))


def stop(leverage: str | None, **fields: str) -> Action:
    stop_order = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "trigger_price": "1", **fields}
    return parse(CONDITIONAL_PLACE, stop_order, facts(leverage))


def amendment(leverage: str | None, **fields: str) -> Action:
    change = {"symbol": "BTCUSDT", "side": "BUY", "order_id": "1", "quantity": "1", **fields}
    return parse(ORDER_AMEND, change, facts(leverage))


def challenged(name: str, action: Action) -> bool:
    decision = decide(POLICIES[name], action, READY)
    assert decision.outcome in (Outcome.ALLOW, Outcome.CHALLENGE)
    assert decision.why is (Why.RULE_MATCHED if decision.outcome is Outcome.CHALLENGE else Why.NO_RULE_MATCHED)
    return decision.outcome is Outcome.CHALLENGE


@both
@pytest.mark.mission("M15")
@pytest.mark.parametrize("make", [order, stop, amendment])
def test_50x_passes_and_51x_does_not(name: str, make) -> None:
    assert not challenged(name, make("50"))
    assert challenged(name, make("51"))
    assert [challenged(name, make(str(leverage))) for leverage in range(1, 126)] == [False] * 50 + [True] * 75


@both
@pytest.mark.mission("M15")
@pytest.mark.bar("B70")
@pytest.mark.parametrize("make", [order, stop, amendment])
def test_a_leverage_nobody_told_is_challenged(name: str, make) -> None:
    """Unknown or stale means challenge (semantics 2); the order itself never speaks of leverage."""
    assert challenged(name, make(None))
    assert decide(POLICIES[name], make(None), READY).requirement == TOTP


@pytest.mark.mission("M15")
@pytest.mark.parametrize("leverage", [*CALM, *RISKY])
@pytest.mark.parametrize("fields", [*REDUCING, *OPENING], ids=str)
def test_orders_that_reduce_risk(fields: dict[str, str], leverage: str | None) -> None:
    """`literal` asks for every order above 50x; `trader` for those only that can open or add."""
    action = order(leverage, **fields)
    assert challenged("literal", action) is (leverage in RISKY)
    assert challenged("trader", action) is (leverage in RISKY and fields in OPENING)


@pytest.mark.mission("M15")
@pytest.mark.parametrize("leverage", ["20", "75", None])
@pytest.mark.parametrize("close_position", ["true", "false", None])
@pytest.mark.parametrize("reduce_only", ["true", "false", None])
def test_conditional_orders_that_close(
    leverage: str | None, close_position: str | None, reduce_only: str | None
) -> None:
    said = {"close_position": close_position, "reduce_only": reduce_only}
    action = stop(leverage, **{key: value for key, value in said.items() if value is not None})
    risky = leverage != "20"
    assert challenged("literal", action) is risky
    assert challenged("trader", action) is (risky and "true" not in (close_position, reduce_only))


@both
@pytest.mark.bar("B69")
@pytest.mark.parametrize("word", ["true", "false"])
def test_an_amendment_is_never_exempt(name: str, word: str) -> None:
    """`reduce_only` in an amendment is checked by the venue, not obeyed: it must not open a way round."""
    assert challenged(name, amendment("75", reduce_only=word))
    assert challenged(name, amendment("75", reduce_only=word, side="SELL"))


@both
@pytest.mark.parametrize("exposed", ["true", "false", None])
@pytest.mark.parametrize("current", ["1", "20", "50", "51", "75", "125", None])
@pytest.mark.parametrize("wanted", ["1", "20", "50", "51", "75", "125"])
def test_leverage_raised_while_exposed(name: str, wanted: str, current: str | None, exposed: str | None) -> None:
    """Above 50x, upwards, with a position or an order open; each fact that is unknown counts as the worse."""
    known = {"current_leverage": current, "exposed": exposed}
    action = parse(
        LEVERAGE_SET,
        {"symbol": "BTCUSDT", "leverage": wanted},
        {key: value for key, value in known.items() if value is not None},
    )
    raises = current is None or int(wanted) > int(current)
    assert challenged(name, action) is (int(wanted) > 50 and raises and exposed != "false")


@both
@pytest.mark.mission("M16")
@pytest.mark.parametrize("leverage", [*CALM, *RISKY])
@pytest.mark.parametrize("mode", ["ISOLATED", "CROSSED"])
def test_a_margin_mode_that_nobody_told_is_challenged(name: str, mode: str, leverage: str | None) -> None:
    action = parse(MARGIN_MODE_SET, {"symbol": "BTCUSDT", "margin_mode": mode}, facts(leverage))
    assert challenged(name, action)


@both
@pytest.mark.mission("M16")
@pytest.mark.parametrize("current", ["ISOLATED", "CROSSED"])
@pytest.mark.parametrize("mode", ["ISOLATED", "CROSSED"])
def test_a_switch_of_the_margin_mode_is_challenged_and_what_it_is_already_is_none(
    name: str, mode: str, current: str
) -> None:
    told = {"leverage": "20", "current_margin_mode": current}
    assert challenged(name, parse(MARGIN_MODE_SET, {"symbol": "BTCUSDT", "margin_mode": mode}, told)) is (
        mode != current
    )


@both
@pytest.mark.mission("M16")
@pytest.mark.parametrize("current", ["true", "false", None])
@pytest.mark.parametrize("wanted", ["true", "false"])
def test_the_multi_assets_mode_is_the_margin_mode_of_the_account(name: str, wanted: str, current: str | None) -> None:
    told = {} if current is None else {"current_multi_assets": current}
    action = parse(MULTI_ASSETS_SET, {"multi_assets": wanted}, told)
    assert challenged(name, action) is (wanted != current)
    assert decide(POLICIES[name], action, Standing(True, True, legacy_key=True)).outcome is Outcome.ALLOW


@both
@pytest.mark.parametrize("leverage", [*CALM, *RISKY])
@pytest.mark.parametrize("direction", ["ADD", "REMOVE"])
def test_margin_taken_out_of_a_position_above_50x(name: str, direction: str, leverage: str | None) -> None:
    """It raises the position's real leverage as a raised setting does; margin added lowers it."""
    fields = {"symbol": "BTCUSDT", "direction": direction, "amount": "5"}
    action = parse(POSITION_MARGIN_CHANGE, fields, facts(leverage))
    assert challenged(name, action) is (direction == "REMOVE" and leverage in RISKY)


@both
@pytest.mark.mission("M19")
@pytest.mark.parametrize("row", [ADL_SET, DELTA_MODE_SET], ids=lambda row: row.name)
@pytest.mark.parametrize("legacy", [False, True])
def test_adl_settings_take_full_re_authentication_of_every_key(name: str, row: ActionType, legacy: bool) -> None:
    decision = decide(POLICIES[name], least(row), Standing(True, True, legacy_key=legacy))
    assert decision.requirement == Requirement.of(ProofKind.PASSWORD, ProofKind.TOTP)
    assert not row.groupable


@both
@pytest.mark.bar("B69")
@pytest.mark.parametrize(
    "leverages", [["20"], ["50"] * 5, ["20", "51"], ["125", "1", "1"], ["1"] * 4 + [None], ["75"] * 5]
)
def test_a_batch_is_judged_by_its_riskiest_leg(name: str, leverages: list[str | None]) -> None:
    risky = any(leverage in RISKY for leverage in leverages)
    assert challenged(name, bundle(ORDER_BATCH, tuple(order(leverage) for leverage in leverages))) is risky
    assert challenged(name, bundle(AMEND_BATCH, tuple(amendment(leverage) for leverage in leverages))) is risky


@pytest.mark.bar("B69")
@pytest.mark.parametrize("place", range(5))
def test_one_opening_leg_among_reducing_ones(place: int) -> None:
    legs = [order("75", reduce_only="true")] * 5
    assert not challenged("trader", bundle(ORDER_BATCH, tuple(legs)))
    legs[place] = order("75")
    assert challenged("trader", bundle(ORDER_BATCH, tuple(legs)))


@both
@pytest.mark.parametrize("scope", ["one", "several", "all", "conditional", "countdown"])
@pytest.mark.parametrize("standing", [Standing(p, u, k) for p in (0, 1) for u in (0, 1) for k in (0, 1)])
def test_cancels_are_never_challenged(name: str, scope: str, standing: Standing) -> None:
    decision = decide(POLICIES[name], parse(ORDER_CANCEL, {"scope": scope}), standing)
    assert (decision.outcome, decision.why) == (Outcome.ALLOW, Why.FREE)


@both
def test_the_position_mode_is_free(name: str) -> None:
    assert decide(POLICIES[name], parse(POSITION_MODE_SET, {"hedged": "true"}), READY).why is Why.FREE


@both
@pytest.mark.parametrize("environment", list(Environment))
def test_replacing_an_authenticator_takes_password_and_code(name: str, environment: Environment) -> None:
    action = least(ACTIONS[f"{environment}.authenticator.replace"])
    decision = decide(POLICIES[name], action, READY)
    assert decision.requirement == Requirement.of(ProofKind.PASSWORD, ProofKind.TOTP)


@both
def test_the_matching_rules_are_named(name: str) -> None:
    rules = POLICIES[name]
    assert rules.matching(order("50")) == []
    assert rules.matching(order("51")) == ["orders above 50x"]
    mixed = bundle(ORDER_BATCH, (order("20"), order("51"), order("125")))
    assert rules.matching(mixed) == ["orders above 50x"]
    assert rules.matching(parse(ORDER_CANCEL, {"scope": "all"})) == []


def test_the_files_differ_in_the_exemption_alone() -> None:
    def settings(name: str) -> list[str]:
        rules = SOURCES[name].replace(", reduces_risk = false }", " }")
        return [
            line
            for line in rules.splitlines()
            if line and not line.startswith(("#", 'name = "literal', 'name = "trader'))
        ]

    assert settings("literal") == settings("trader")
    assert SOURCES["trader"].count("reduces_risk = false") == 2
    assert [POLICIES[name].name for name in NAMES] == list(NAMES)


@both
def test_nothing_ships_open(name: str) -> None:
    shipped = POLICIES[name]
    assert shipped.unsafe_allow == frozenset()
    assert shipped.require_enrolment is False
    assert {rule.action for rule in shipped.rules} == {
        row.name for row in PUBLIC_ACTIONS.values() if row.gated and row.legs is None
    }
