"""Holds after a change of factors, and changes that wait a day: what is stopped, for how long, and by whom."""

from __future__ import annotations

import json

import pytest

from app.observing import FUTURES, MARGIN, SPOT, events
from app.test_layers import withdrawal
from leverlock.app import protection
from leverlock.app.accounts import set_address
from leverlock.app.cancel_link import cancel_link
from leverlock.app.cancellations import cancel_by_link
from leverlock.app.decide import Allowed, Asked
from leverlock.app.holds import place
from leverlock.app.pending import cancel_change
from leverlock.domain.action import parse
from leverlock.domain.audit import EventKind
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.errors import Reason
from leverlock.domain.hold import ALL_SCOPES, HoldScope
from leverlock.domain.limits import DAY
from leverlock.domain.messages import Channel
from leverlock.domain.pending_change import PendingChange
from leverlock.domain.policy import Why
from leverlock.domain.trading_actions import ORDER_PLACE
from trail_state import must_agree
from world import Deployment, Owner, margin_mode, order, refused


@pytest.fixture
def owner(deployment: Deployment) -> Owner:
    made = deployment.owner(enrolled=MARKETS)
    deployment.run(
        lambda tx: set_address(
            tx,
            deployment.world,
            account_id=made.account_id,
            channel=Channel.EMAIL,
            target="alice@example.com",
            by="test",
        )
    )
    return made


def held(owner: Owner, environment: Environment, *scopes: HoldScope) -> int:
    def place_it(tx):
        tx.lock_account(owner.account_id)
        named = {"account_id": owner.account_id, "environment": environment, "because": "test", "by": "test"}
        return place(tx, owner.deployment.world, scopes=scopes, **named)

    return owner.deployment.run(place_it)


# -- holds -----------------------------------------------------------------------------------------------------------
@pytest.mark.bar("B34")
def test_a_held_movement_is_refused_for_a_day_and_says_until_when(owner: Owner) -> None:
    until = held(owner, FUTURES, HoldScope.MOVEMENTS)
    with refused(Reason.ON_HOLD) as why:
        owner.ask(withdrawal())
    assert why.value.facts == {"environment": "futures", "until": until}
    assert why.value.retry_after_ms == DAY
    assert isinstance(owner.ask(withdrawal(SPOT)), Asked)  # the other market is as it was (M23)
    owner.deployment.clock.ms = until - 1
    with refused(Reason.ON_HOLD):
        owner.ask(withdrawal())
    owner.deployment.clock.ms = until
    owner.deployment.clock.tick(1)
    assert isinstance(owner.ask(withdrawal()), Asked)


@pytest.mark.bar("B34")
def test_what_was_approved_before_a_hold_is_not_executed_after_it(owner: Owner) -> None:
    approved = owner.approved(withdrawal())
    held(owner, FUTURES, HoldScope.MOVEMENTS)
    with refused(Reason.ON_HOLD):
        owner.redeem(withdrawal(), approved.grant)


@pytest.mark.bar("B34")
def test_an_opening_order_is_held_and_one_that_reduces_needs_only_its_code(owner: Owner) -> None:
    held(owner, FUTURES, HoldScope.OPENING)
    with refused(Reason.ON_HOLD):
        owner.ask(order())
    reducing = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "1", "reduce_only": "true"}
    facts = {"leverage": "75", "margin_mode": "CROSSED"}
    assert isinstance(owner.ask(parse(ORDER_PLACE, reducing, facts)), Asked)
    assert isinstance(owner.ask(order(leverage=20)), Allowed)
    assert isinstance(owner.ask(margin_mode()), Asked)


@pytest.mark.bar("B34")
def test_a_hold_of_login_concerns_every_market(owner: Owner) -> None:
    held(owner, Environment.LOGIN, *ALL_SCOPES)
    for market in MARKETS:
        with refused(Reason.ON_HOLD):
            owner.ask(withdrawal(market))


def test_a_replaced_authenticator_holds_the_movements_of_its_market(owner: Owner) -> None:
    owner.enrol(FUTURES)
    with refused(Reason.ON_HOLD):
        owner.ask(withdrawal())
    assert isinstance(owner.ask(withdrawal(MARGIN)), Asked)
    assert isinstance(owner.ask(order()), Asked)
    must_agree(owner.deployment.path, owner.account_id, events(owner))


# -- changes that wait: protection off -------------------------------------------------------------------------------
def off(owner: Owner, environment: Environment = FUTURES) -> PendingChange | Asked:
    world = owner.deployment.world
    return owner.deployment.run(
        lambda tx: protection.switch_off(tx, world, session=owner.session, environment=environment)
    )


