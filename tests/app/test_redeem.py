"""Redeem: one approval, one execution of that very action, by who asked, soon, in the world that was approved."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import pytest

from app.observing import FUTURES, LOGIN, MARGIN, SPOT, events, replacing
from leverlock.app import answers, redeem
from leverlock.app.decide import Allowed, Asked
from leverlock.app.prove import grant_hash, grant_of
from leverlock.app.redeem import Redeemed, Voided
from leverlock.domain.account_actions import (
    ADDRESS_CHANGE,
    AUTHENTICATOR_REMOVE,
    KEY_UNFREEZE,
    LOGIN_BIND,
    PASSWORD_CHANGE,
    PASSWORD_RESET,
    PROTECTION_END,
    RECOVERY_CODES_REPLACE,
    SECURITY_KEY_ADD,
    SECURITY_KEY_GIVE_UP,
    SECURITY_KEY_REMOVE,
    SMS_REMOVE,
    SMS_REPLACE,
    SMS_SAVE,
)
from leverlock.domain.action import Action, Intent, bundle, parse
from leverlock.domain.actions import ACTIONS
from leverlock.domain.audit import EventKind
from leverlock.domain.challenge import Challenge, Denial, State
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.key_actions import KEY_CREATE, KEY_EDIT
from leverlock.domain.movement_actions import MARGIN_BORROW, TRANSFER_OUT, WALLET_OPEN, WITHDRAW
from leverlock.domain.policy_file import load_policy
from leverlock.domain.setting_actions import ADL_SET, DELTA_MODE_SET, MULTI_ASSETS_SET, POSITION_MARGIN_CHANGE
from leverlock.domain.trading_actions import AMEND_BATCH, CONDITIONAL_PLACE, ORDER_AMEND, ORDER_BATCH, ORDER_PLACE
from leverlock.domain.values import Kind
from world import Deployment, Owner, leverage_raise, margin_mode, order, policy_text, refused

HIGH = {"leverage": "75", "margin_mode": "CROSSED"}
STOP = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "1", "trigger_price": "9"}
NUMBER = {"number": "+44********56", "authenticator": "au_x"}
CHANGE = {"symbol": "BTCUSDT", "side": "SELL", "order_id": "7", "quantity": "2", "price": "9"}

NAMED_KEY = {"key": "sk_1", "label": "blue"}

SAMPLES: dict[str, Action] = {
    action.type.name: action
    for action in (
        order(),
        parse(CONDITIONAL_PLACE, STOP, HIGH),
        parse(ORDER_AMEND, CHANGE, HIGH),
        bundle(ORDER_BATCH, (order(leverage=20), order())),
        bundle(AMEND_BATCH, (parse(ORDER_AMEND, CHANGE, HIGH),)),
        leverage_raise(),
        margin_mode(),
        *(replacing(environment) for environment in (LOGIN, SPOT, MARGIN, FUTURES)),
        *(Action(row, {}) for row in (*LOGIN_BIND.values(), *PROTECTION_END.values(), *WALLET_OPEN.values())),
        *(parse(row, {"label": "blue"}) for row in SECURITY_KEY_ADD.values()),
        *(parse(row, NAMED_KEY) for row in (SECURITY_KEY_REMOVE, *SECURITY_KEY_GIVE_UP.values())),
        *(parse(row, {"label": "bot", "scopes": "read"}) for row in KEY_CREATE.values()),
        *(parse(row, {"key": "key_1", "label": "bot", "scopes": "read"}) for row in KEY_EDIT.values()),
        *(parse(row, {"asset": "USDT", "address": "0x1", "amount": "5"}) for row in WITHDRAW.values()),
        *(parse(row, {"asset": "USDT", "to": "spot", "amount": "5"}) for row in TRANSFER_OUT.values()),
        parse(MULTI_ASSETS_SET, {"multi_assets": "true"}, {"current_multi_assets": "false"}),
        parse(POSITION_MARGIN_CHANGE, {"symbol": "BTCUSDT", "direction": "REMOVE", "amount": "1"}, {"leverage": "75"}),
        parse(ADL_SET, {"symbol": "BTCUSDT", "rank": "LOWERED"}),
        parse(DELTA_MODE_SET, {"delta_mode": "true"}),
        parse(MARGIN_BORROW, {"asset": "USDT", "amount": "5"}),
        *(Action(row, {}) for row in (*AUTHENTICATOR_REMOVE.values(), *RECOVERY_CODES_REPLACE.values())),
        *(parse(row, {"fingerprint": "0f"}) for row in (*PASSWORD_CHANGE.values(), *PASSWORD_RESET.values())),
        *(parse(row, {"channel": "email", "target": "a@example.com"}) for row in ADDRESS_CHANGE.values()),
        *(parse(row, {"key": "key_1"}) for row in KEY_UNFREEZE.values()),
        *(parse(row, NUMBER | {"backup": "true"}) for row in (*SMS_SAVE.values(), *SMS_REPLACE.values())),
        *(parse(row, NUMBER) for row in SMS_REMOVE.values()),
    )
}


def redeem_or_ask(owner: Owner, action: Action, *, principal: str | None = None) -> Redeemed | Allowed | Asked:
    intent = owner.intent(action, principal=principal)
    return owner.deployment.run(lambda tx: redeem.redeem_or_ask(tx, owner.deployment.world, intent=intent))


def test_every_gated_action_has_a_sample() -> None:
    assert set(SAMPLES) == {name for name, row in ACTIONS.items() if row.gated}


@pytest.mark.bar("B40")
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_no_gated_action_gets_through_without_its_live_grant(deployment: Deployment, name: str) -> None:
    owner = deployment.owner("alice", enrolled=[LOGIN, SPOT, MARGIN, FUTURES])
    bob = deployment.owner("bob", enrolled=[FUTURES])
    action = SAMPLES[name]
    if name == SECURITY_KEY_REMOVE.name:
        owner.add_key()
    before = len(events(owner, EventKind.GRANT_SPENT))
    grants: dict[str, str] = {
        "none": "",
        "made up": "gr_" + "0" * 64,
        "not a grant": "x",
        "huge": "g" * 100_000,
        "surrogate": "\ud800",
    }
    challenge = owner.asked(action)
    grants["of a pending challenge"] = grant_of(deployment.world, challenge)
    other = order(symbol="OTHER") if name != "futures.order.place" else margin_mode(symbol="OTHER")
    grants["of another account"] = bob.approved(order()).grant
    key = owner.key()
    grants["of another asker"] = owner.approved(other, principal=key.principal).grant
    for what, grant in grants.items():
        with refused(Reason.UNKNOWN_ID):
            owner.redeem(action, grant)
        assert owner.challenge(challenge).state is State.PENDING, what
    for_another = owner.approved(other)
    assert isinstance(owner.redeem(action, for_another.grant), Voided)
    assert isinstance(redeem_or_ask(owner, action), Asked)
    approved = owner.approved(action)
    assert approved.challenge.challenge_id == challenge.challenge_id
    assert isinstance(owner.redeem(action, approved.grant), Redeemed)
    with refused(Reason.GRANT_SPENT):
        owner.redeem(action, approved.grant)
    assert len(events(owner, EventKind.GRANT_SPENT)) == before + 1
    late = owner.approved(action)
    deployment.clock.tick(deployment.world.limits.grant_life_ms)
    with refused(Reason.GRANT_EXPIRED):
        owner.redeem(action, late.grant)
    assert len(events(owner, EventKind.GRANT_SPENT)) == before + 1


# -- B42: the action that was approved -------------------------------------------------------------------------------
FULL = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "position_side": "BOTH",
    "type": "LIMIT",
    "time_in_force": "GTC",
    "quantity": "1",
    "price": "50000",
    "price_match": "NONE",
    "reduce_only": "false",
    "self_trade_prevention": "NONE",
    "good_till_date": "1767225615",
    "client_order_id": "mine",
    "response_type": "ACK",
}


def changed(name: str) -> dict[str, str]:
    spec = ORDER_PLACE.fields[name]
    other = {
        Kind.TEXT: "ETHUSDT",
        Kind.DECIMAL: "1.5",
        Kind.INTEGER: "9",
        Kind.BOOLEAN: "true",
        Kind.CHOICE: next((choice for choice in sorted(spec.choices) if choice != FULL[name]), ""),
    }[spec.kind]
    return {**FULL, name: other}


BOUND = sorted(name for name, spec in ORDER_PLACE.fields.items() if spec.bound)


@pytest.mark.bar("B42")
@pytest.mark.parametrize("name", BOUND)
@pytest.mark.parametrize("how", ["changed", "left out"])
def test_a_changed_bound_field_voids_the_grant(alice: Owner, name: str, how: str) -> None:
    approved = alice.approved(parse(ORDER_PLACE, FULL, HIGH))
    fields = changed(name) if how == "changed" else {key: value for key, value in FULL.items() if key != name}
    if how == "left out" and ORDER_PLACE.fields[name].required:
        return
    answer = alice.redeem(parse(ORDER_PLACE, fields, HIGH), approved.grant)
    assert isinstance(answer, Voided)
    assert answer.reason is Reason.ACTION_MISMATCH
    assert alice.challenge(approved.challenge).state is State.CANCELLED
    assert b"action_mismatch" in events(alice, EventKind.CHALLENGE_CANCELLED)[-1].body
    with refused(Reason.NOT_APPROVED):  # the action that was approved has lost its grant too
        alice.redeem(parse(ORDER_PLACE, FULL, HIGH), approved.grant)
    assert events(alice, EventKind.GRANT_SPENT) == []


@pytest.mark.bar("B42")
@pytest.mark.parametrize("name", BOUND)
def test_at_the_gateway_a_changed_call_is_another_action(alice: Owner, name: str) -> None:
    approved = alice.approved(parse(ORDER_PLACE, FULL, HIGH))
    answer = redeem_or_ask(alice, parse(ORDER_PLACE, changed(name), HIGH))
    assert isinstance(answer, Asked)
    assert answer.challenge.challenge_id != approved.challenge.challenge_id
    assert isinstance(redeem_or_ask(alice, parse(ORDER_PLACE, FULL, HIGH)), Redeemed)


@pytest.mark.bar("B42")
@pytest.mark.parametrize("name", ["client_order_id", "response_type"])
def test_transport_fields_may_differ(alice: Owner, name: str) -> None:
    approved = alice.approved(parse(ORDER_PLACE, FULL, HIGH))
    assert isinstance(alice.redeem(parse(ORDER_PLACE, changed(name), HIGH), approved.grant), Redeemed)


@pytest.mark.bar("B42")
@pytest.mark.parametrize("part", ["target", "account", "principal"])
def test_who_and_where_are_bound_too(alice: Owner, part: str) -> None:
    deployment = alice.deployment
    approved = alice.approved(order())
    intent = alice.intent(order())
    other = {
        "target": replace(intent, target="up_other"),
        "account": replace(intent, account_id=deployment.owner("bob").account_id),
        "principal": replace(intent, principal="key:key_other"),
    }[part]

    def run(asked: Intent) -> Redeemed | Voided:
        return deployment.run(lambda tx: redeem.redeem(tx, deployment.world, intent=asked, grant=approved.grant))

    if part == "target":
        assert isinstance(run(other), Voided)
    else:
        with refused(Reason.UNKNOWN_ID):
            run(other)
        assert isinstance(run(intent), Redeemed)


# -- B44: opaque, brief, once, for the one who asked -----------------------------------------------------------------
@pytest.mark.bar("B44")
def test_a_grant_is_256_bit_derived_and_only_its_hash_is_stored(alice: Owner) -> None:
    approved = alice.approved(order())
    token = approved.grant.removeprefix("gr_")
    assert len(bytes.fromhex(token)) == 32
    assert grant_of(alice.deployment.world, alice.challenge(approved.challenge)) == approved.grant  # given again
    with sqlite3.connect(alice.deployment.path) as raw:
        [(stored,)] = raw.execute("SELECT grant_hash FROM challenge").fetchall()
    assert stored == grant_hash(approved.grant)
    others = {alice.approved(order(symbol=f"S{n}")).grant for n in range(5)}
    assert len(others | {approved.grant}) == 6


@pytest.mark.bar("B44")
def test_another_keyring_makes_other_grants(alice: Owner, tmp_path_factory: pytest.TempPathFactory) -> None:
    challenge = alice.asked(order())
    with Deployment.create(tmp_path_factory.mktemp("other")) as other:
        assert grant_of(other.world, challenge) != grant_of(alice.deployment.world, challenge)


@pytest.mark.bar("B44")
def test_a_grant_is_for_the_principal_who_asked(alice: Owner) -> None:
    bot, other = alice.key("bot"), alice.key("other")
    approved = alice.approved(order(), principal=bot.principal)
    for principal in (other.principal, alice.principal, "integrator:int_x", ""):
        with refused(Reason.UNKNOWN_ID):
            alice.redeem(order(), approved.grant, principal=principal)
    assert isinstance(alice.redeem(order(), approved.grant, principal=bot.principal), Redeemed)


@pytest.mark.bar("B44")
def test_a_grant_ends_after_its_minute(alice: Owner) -> None:
    approved = alice.approved(order())
    assert approved.grant_expires_at - alice.deployment.clock.ms == 60_000
    alice.deployment.clock.tick(60_000)
    with refused(Reason.GRANT_EXPIRED):
        alice.redeem(order(), approved.grant)
    assert isinstance(redeem_or_ask(alice, order()), Asked)  # and is not revived by asking again


@pytest.mark.bar("B45")
def test_spent_is_spent_whatever_happens_to_the_caller(alice: Owner) -> None:
    """The answer `Redeemed` leaves after the commit; a restart finds the grant spent although nothing was executed."""
    deployment = alice.deployment
    approved = alice.approved(order())
    assert isinstance(alice.redeem(order(), approved.grant), Redeemed)
    with sqlite3.connect(deployment.path) as raw:
        assert raw.execute("SELECT state FROM challenge").fetchall() == [("consumed",)]
    deployment.close()
    with Deployment.open(deployment.path.parent, clock=deployment.clock) as again:
        alice.deployment = again
        with refused(Reason.GRANT_SPENT):
            alice.redeem(order(), approved.grant)
        answer = redeem_or_ask(alice, order())
        assert isinstance(answer, Asked)
        assert answer.challenge.challenge_id != approved.challenge.challenge_id


# -- B51: the world that was approved --------------------------------------------------------------------------------
@pytest.mark.bar("B51")
@pytest.mark.parametrize(
    "facts", [{"leverage": "125"}, {"leverage": "51"}, {"leverage": "20"}, {"margin_mode": "ISOLATED"}]
)
def test_a_changed_fact_voids_the_approval(alice: Owner, facts: dict[str, str]) -> None:
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    approved = alice.approved(parse(ORDER_PLACE, fields, HIGH))
    answer = alice.redeem(parse(ORDER_PLACE, fields, {**HIGH, **facts}), approved.grant)
    assert isinstance(answer, Voided)
    assert answer.reason is Reason.FACTS_CHANGED
    with refused(Reason.NOT_APPROVED):
        alice.redeem(parse(ORDER_PLACE, fields, HIGH), approved.grant)


@pytest.mark.bar("B51")
@pytest.mark.parametrize("leverage", [51, 125])
def test_at_the_gateway_a_changed_fact_is_asked_anew(alice: Owner, leverage: int) -> None:
    approved = alice.approved(order(leverage=75))
    answer = redeem_or_ask(alice, order(leverage=leverage))
    assert isinstance(answer, Asked)
    assert answer.challenge.challenge_id != approved.challenge.challenge_id
    assert alice.challenge(approved.challenge).state is State.CANCELLED
    answer = redeem_or_ask(alice, order(leverage=75))  # back again: the old approval stays void
    assert isinstance(answer, Asked)
    assert answer.challenge.state is State.PENDING


@pytest.mark.bar("B51")
def test_what_cannot_be_read_is_not_executed_and_not_spent(alice: Owner) -> None:
    approved = alice.approved(order())
    with refused(Reason.FACTS_UNKNOWN):
        alice.redeem(order(leverage=None), approved.grant)
    answer = redeem_or_ask(alice, order(leverage=None))
    assert isinstance(answer, Asked)
    assert answer.challenge.state is State.APPROVED
    assert isinstance(alice.redeem(order(), approved.grant), Redeemed)


@pytest.mark.bar("B51")
def test_an_approval_given_while_the_fact_was_unknown_is_never_spent(alice: Owner) -> None:
    approved = alice.approved(order(leverage=None))
    answer = redeem_or_ask(alice, order(leverage=None))
    assert isinstance(answer, Asked)
    with refused(Reason.FACTS_UNKNOWN):
        alice.redeem(order(leverage=None), approved.grant)
    assert isinstance(alice.redeem(order(leverage=75), approved.grant), Voided)


@pytest.mark.bar("B51")
@pytest.mark.parametrize("which", ["redeem", "redeem_or_ask"])
def test_another_policy_voids_the_approval(alice: Owner, which: str) -> None:
    deployment = alice.deployment
    approved = alice.approved(order())
    trader = load_policy(policy_text("trader"))
    deployment.run(lambda tx: tx.set_setting("policy_version", trader.version))
    if which == "redeem_or_ask":
        with refused(Reason.POLICY_CHANGED):  # this process still holds the old one: nothing is decided by it
            redeem_or_ask(alice, order())
        with refused(Reason.POLICY_CHANGED):
            alice.redeem(order(), approved.grant)
    deployment.world = replace(deployment.world, policy=lambda: trader)
    if which == "redeem":
        answer = alice.redeem(order(), approved.grant)
        assert isinstance(answer, Voided)
        assert answer.reason is Reason.POLICY_CHANGED
    else:
        asked = redeem_or_ask(alice, order())
        assert isinstance(asked, Asked)
        assert asked.challenge.state is State.PENDING
    assert alice.challenge(approved.challenge).state is State.CANCELLED


# -- B46: only along the machine -------------------------------------------------------------------------------------
def made_pending(owner: Owner) -> tuple[Challenge, str]:
    challenge = owner.asked(order())
    return challenge, grant_of(owner.deployment.world, challenge)


def made_approved(owner: Owner) -> tuple[Challenge, str]:
    approved = owner.approved(order())
    return approved.challenge, approved.grant


def made_consumed(owner: Owner) -> tuple[Challenge, str]:
    challenge, grant = made_approved(owner)
    owner.redeem(order(), grant)
    return challenge, grant


def made_denied(owner: Owner) -> tuple[Challenge, str]:
    challenge, grant = made_pending(owner)
    verbs["deny"](owner, challenge, grant)
    return challenge, grant


def made_cancelled(owner: Owner) -> tuple[Challenge, str]:
    challenge, grant = made_approved(owner)
    verbs["cancel"](owner, challenge, grant)
    return challenge, grant


def made_failed(owner: Owner) -> tuple[Challenge, str]:
    challenge, grant = made_pending(owner)
    for _ in range(5):
        with refused(Reason.WRONG_CODE):
            owner.prove(challenge, code=owner.wrong_code())
    owner.deployment.clock.tick(30_000)
    return challenge, grant


def made_overdue(owner: Owner) -> tuple[Challenge, str]:
    challenge, grant = made_pending(owner)
    owner.deployment.clock.tick(300_000)
    return challenge, grant


def made_overdue_grant(owner: Owner) -> tuple[Challenge, str]:
    challenge, grant = made_approved(owner)
    owner.deployment.clock.tick(60_000)
    return challenge, grant


def made_expired(owner: Owner) -> tuple[Challenge, str]:
    challenge, grant = made_overdue(owner)
    verbs["sweep"](owner, challenge, grant)
    return challenge, grant


def _deny(owner: Owner, challenge: Challenge, _grant: str) -> object:
    deployment = owner.deployment
    return deployment.run(
        lambda tx: answers.deny(
            tx,
            deployment.world,
            account_id=owner.account_id,
            answered_by=owner.principal,
            challenge_id=challenge.challenge_id,
            denial=Denial.CHANGED_MIND,
        )
    )


def _cancel(owner: Owner, challenge: Challenge, _grant: str) -> object:
    deployment = owner.deployment
    return deployment.run(
        lambda tx: answers.cancel(
            tx,
            deployment.world,
            account_id=owner.account_id,
            principal=owner.principal,
            challenge_id=challenge.challenge_id,
        )
    )


def _sweep(owner: Owner, _challenge: Challenge, _grant: str) -> object:
    return owner.swept()


verbs: dict[str, Callable[[Owner, Challenge, str], object]] = {
    "prove": lambda owner, challenge, _grant: owner.prove(challenge),
    "redeem": lambda owner, _challenge, grant: owner.redeem(order(), grant),
    "deny": _deny,
    "cancel": _cancel,
    "sweep": _sweep,
}

states = {
    "pending": made_pending,
    "approved": made_approved,
    "consumed": made_consumed,
    "denied": made_denied,
    "failed": made_failed,
    "expired": made_expired,
    "cancelled": made_cancelled,
    "overdue": made_overdue,
    "overdue grant": made_overdue_grant,
}

# (state, verb) -> the state afterwards; every other pair is refused, or does nothing, and changes nothing.
MOVES = {
    ("pending", "prove"): "approved",
    ("pending", "deny"): "denied",
    ("pending", "cancel"): "cancelled",
    ("approved", "redeem"): "consumed",
    ("approved", "cancel"): "cancelled",
    ("overdue", "sweep"): "expired",
    ("overdue grant", "sweep"): "expired",
}


def row(owner: Owner, challenge: Challenge) -> tuple[object, ...]:
    with sqlite3.connect(owner.deployment.path) as raw:
        query = "SELECT * FROM challenge WHERE challenge_id = ?"
        found: tuple[object, ...] = raw.execute(query, (challenge.challenge_id,)).fetchone()
    return found


@pytest.mark.bar("B46")
@pytest.mark.parametrize("state", states)
@pytest.mark.parametrize("verb", verbs)
def test_every_state_and_every_verb(alice: Owner, state: str, verb: str) -> None:
    challenge, grant = states[state](alice)
    before, records = row(alice, challenge), len(events(alice))
    try:
        verbs[verb](alice, challenge, grant)
        moved = True
    except Refused as why:
        conflict = {
            Reason.CHALLENGE_NOT_PENDING,
            Reason.CHALLENGE_EXPIRED,
            Reason.CHALLENGE_FAILED,
            Reason.GRANT_SPENT,
            Reason.GRANT_EXPIRED,
            Reason.NOT_APPROVED,
            Reason.UNKNOWN_ID,  # a grant that never was given
        }
        assert why.reason in conflict  # noqa: PT017
        moved = False
    after = alice.challenge(challenge).state.value
    if (state, verb) in MOVES:
        assert moved
        assert after == MOVES[state, verb]
        assert len(events(alice)) == records + 1
    else:
        assert not moved or verb == "sweep"
        assert row(alice, challenge) == before
