"""Ask: who is challenged, who is not, how many may wait, and what ends what waits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import pytest

from app.observing import FUTURES, LOGIN, SPOT, events, wrong
from leverlock.app import accounts, answers, api_keys, sign_in
from leverlock.app.decide import Allowed, Asked
from leverlock.domain.action import parse
from leverlock.domain.api_key import KeyState
from leverlock.domain.audit import EventKind
from leverlock.domain.challenge import Challenge, Denial, State
from leverlock.domain.errors import Reason
from leverlock.domain.ids import is_id
from leverlock.domain.messages import Address, Channel
from leverlock.domain.policy import Why
from leverlock.domain.policy_file import load_policy
from leverlock.domain.trading_actions import ORDER_CANCEL
from world import Deployment, Owner, margin_mode, order, policy_text, refused

MINUTE = 60_000


# -- semantics 11: never enabled, on, on and broken ------------------------------------------------------------------
def test_never_enabled_is_allowed_and_says_so(deployment: Deployment) -> None:
    owner = deployment.owner()
    answer = owner.ask(order())
    assert isinstance(answer, Allowed)
    assert answer.why is Why.NOT_ENABLED


def test_where_enrolment_is_required_never_enabled_is_refused(deployment: Deployment) -> None:
    owner = deployment.owner()
    strict = load_policy(policy_text().replace('name = "literal"', 'name = "literal"\nrequire_enrolment = true', 1))
    deployment.world = replace(deployment.world, policy=lambda: strict)
    deployment.run(lambda tx: tx.set_setting("policy_version", strict.version))
    with refused(Reason.ENROLMENT_REQUIRED) as why:
        owner.ask(order())
    assert why.value.facts == {"environment": "futures"}
    answer = owner.ask(order(leverage=50))
    assert isinstance(answer, Allowed)


@pytest.mark.mission("M15")
@pytest.mark.parametrize(("leverage", "challenged"), [(1, False), (50, False), (51, True), (125, True), (None, True)])
def test_on_means_challenged_above_fifty(alice: Owner, leverage: int | None, challenged: bool) -> None:
    answer = alice.ask(order(leverage=leverage))
    assert isinstance(answer, Asked if challenged else Allowed)


@pytest.mark.parametrize("broken", ["disabled", "removed", "replaced"])
def test_on_and_broken_is_refused_never_allowed(alice: Owner, broken: str) -> None:
    waiting = alice.asked(order(symbol="WAIT"))
    with sqlite3.connect(alice.deployment.path) as raw:
        raw.execute("UPDATE authenticator SET state = ?", (broken,))
    with refused(Reason.NO_USABLE_FACTOR):
        alice.ask(order())
    assert isinstance(alice.ask(order(leverage=50)), Allowed)
    cancel = parse(ORDER_CANCEL, {"symbol": "BTCUSDT", "scope": "all"})
    assert isinstance(alice.ask(cancel), Allowed)
    assert alice.challenge(waiting).state is State.PENDING


@pytest.mark.mission("M23")
def test_futures_is_independent_of_spot(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[SPOT])
    answer = owner.ask(order())
    assert isinstance(answer, Allowed)
    assert answer.why is Why.NOT_ENABLED


@pytest.mark.bar("B47")
def test_ids_are_128_random_bits(alice: Owner) -> None:
    ids = {alice.asked(order(symbol=f"S{n}")).challenge_id for n in range(8)}
    assert len(ids) == 8
    assert all(is_id("ch", text) and len(text) == 3 + 26 for text in ids)


def test_the_same_intent_twice_is_one_challenge_and_one_ring(alice: Owner) -> None:
    deployment = alice.deployment
    deployment.run(lambda tx: tx.set_address(Address(alice.account_id, "adr", Channel.EMAIL, "a@example.com")))
    assert alice.asked(order()) == alice.asked(order())
    rings = [m for m in deployment.read(lambda tx: tx.due_messages(limit=99)) if m.kind == "challenge.waiting"]
    assert len(rings) == 1
    assert len(events(alice, EventKind.CHALLENGE_CREATED)) == 1


# -- B81: slots ------------------------------------------------------------------------------------------------------
@pytest.mark.bar("B81")
def test_what_keys_do_never_keeps_the_owner_out(alice: Owner) -> None:
    keys = [alice.key(f"bot{number}") for number in range(3)]
    taken = 0
    for key in keys:
        for number in range(12):
            try:
                alice.asked(order(symbol=f"S{number}"), principal=key.principal)
                taken += 1
            except Exception as why:
                assert getattr(why, "reason", None) is Reason.TOO_MANY_CHALLENGES  # noqa: PT017
    assert taken == 5
    own = [alice.asked(order(symbol=f"OWN{number}")) for number in range(3)]
    assert len(alice.prove(*own)) == 3


@pytest.mark.bar("B81")
def test_a_key_has_three_at_once_and_ten_in_ten_minutes(alice: Owner) -> None:
    key = alice.key()
    waiting = [alice.asked(order(symbol=f"S{n}"), principal=key.principal) for n in range(3)]
    with refused(Reason.TOO_MANY_CHALLENGES):
        alice.ask(order(symbol="S3"), principal=key.principal)
    assert alice.asked(order(symbol="S0"), principal=key.principal) == waiting[0]  # the same one is no new one
    for number in range(3, 10):
        cancel(alice, waiting.pop(0), key.principal)
        waiting.append(alice.asked(order(symbol=f"S{number}"), principal=key.principal))
    for challenge in waiting:
        cancel(alice, challenge, key.principal)
    with refused(Reason.TOO_MANY_CHALLENGES):
        alice.ask(order(symbol="S10"), principal=key.principal)
    other = alice.key("other")
    assert alice.asked(order(symbol="S10"), principal=other.principal)
    alice.deployment.clock.tick(10 * MINUTE)
    assert alice.asked(order(symbol="S10"), principal=key.principal)


@pytest.mark.bar("B81")
def test_overdue_challenges_make_room_without_a_sweep(alice: Owner) -> None:
    key = alice.key()
    for number in range(3):
        alice.asked(order(symbol=f"S{number}"), principal=key.principal)
    alice.deployment.clock.tick(5 * MINUTE)
    assert alice.asked(order(symbol="S9"), principal=key.principal)
    assert len(events(alice, EventKind.CHALLENGE_EXPIRED)) == 3


# -- B47: whose it is ------------------------------------------------------------------------------------------------
def cancel(owner: Owner, challenge: Challenge, principal: str) -> None:
    world = owner.deployment.world
    owner.deployment.run(
        lambda tx: answers.cancel(
            tx, world, account_id=owner.account_id, principal=principal, challenge_id=challenge.challenge_id
        )
    )


def deny(owner: Owner, challenge: Challenge, denial: Denial = Denial.CHANGED_MIND) -> None:
    world = owner.deployment.world
    owner.deployment.run(
        lambda tx: answers.deny(
            tx,
            world,
            account_id=owner.account_id,
            answered_by=owner.principal,
            challenge_id=challenge.challenge_id,
            denial=denial,
        )
    )


@pytest.mark.bar("B46")
def test_what_was_denied_is_not_asked_again_while_it_would_have_lived(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    asker, other = owner.key().principal, owner.key("b").principal
    denied = owner.asked(order(), principal=asker)
    deployment.clock.tick(1_000)
    deny(owner, denied)
    with refused(Reason.DENIED) as why:
        owner.ask(order(), principal=asker)
    assert why.value.retry_after_ms == denied.expires_at - deployment.clock.ms
    with refused(Reason.DENIED):  # facts that changed are no new question
        owner.ask(order(leverage=125), principal=asker)
    assert owner.asked(order(), principal=other)
    assert owner.asked(order(symbol="ELSEUSDT"), principal=asker)
    deployment.clock.ms = denied.expires_at - 1
    with refused(Reason.DENIED):
        owner.ask(order(), principal=asker)
    deployment.clock.tick(1)
    assert owner.asked(order(), principal=asker).challenge_id != denied.challenge_id


def test_what_was_withdrawn_or_expired_may_be_asked_again(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    cancel(owner, owner.asked(order()), owner.principal)
    assert owner.asked(order())
    deployment.clock.tick(300_000)
    assert owner.asked(order())


@pytest.mark.bar("B47")
def test_anothers_challenge_is_unknown(deployment: Deployment) -> None:
    alice, bob = deployment.owner("alice", enrolled=[FUTURES]), deployment.owner("bob", enrolled=[FUTURES])
    challenge = alice.asked(order(), principal=alice.key().principal)
    for owner, principal in ((bob, bob.principal), (alice, alice.principal), (alice, alice.key("b").principal)):
        with refused(Reason.UNKNOWN_ID):
            cancel(owner, challenge, principal)
    with refused(Reason.UNKNOWN_ID):
        deny(bob, challenge)
    assert alice.challenge(challenge).state is State.PENDING


# -- B52: what ends what waits ---------------------------------------------------------------------------------------
def by_lock(owner: Owner, _key_id: str) -> None:
    world = owner.deployment.world
    owner.deployment.run(lambda tx: accounts.lock(tx, world, account_id=owner.account_id, by="operator:op_1"))


def by_sign_out(owner: Owner, _key_id: str) -> None:
    world, token = owner.deployment.world, owner.token
    owner.deployment.run(lambda tx: sign_in.sign_out(tx, world, token=token))


def by_revocation(owner: Owner, key_id: str) -> None:
    world = owner.deployment.world
    owner.deployment.run(
        lambda tx: api_keys.revoke_key(tx, world, account_id=owner.account_id, key_id=key_id, by=owner.principal)
    )


def by_removing_the_venue(owner: Owner, key_id: str) -> None:
    world = owner.deployment.world
    key = owner.deployment.read(lambda tx: tx.key(owner.account_id, key_id))
    assert key is not None
    owner.deployment.run(
        lambda tx: api_keys.remove_upstream(
            tx, world, account_id=owner.account_id, upstream_id=key.upstream_id, by=owner.principal
        )
    )


def by_another_factor(owner: Owner, _key_id: str) -> None:
    owner.enrol(FUTURES)


def by_not_me(owner: Owner, key_id: str) -> None:
    deny(owner, owner.asked(order(symbol="EVIL"), principal=f"key:{key_id}"), Denial.NOT_ME)


@pytest.mark.bar("B52")
@pytest.mark.parametrize(
    ("end", "asker"),
    [
        (by_lock, "session"),
        (by_lock, "key"),
        (by_sign_out, "session"),
        (by_revocation, "key"),
        (by_removing_the_venue, "key"),
        (by_another_factor, "session"),
        (by_another_factor, "key"),
        (by_not_me, "key"),
    ],
)
def test_what_was_asked_before_cannot_be_finished_after(
    alice: Owner, end: Callable[[Owner, str], None], asker: str
) -> None:
    key = alice.key()
    principal = key.principal if asker == "key" else alice.principal
    waiting = alice.asked(order(symbol="WAIT"), principal=principal)
    approved = alice.approved(order(symbol="GRANT"), principal=principal)
    before = len(events(alice))
    end(alice, key.key_id)
    assert [alice.challenge(c).state for c in (waiting, approved.challenge)] == [State.CANCELLED] * 2
    cancelled = [event for event in events(alice)[before:] if event.kind is EventKind.CHALLENGE_CANCELLED]
    assert {waiting.challenge_id, approved.challenge.challenge_id} <= {
        challenge.challenge_id
        for challenge in (waiting, approved.challenge)
        if any(challenge.challenge_id.encode() in event.body for event in cancelled)
    }
    with refused(Reason.ACCOUNT_LOCKED if end is by_lock else Reason.CHALLENGE_NOT_PENDING):
        if end is by_lock:  # there is no session left to answer from, and no answer would be looked at
            alice.deployment.run(lambda tx: tx.lock_account(alice.account_id).must_be_active())
        else:
            alice.prove(waiting, code=alice.code())
    with refused(Reason.NOT_APPROVED):
        alice.redeem(order(symbol="GRANT"), approved.grant, principal=principal)
    assert wrong(alice) == 0


@pytest.mark.bar("B52")
def test_a_locked_account_is_stopped_at_every_gate(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[LOGIN, FUTURES])
    key = owner.key()
    world = deployment.world
    half = deployment.run(
        lambda tx: sign_in.sign_in(tx, world, login="alice", source="192.0.2.1", finding=owner.finding())
    )
    by_lock(owner, "")
    code = owner.fresh_code(LOGIN)
    for token in (owner.token, half.token):
        with refused(Reason.NOT_AUTHENTICATED):
            deployment.run(lambda tx, t=token: sign_in.complete_login(tx, world, token=t, code=code))  # type: ignore[misc]
    with refused(Reason.SIGN_IN_FAILED):
        owner.sign_in()
    with refused(Reason.ACCOUNT_LOCKED):
        owner.ask(order(), principal=key.principal)
    with refused(Reason.CONFLICT):
        by_lock(owner, "")
    deployment.run(lambda tx: accounts.unlock(tx, world, account_id=owner.account_id, by="operator:op_1"))
    owner.sign_in()
    assert owner.approved(order(), principal=key.principal)


@pytest.mark.bar("B52")
def test_an_answer_to_a_locked_account_is_not_looked_at(alice: Owner) -> None:
    """Even a challenge that somehow still waits: the lock is read in the transaction of the answer."""
    waiting = alice.asked(order())
    alice.deployment.run(lambda tx: tx.set_account_state(alice.account_id, "locked"))
    with refused(Reason.ACCOUNT_LOCKED):
        alice.prove(waiting)
    assert wrong(alice) == 0


def test_other_askers_keep_what_is_theirs(alice: Owner) -> None:
    kept, ended = alice.key("kept"), alice.key("ended")
    mine = alice.asked(order(), principal=kept.principal)
    by_revocation(alice, ended.key_id)
    assert alice.challenge(mine).state is State.PENDING


def test_not_me_freezes_the_key_and_tells_the_owner(alice: Owner) -> None:
    deployment = alice.deployment
    deployment.run(lambda tx: tx.set_address(Address(alice.account_id, "adr", Channel.EMAIL, "a@example.com")))
    key = alice.key()
    deny(alice, alice.asked(order(), principal=key.principal), Denial.NOT_ME)
    stored = deployment.read(lambda tx: tx.key(alice.account_id, key.key_id))
    assert stored is not None
    assert stored.state is KeyState.FROZEN
    with refused(Reason.KEY_FROZEN):
        alice.ask(order(), principal=key.principal)
    kinds = [message.kind for message in deployment.read(lambda tx: tx.due_messages(limit=99))]
    assert kinds.count("challenge.not_me") == 1
    assert deployment.read(lambda tx: tx.last_change()) > 0


def test_not_me_ends_the_session_that_asked(alice: Owner) -> None:
    stolen = alice.session
    challenge = alice.asked(order())
    alice.sign_in()
    deny(alice, challenge, Denial.NOT_ME)
    assert stolen is not None
    found = alice.deployment.read(lambda tx: tx.session(alice.account_id, stolen.session_id))
    assert found is not None
    assert found.state == "ended"


def test_a_revoked_key_asks_nothing(alice: Owner) -> None:
    key = alice.key()
    by_revocation(alice, key.key_id)
    with refused(Reason.KEY_REVOKED):
        alice.ask(order(), principal=key.principal)
    with refused(Reason.KEY_REVOKED):
        alice.ask(order(), principal="key:key_nobody")
    with refused(Reason.UNKNOWN_ID):
        by_revocation(alice, key.key_id)


def test_an_action_that_needs_no_proof_any_more_ends_its_challenge(alice: Owner) -> None:
    challenge = alice.asked(order())
    assert isinstance(alice.ask(order(leverage=20)), Allowed)
    assert alice.challenge(challenge).state is State.CANCELLED


def test_the_sweep_writes_down_what_time_has_ended(alice: Owner) -> None:
    deployment = alice.deployment
    pending, approved = alice.asked(order(symbol="A")), alice.approved(margin_mode())
    assert alice.swept() == 0
    deployment.clock.tick(MINUTE)
    assert alice.swept() == 1
    deployment.clock.tick(5 * MINUTE)
    assert deployment.read(lambda tx: tx.overdue_accounts(limit=9)) == [alice.account_id]
    assert alice.swept() == 1
    assert deployment.read(lambda tx: tx.overdue_accounts(limit=9)) == []
    assert {alice.challenge(c).state for c in (pending, approved.challenge)} == {State.EXPIRED}