def asked_off(owner: Owner, environment: Environment = FUTURES) -> PendingChange:
    asked = off(owner, environment)
    assert isinstance(asked, Asked)
    assert asked.challenge.requirement.words() == ["password", "totp"]
    owner.prove(asked.challenge)
    change = off(owner, environment)
    assert isinstance(change, PendingChange)
    return change


def notices(owner: Owner, kind: str) -> list[dict]:
    due = owner.deployment.read(lambda tx: tx.due_messages(limit=99))
    return [json.loads(message.body) for message in due if message.kind == kind]


def test_protection_ends_a_day_later_and_not_before(owner: Owner) -> None:
    change = asked_off(owner)
    assert change.due_at == owner.deployment.clock.ms + DAY
    owner.deployment.clock.ms = change.due_at - 1
    owner.swept()
    assert isinstance(owner.ask(order()), Asked)
    owner.deployment.clock.ms = change.due_at
    owner.swept()
    owner.deployment.clock.tick(301_000)
    answer = owner.ask(order())
    assert isinstance(answer, Allowed)
    assert answer.why is Why.NOT_ENABLED
    assert isinstance(owner.ask(withdrawal(SPOT)), Asked)  # the other markets go on (M23)
    assert len(notices(owner, "change.waiting")) == len(notices(owner, "protection.ended")) == 1
    must_agree(owner.deployment.path, owner.account_id, events(owner))


def test_switched_on_again_it_is_guarded_again_and_makes_no_key_a_legacy_one(owner: Owner) -> None:
    key = owner.key()
    change = asked_off(owner)
    owner.deployment.clock.ms = change.due_at
    owner.swept()
    owner.sign_in()
    before = owner.recovery_codes.pop(FUTURES)
    owner.enrol(FUTURES)
    assert not set(before) & set(owner.recovery_codes[FUTURES])
    assert isinstance(owner.ask(order(), principal=key.principal), Asked)
    must_agree(owner.deployment.path, owner.account_id, events(owner))


def test_the_link_in_the_notice_stops_it_for_good_and_twice_is_once(owner: Owner) -> None:
    change = asked_off(owner)
    [notice] = notices(owner, "change.waiting")
    world = owner.deployment.world
    for _ in range(2):
        stopped = owner.deployment.run(lambda tx: cancel_by_link(tx, world, token=notice["cancel"]))
        assert stopped == "chg"
    owner.deployment.clock.ms = change.due_at
    owner.swept()
    assert isinstance(owner.ask(order()), Asked)
    assert len(events(owner, EventKind.CHANGE_CANCELLED)) == 1
    assert not events(owner, EventKind.PROTECTION_ENDED)
    must_agree(owner.deployment.path, owner.account_id, events(owner))


def test_what_is_done_cannot_be_stopped(owner: Owner) -> None:
    change = asked_off(owner)
    owner.deployment.clock.ms = change.due_at
    owner.swept()
    named = {"account_id": owner.account_id, "change_id": change.change_id, "by": "test"}
    with refused(Reason.CONFLICT):
        owner.deployment.run(lambda tx: cancel_change(tx, owner.deployment.world, **named))


def test_asking_twice_is_one_change(owner: Owner) -> None:
    first = asked_off(owner)
    again = asked_off(owner)
    assert again.change_id == first.change_id
    assert again.due_at == first.due_at


@pytest.mark.bar("B47")
@pytest.mark.parametrize("spoil", ["account", "target", "hash", "empty", "cut", "text", "unicode"])
def test_a_link_that_this_deployment_did_not_make_stops_nothing(owner: Owner, spoil: str) -> None:
    change = asked_off(owner)
    world = owner.deployment.world
    token = cancel_link(world, owner.account_id, change.change_id)
    account, target, made = token.split(".")
    spoiled = {
        "account": f"acc_{'a' * 26}.{target}.{made}",
        "target": f"{account}.chg_{'a' * 26}.{made}",
        "hash": f"{account}.{target}.{'0' * 64}",
        "empty": "",
        "cut": token[:-1],
        "text": "nothing",
        "unicode": token[:-1] + "\u0661",
    }[spoil]
    with refused(Reason.UNKNOWN_ID):
        owner.deployment.run(lambda tx: cancel_by_link(tx, world, token=spoiled))
    assert [one.change_id for one in owner.deployment.read(lambda tx: tx.waiting_changes(owner.account_id))] == [
        change.change_id
    ]


def test_a_link_for_what_nobody_stops_that_way_is_unknown(owner: Owner) -> None:
    world = owner.deployment.world
    token = cancel_link(world, owner.account_id, f"zz_{'a' * 26}")
    with refused(Reason.UNKNOWN_ID):
        owner.deployment.run(lambda tx: cancel_by_link(tx, world, token=token))
