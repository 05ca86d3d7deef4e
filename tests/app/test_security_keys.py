"""Security keys in use: added, answering logins and movements and nothing else, counted, removed, lost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.observing import FUTURES, LOGIN, MARGIN, SPOT, events, wrong
from app.test_layers import withdrawal
from leverlock.app import prove as proving
from leverlock.app import security_keys, sign_in
from leverlock.app.accounts import set_address
from leverlock.app.cancellations import cancel_by_link
from leverlock.app.ceremonies import PURPOSES
from leverlock.app.decide import Asked
from leverlock.app.pending import cancel_change
from leverlock.app.proofs import Proof
from leverlock.app.prove import Advanced, Approved
from leverlock.domain.account import SessionState
from leverlock.domain.action import Action
from leverlock.domain.actions import ACTIONS
from leverlock.domain.audit import EventKind
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.environment import MARKETS
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import DAY, MINUTE
from leverlock.domain.messages import Channel
from leverlock.domain.pending_change import PendingChange
from leverlock.domain.requirement import ProofKind
from leverlock.domain.security_key import Purpose, SecurityKey, SecurityKeyState
from leverlock.ports_security_keys import Assertion, Attestation, KeyDenied
from software_key import SoftwareKey, Spoilt, decoded
from trail_state import must_agree
from world import Deployment, Owner, margin_mode, options_of, order, refused


@pytest.fixture
def owner(deployment: Deployment) -> Owner:
    """An owner with a Futures authenticator, told by mail of what happens."""
    made = deployment.owner(enrolled=[FUTURES])
    told = {"account_id": made.account_id, "channel": Channel.EMAIL, "target": "alice@example.com", "by": "test"}
    deployment.run(lambda tx: set_address(tx, deployment.world, **told))
    return made


def notices(owner: Owner, kind: str) -> list[dict[str, Any]]:
    found = owner.deployment.read(lambda tx: tx.due_messages(limit=1000))
    return [json.loads(one.body) for one in found if one.account_id == owner.account_id and one.kind == kind]


def stored(owner: Owner, key_id: str) -> SecurityKey:
    found = owner.deployment.read(lambda tx: tx.security_key(owner.account_id, key_id))
    assert found is not None
    return found


def steps(owner: Owner) -> list[str]:
    """Which checks the audit says failed."""
    told = [json.loads(event.body)["details"] for event in events(owner, EventKind.ANSWER_REFUSED)]
    return [one["step"] for one in told if "step" in one]


def agrees(owner: Owner) -> None:
    must_agree(owner.deployment.path, owner.account_id, events(owner))


def second_layer(owner: Owner, action: Action | None = None, *, principal: str | None = None) -> Challenge:
    """A movement whose wallet is open: what is left is the key."""
    challenge = owner.asked(action or withdrawal(), principal=principal)
    [answer] = owner.prove(challenge)
    assert isinstance(answer, Advanced)
    return answer.challenge


def removing(owner: Owner, key_id: str) -> SecurityKey | Asked:
    session, world = owner.session, owner.deployment.world
    assert session is not None
    return owner.deployment.run(lambda tx: security_keys.remove(tx, world, session=session, key_id=key_id))


def giving_up(owner: Owner, key_id: str) -> PendingChange | Asked:
    session, world = owner.session, owner.deployment.world
    assert session is not None
    return owner.deployment.run(lambda tx: security_keys.give_up(tx, world, session=session, key_id=key_id))


# -- adding ----------------------------------------------------------------------------------------------------------
@pytest.mark.mission("M22")
@pytest.mark.bar("B28")
def test_a_key_is_added_with_password_and_code_and_everybody_is_told(owner: Owner) -> None:
    asking = owner.registration("blue")
    key = owner.register(SoftwareKey(), asking)
    assert (key.label, key.state, key.synced) == ("blue", SecurityKeyState.ACTIVE, False)
    assert key.serves_movements_at == owner.deployment.clock.ms + DAY
    [notice] = notices(owner, "security_key.added")
    assert notice["label"] == "blue"
    assert notice["serves_movements_at"] == key.serves_movements_at
    approvals = [json.loads(one.body)["details"] for one in events(owner, EventKind.CHALLENGE_APPROVED)]
    assert approvals[-1]["proofs"] == ["password", "totp"]
    agrees(owner)


def test_without_any_authenticator_a_key_is_added_with_the_password_alone(deployment: Deployment) -> None:
    owner = deployment.owner("bob")
    key_id = owner.add_key()
    approvals = [json.loads(one.body)["details"] for one in events(owner, EventKind.CHALLENGE_APPROVED)]
    assert approvals[-1]["proofs"] == ["password"]
    assert stored(owner, key_id).state is SecurityKeyState.ACTIVE


@pytest.mark.bar("B28")
def test_a_futures_authenticator_of_today_does_not_leave_the_password_alone(deployment: Deployment) -> None:
    owner = deployment.owner("bob", enrolled=[LOGIN, FUTURES])  # the second may not vouch for a day
    owner.add_key()
    approvals = [json.loads(one.body)["details"] for one in events(owner, EventKind.CHALLENGE_APPROVED)]
    assert approvals[-1]["proofs"] == ["password", "totp"]


@pytest.mark.bar("B28")
@pytest.mark.bar("B10")
def test_a_stolen_session_adds_nothing_without_the_owners_answer(owner: Owner) -> None:
    session, world = owner.session, owner.deployment.world
    begun = owner.deployment.run(
        lambda tx: security_keys.begin_registration(tx, world, session=session, label="thief's")
    )
    assert isinstance(begun, Asked)
    challenge = {"challenge": "AAAA"}
    answer = decoded(SoftwareKey().register(challenge))
    with refused(Reason.CEREMONY_OVER):
        owner.deployment.run(
            lambda tx: security_keys.register(tx, world, session=session, attestation=Attestation(**answer))
        )
    assert not owner.deployment.read(lambda tx: tx.security_keys(owner.account_id))


def test_the_owner_agrees_to_one_name_and_one_key(owner: Owner) -> None:
    asking = owner.registration("blue")
    owner.register(SoftwareKey(), asking)
    with refused(Reason.CEREMONY_OVER):
        owner.register(SoftwareKey(), asking)


def test_where_a_login_challenge_is_active_it_was_met_in_the_last_five_minutes(deployment: Deployment) -> None:
    owner = deployment.owner("bob")
    owner.add_key()
    deployment.clock.tick(5 * MINUTE)
    with refused(Reason.PASSWORD_TOO_OLD):
        owner.registration()
    owner.sign_in()
    owner.registration()


@pytest.mark.bar("B28")
def test_a_credential_belongs_to_one_account_for_ever(owner: Owner, deployment: Deployment) -> None:
    key = SoftwareKey()
    key_id = owner.add_key(key)
    bob = deployment.owner("bob")
    with refused(Reason.SECURITY_KEY_REFUSED):
        bob.register(key, bob.registration())
    asked = removing(owner, key_id)
    assert isinstance(asked, Asked)
    owner.prove_with_key(asked.challenge, key)
    removing(owner, key_id)
    for one in (bob, owner):
        one.keys.clear()
        one.sign_in()
        with refused(Reason.SECURITY_KEY_REFUSED):
            one.register(key, one.registration())
        assert steps(one)[-1] == "known"
        agrees(one)


@pytest.mark.bar("B28")
def test_the_keys_that_are_there_are_named_so_that_none_is_added_twice(owner: Owner) -> None:
    first = SoftwareKey()
    owner.add_key(first)
    assert [key.credential_id for key in owner.registration().keys] == [first.credential_id]


def test_an_account_has_at_most_ten(deployment: Deployment) -> None:
    owner = deployment.owner("bob")
    for _ in range(10):
        owner.add_key(aged=False)
    with refused(Reason.CONFLICT):
        owner.registration()


@pytest.mark.bar("B60")
def test_a_new_key_ends_the_other_sessions(owner: Owner) -> None:
    other = owner.session
    owner.sign_in()
    owner.add_key(aged=False)
    assert other is not None
    found = owner.deployment.read(lambda tx: tx.session(owner.account_id, other.session_id))
    assert found is not None
    assert found.state is SessionState.ENDED
    agrees(owner)


@pytest.mark.bar("B39")
def test_the_link_in_the_notice_takes_a_key_away_that_the_owner_did_not_add(owner: Owner) -> None:
    key_id = owner.add_key(aged=False)
    [notice] = notices(owner, "security_key.added")
    world = owner.deployment.world
    for _ in range(2):
        assert owner.deployment.run(lambda tx: cancel_by_link(tx, world, token=notice["cancel"])) == "sk"
    assert stored(owner, key_id).state is SecurityKeyState.REMOVED
    with refused(Reason.NOT_AUTHENTICATED):
        owner.deployment.run(lambda tx: sign_in.owner(tx, world, token=owner.token))
    assert len(notices(owner, "security_key.removed")) == 1
    agrees(owner)


def test_the_link_takes_nothing_away_that_serves_by_now(owner: Owner) -> None:
    key_id = owner.add_key()
    [notice] = notices(owner, "security_key.added")
    world = owner.deployment.world
    with refused(Reason.CONFLICT):
        owner.deployment.run(lambda tx: cancel_by_link(tx, world, token=notice["cancel"]))
    assert stored(owner, key_id).state is SecurityKeyState.ACTIVE


# -- logging in ------------------------------------------------------------------------------------------------------
@pytest.mark.mission("M1")
@pytest.mark.mission("M22")
def test_a_key_is_a_login_challenge_and_completes_it_at_once(deployment: Deployment) -> None:
    owner, key = deployment.owner("bob"), SoftwareKey()
    key_id = owner.add_key(key, aged=False)
    assert owner.begin_sign_in().state is SessionState.LOGIN_CHALLENGE
    with refused(Reason.LOGIN_CHALLENGE_OPEN):
        deployment.run(lambda tx: sign_in.owner(tx, deployment.world, token=owner.token))
    assert owner.complete_with_key(key).state is SessionState.FULL
    assert stored(owner, key_id).sign_count == key.count
    assert stored(owner, key_id).last_used_at == deployment.clock.ms
    assert wrong(owner) == 0
    agrees(owner)


def test_with_both_either_completes_it(deployment: Deployment) -> None:
    owner, key = deployment.owner("bob", enrolled=[FUTURES, LOGIN]), SoftwareKey()
    owner.add_key(key)
    owner.begin_sign_in()
    owner.complete_with_key(key)
    owner.keys.clear()
    owner.sign_in()
    kinds = deployment.read(lambda tx: sign_in.login_challenge(tx, owner.account_id))
    assert kinds == [ProofKind.TOTP, ProofKind.SECURITY_KEY]


@pytest.mark.mission("M1")
@pytest.mark.bar("B23")
def test_an_answer_serves_once_also_when_it_is_wrong(deployment: Deployment) -> None:
    owner, key = deployment.owner("bob"), SoftwareKey()
    owner.add_key(key)
    owner.begin_sign_in()
    asking = owner.login_options()
    with refused(Reason.WRONG_CODE):
        owner.complete_with_key(key, asking, Spoilt(origin="https://evil.example"))
    with refused(Reason.CEREMONY_OVER):
        owner.complete_with_key(key, asking)
    assert wrong(owner) == 1
    assert steps(owner) == ["origin"]
    owner.complete_with_key(key)
    agrees(owner)


@pytest.mark.bar("B23")
def test_the_newest_options_count_and_they_live_two_minutes(deployment: Deployment) -> None:
    owner, key = deployment.owner("bob"), SoftwareKey()
    owner.add_key(key)
    owner.begin_sign_in()
    old = owner.login_options()
    late = owner.login_options()
    with refused(Reason.WRONG_CODE):
        owner.complete_with_key(key, old)
    late = owner.login_options()
    deployment.clock.tick(2 * MINUTE)
    with refused(Reason.CEREMONY_OVER):
        owner.complete_with_key(key, late)
    assert steps(owner) == ["challenge"]


@pytest.mark.bar("B25")
def test_another_accounts_key_and_no_key_at_all_complete_nothing(deployment: Deployment) -> None:
    alice, bob = deployment.owner("alice"), deployment.owner("bob", enrolled=[FUTURES, LOGIN])
    hers = SoftwareKey()
    alice.add_key(hers)
    bob.begin_sign_in()
    with refused(Reason.CONFLICT):
        bob.login_options()
    own = SoftwareKey()
    bob.sign_in()
    bob.add_key(own)
    bob.begin_sign_in()
    for spoilt in (Spoilt(), Spoilt(credential_id=own.credential_id), Spoilt(user_handle=alice.account_id.encode())):
        with refused(Reason.WRONG_CODE):
            bob.complete_with_key(hers, spoilt=spoilt)
    assert steps(bob) == ["not_allowed", "signature", "not_allowed"]
    with refused(Reason.WRONG_CODE):
        bob.complete_with_key(own, spoilt=Spoilt(user_handle=alice.account_id.encode()))
    bob.complete_with_key(own, spoilt=Spoilt(user_handle=bob.account_id.encode()))


def test_a_removed_key_completes_nothing(owner: Owner) -> None:
    kept, key = SoftwareKey(), SoftwareKey()
    owner.add_key(kept)
    key_id = owner.add_key(key)
    asked = removing(owner, key_id)
    assert isinstance(asked, Asked)
    owner.prove_with_key(asked.challenge, key)
    removing(owner, key_id)
    owner.begin_sign_in()
    with refused(Reason.WRONG_CODE):
        owner.complete_with_key(key)


# -- movements -------------------------------------------------------------------------------------------------------
@pytest.mark.mission("M17")
@pytest.mark.mission("M22")
@pytest.mark.bar("B23")
def test_a_movement_is_authorised_by_the_key_which_signs_the_action_itself(owner: Owner) -> None:
    key = SoftwareKey()
    owner.add_key(key)
    challenge = second_layer(owner)
    assert challenge.requirement.proofs == {ProofKind.WALLET, ProofKind.SECURITY_KEY}
    asking = owner.ask_key(challenge)
    assert asking.ceremony.challenge[32:] == challenge.digest
    [approved] = owner.prove_with_key(challenge, key, asking=asking)
    assert isinstance(approved, Approved)
    owner.redeem(withdrawal(), approved.grant)
    assert wrong(owner) == 0
    agrees(owner)


@pytest.mark.bar("B20")
def test_with_a_key_no_movement_falls_back_to_a_code(owner: Owner) -> None:
    owner.add_key()
    challenge = second_layer(owner)
    with refused(Reason.PROOF_NOT_ACCEPTED):
        owner.prove(challenge, code=owner.fresh_code(), password=owner.finding())
    with refused(Reason.PROOF_NOT_ACCEPTED):
        owner.prove(challenge, code=owner.fresh_code())


def test_a_key_that_is_not_a_day_old_authorises_nothing_and_the_code_serves_until_then(owner: Owner) -> None:
    key = SoftwareKey()
    owner.add_key(key, aged=False)
    challenge = second_layer(owner)
    assert challenge.requirement.proofs == {ProofKind.WALLET, ProofKind.PASSWORD, ProofKind.TOTP}
    with refused(Reason.PROOF_NOT_ACCEPTED):
        owner.ask_key(challenge)
    [approved] = owner.prove(challenge)
    assert isinstance(approved, Approved)


def test_what_was_approved_with_a_code_is_not_executed_once_a_key_serves(owner: Owner) -> None:
    owner.add_key(aged=False)
    owner.deployment.clock.tick(DAY - MINUTE)
    owner.sign_in()
    approved = owner.approved(withdrawal())
    owner.deployment.clock.tick(MINUTE // 2)
    owner.deployment.clock.tick(MINUTE // 4)
    # Thirty seconds more and the grant is still good for some of them, but the key serves.
    owner.deployment.clock.ms = stored(owner, next(iter(owner.keys))).serves_movements_at
    with pytest.raises(Refused) as why:
        owner.redeem(withdrawal(), approved.grant)
    assert why.value.reason in (Reason.POLICY_CHANGED, Reason.GRANT_EXPIRED)


@pytest.mark.bar("B24")
@pytest.mark.bar("B50")
def test_what_logged_in_does_not_authorise_and_the_reverse(owner: Owner) -> None:
    key = SoftwareKey()
    owner.add_key(key)
    challenge = second_layer(owner)
    for_movement = owner.ask_key(challenge)
    thief = replace(owner, keys={})
    thief.begin_sign_in()
    for_login = thief.login_options()
    with refused(Reason.WRONG_CODE):
        owner.prove_with_key(challenge, key, asking=for_login)
    with refused(Reason.WRONG_CODE):
        thief.complete_with_key(key, for_movement)
    assert steps(owner) == ["challenge", "challenge"]


@pytest.mark.bar("B24")
def test_an_answer_for_one_movement_authorises_no_other(owner: Owner) -> None:
    key = SoftwareKey()
    owner.add_key(key)
    small, large = second_layer(owner, withdrawal(amount="1")), second_layer(owner, withdrawal(amount="1000"))
    asking = owner.ask_key(small)
    with refused(Reason.CEREMONY_OVER):
        owner.prove_with_key(large, key, asking=asking)
    owner.ask_key(large)
    with refused(Reason.WRONG_CODE):
        owner.prove_with_key(large, key, asking=asking)
    assert owner.challenge(large).state is State.PENDING
    [approved] = owner.prove_with_key(small, key, asking=asking)
    assert isinstance(approved, Approved)
    agrees(owner)


@pytest.mark.bar("B23")
def test_the_options_of_one_session_are_not_answered_in_another(owner: Owner) -> None:
    key = SoftwareKey()
    owner.add_key(key)
    challenge = second_layer(owner)
    asking = owner.ask_key(challenge)
    other = replace(owner)
    other.sign_in()
    with refused(Reason.CEREMONY_OVER):
        other.prove_with_key(challenge, key, asking=asking)


@pytest.mark.bar("B24")
@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_only_movements_and_the_removal_of_keys_are_ever_answered_by_one(name: str) -> None:
    """The purpose matrix: the table that says what an assertion may prove names nothing else."""
    expected = None
    if name in {f"{market}.{verb}" for market in MARKETS for verb in ("withdraw", "transfer_out")}:
        expected = Purpose.MOVEMENT
    elif name == "login.security_key.remove":
        expected = Purpose.REMOVE
    assert PURPOSES.get(name) is expected
    floor = ACTIONS[name].floor
    may = floor is not None and bool(floor.proofs & {ProofKind.MOVEMENT, ProofKind.SECURITY_KEY})
    assert may is (expected is not None)


@pytest.mark.mission("M22")
@pytest.mark.bar("B24")
@pytest.mark.parametrize("what", ["order", "margin mode"])
def test_orders_and_margin_mode_take_no_assertion(owner: Owner, what: str) -> None:
    key = SoftwareKey()
    owner.add_key(key)
    challenge = owner.asked({"order": order(), "margin mode": margin_mode()}[what])
    with refused(Reason.PROOF_NOT_ACCEPTED):
        owner.ask_key(challenge)
    movement = second_layer(owner)
    with refused(Reason.PROOF_NOT_ACCEPTED):
        owner.prove_with_key(challenge, key, asking=owner.ask_key(movement))
    assert wrong(owner) == 0


@pytest.mark.bar("B79")
def test_with_the_authenticator_disabled_the_key_logs_in_and_moves_nothing(owner: Owner) -> None:
    key = SoftwareKey()
    owner.add_key(key)
    limits = owner.deployment.world.limits
    for _ in range(limits.factor_disable_after):
        challenge = owner.asked(order())
        with pytest.raises(Refused):
            owner.prove(challenge, code=owner.wrong_code())
        owner.deployment.clock.tick(limits.factor_block_max_ms + 1)
        owner.begin_sign_in()
        owner.complete_with_key(key)
    bound = owner.deployment.read(lambda tx: tx.bound_authenticator(owner.account_id, FUTURES))
    assert bound is not None
    assert bound.budget.disabled
    owner.begin_sign_in()
    assert owner.complete_with_key(key).state is SessionState.FULL
    with refused(Reason.NO_USABLE_FACTOR):
        owner.ask(withdrawal())
    agrees(owner)


# -- counters --------------------------------------------------------------------------------------------------------
@pytest.mark.bar("B27")
@pytest.mark.parametrize("given", [0, 3, 5])
def test_a_counter_that_does_not_grow_suspends_the_key_and_is_told_once(owner: Owner, given: int) -> None:
    key = SoftwareKey()
    key.count = 4
    key_id = owner.add_key(key)  # registered at 5
    key.count = 4
    owner.begin_sign_in()
    for _ in range(2):
        with refused(Reason.WRONG_CODE):
            owner.complete_with_key(key, spoilt=Spoilt(count=given))
    kept = stored(owner, key_id)
    assert kept.state is SecurityKeyState.SUSPENDED
    assert kept.sign_count >= 5
    assert len(notices(owner, "security_key.suspended")) == 1
    assert steps(owner) == ["counter", "counter"]
    assert wrong(owner) == 2
    agrees(owner)


@pytest.mark.bar("B27")
@pytest.mark.bar("B20")
def test_a_suspended_key_logs_in_and_no_movement_falls_back_to_a_code(owner: Owner) -> None:
    key = SoftwareKey()
    key_id = owner.add_key(key)
    challenge = second_layer(owner)
    with refused(Reason.WRONG_CODE):
        owner.prove_with_key(challenge, key, spoilt=Spoilt(count=0))
    assert stored(owner, key_id).state is SecurityKeyState.SUSPENDED
    assert owner.challenge(challenge).state is State.CANCELLED
    with refused(Reason.NO_USABLE_FACTOR):
        owner.ask(withdrawal())
    key.count = 100
    owner.sign_in()
    with refused(Reason.NO_USABLE_FACTOR):
        removing(owner, key_id)  # a copy must not take the key away either
    agrees(owner)


@pytest.mark.bar("B27")
def test_a_key_that_does_not_count_serves_as_long_as_it_does_not(owner: Owner) -> None:
    key = SoftwareKey(counts=False)
    key_id = owner.add_key(key)
    for _ in range(3):
        owner.sign_in()
    assert stored(owner, key_id).sign_count == 0
    owner.begin_sign_in()
    owner.complete_with_key(key, spoilt=Spoilt(count=7))
    owner.begin_sign_in()
    with refused(Reason.WRONG_CODE):
        owner.complete_with_key(key, spoilt=Spoilt(count=0))
    assert stored(owner, key_id).state is SecurityKeyState.SUSPENDED


@pytest.mark.bar("B27")
def test_a_wrong_signature_moves_no_counter(owner: Owner) -> None:
    key = SoftwareKey()
    key_id = owner.add_key(key)
    before = stored(owner, key_id).sign_count
    owner.begin_sign_in()
    with refused(Reason.WRONG_CODE):
        owner.complete_with_key(key, spoilt=Spoilt(count=1000, signer=SoftwareKey()))
    assert stored(owner, key_id).sign_count == before
    assert stored(owner, key_id).state is SecurityKeyState.ACTIVE


# -- the verifier ----------------------------------------------------------------------------------------------------
class Answering:
    """A verifier that answers what it was told to."""

    def __init__(self, real: Any, answer: Any) -> None:
        self.relying_party, self.algorithms, self._answer = real.relying_party, real.algorithms, answer

    def verify_assertion(self, *_: Any, **__: Any) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    verify_registration = verify_assertion


@pytest.mark.bar("B26")
@pytest.mark.parametrize("answer", [None, False, True, {}, "", KeyDenied("x"), RuntimeError("broke")], ids=repr)
def test_whatever_a_verifier_answers_but_a_signature_grants_nothing(owner: Owner, answer: Any) -> None:
    key = SoftwareKey()
    owner.add_key(key)
    challenge = second_layer(owner)
    deployment, world = owner.deployment, owner.deployment.world
    deployment.world = replace(world, security_keys=Answering(world.security_keys, answer))
    with pytest.raises((Refused, RuntimeError)):
        owner.prove_with_key(challenge, key)
    owner.begin_sign_in()
    with pytest.raises((Refused, RuntimeError)):
        owner.complete_with_key(key)
    deployment.world = world
    assert owner.challenge(challenge).state is State.PENDING
    assert wrong(owner) == 2
    agrees(owner)


# -- removing --------------------------------------------------------------------------------------------------------
@pytest.mark.bar("B30")
def test_a_key_is_removed_at_once_with_itself_however_new(owner: Owner) -> None:
    key = SoftwareKey()
    key_id = owner.add_key(key, aged=False)
    asked = removing(owner, key_id)
    assert isinstance(asked, Asked)
    assert asked.challenge.requirement.proofs == {ProofKind.SECURITY_KEY}
    owner.prove_with_key(asked.challenge, key)
    removed = removing(owner, key_id)
    assert isinstance(removed, SecurityKey)
    assert stored(owner, key_id).state is SecurityKeyState.REMOVED
    assert len(notices(owner, "security_key.removed")) == 1
    agrees(owner)


@pytest.mark.bar("B30")
def test_another_key_removes_it_only_when_it_is_a_day_old(owner: Owner) -> None:
    old, new = SoftwareKey(), SoftwareKey()
    old_id = owner.add_key(old)
    owner.add_key(new, aged=False)
    asked = removing(owner, old_id)
    assert isinstance(asked, Asked)
    with refused(Reason.WRONG_CODE):
        owner.prove_with_key(asked.challenge, new)
    assert steps(owner) == ["not_allowed"]
    owner.deployment.clock.tick(DAY)
    owner.sign_in()
    asked = removing(owner, old_id)
    assert isinstance(asked, Asked)
    owner.prove_with_key(asked.challenge, new)
    assert isinstance(removing(owner, old_id), SecurityKey)


@pytest.mark.bar("B30")
def test_a_session_alone_and_a_session_with_password_and_code_remove_nothing_at_once(owner: Owner) -> None:
    key_id = owner.add_key()
    asked = removing(owner, key_id)
    assert isinstance(asked, Asked)
    world, account_id = owner.deployment.world, owner.account_id
    with refused(Reason.PROOF_NOT_ACCEPTED):
        owner.deployment.run(
            lambda tx: proving.prove(
                tx,
                world,
                account_id=account_id,
                answered_by=owner.principal,
                challenge_ids=[asked.challenge.challenge_id],
                proof=Proof(owner.code(), owner.finding()),
            )
        )
    assert isinstance(removing(owner, key_id), Asked)
    assert stored(owner, key_id).state is SecurityKeyState.ACTIVE


@pytest.mark.bar("B30")
def test_the_approval_to_remove_one_key_removes_no_other(owner: Owner) -> None:
    one, other = SoftwareKey(), SoftwareKey()
    first, second = owner.add_key(one), owner.add_key(other)
    asked = removing(owner, first)
    assert isinstance(asked, Asked)
    owner.prove_with_key(asked.challenge, other)
    assert isinstance(removing(owner, second), Asked)
    assert isinstance(removing(owner, first), SecurityKey)


def given_up(owner: Owner, key_id: str) -> PendingChange:
    asked = giving_up(owner, key_id)
    assert isinstance(asked, Asked)
    owner.prove(asked.challenge)
    change = giving_up(owner, key_id)
    assert isinstance(change, PendingChange)
    return change


@pytest.mark.bar("B30")
@pytest.mark.mission("M22")
def test_without_a_key_it_takes_password_code_and_a_day_in_which_nothing_moves(owner: Owner) -> None:
    key_id = owner.add_key()
    change = given_up(owner, key_id)
    assert change.due_at == owner.deployment.clock.ms + DAY
    with refused(Reason.ON_HOLD):
        owner.ask(withdrawal())
    owner.deployment.clock.ms = change.due_at - 1
    owner.swept()
    assert stored(owner, key_id).state is SecurityKeyState.ACTIVE
    owner.deployment.clock.ms = change.due_at + 1
    owner.swept()
    assert stored(owner, key_id).state is SecurityKeyState.REMOVED
    owner.keys.clear()
    owner.sign_in()
    assert second_layer(owner).requirement.proofs == {ProofKind.WALLET, ProofKind.PASSWORD, ProofKind.TOTP}
    agrees(owner)


@pytest.mark.bar("B30")
def test_until_then_the_link_or_the_owner_stops_it(owner: Owner) -> None:
    key_id = owner.add_key()
    change = given_up(owner, key_id)
    named = {"account_id": owner.account_id, "change_id": change.change_id, "by": "test"}
    owner.deployment.run(lambda tx: cancel_change(tx, owner.deployment.world, **named))
    owner.deployment.clock.ms = change.due_at
    owner.swept()
    assert stored(owner, key_id).state is SecurityKeyState.ACTIVE


@pytest.mark.bar("B30")
def test_the_last_strong_factor_does_not_vanish(deployment: Deployment) -> None:
    owner = deployment.owner("bob")
    key_id = owner.add_key()
    for act in (removing, giving_up):
        with refused(Reason.LAST_FACTOR):
            act(owner, key_id)
    second = owner.add_key()
    with refused(Reason.NO_USABLE_FACTOR):
        giving_up(owner, second)  # no code can agree: another key can
    assert isinstance(removing(owner, key_id), Asked)


def test_a_key_that_became_the_last_factor_meanwhile_stays_and_the_owner_is_told(owner: Owner) -> None:
    key_id = owner.add_key()
    change = given_up(owner, key_id)
    owner.deployment.clock.ms = change.due_at

    def end(tx: Any) -> None:
        tx.lock_account(owner.account_id)
        tx.end_protection(owner.account_id, FUTURES)

    owner.deployment.run(end)
    owner.swept()
    assert stored(owner, key_id).state is SecurityKeyState.ACTIVE
    assert len(notices(owner, "security_key.kept")) == 1


def test_a_removed_key_voids_what_asked_for_it(owner: Owner) -> None:
    key = SoftwareKey()
    key_id = owner.add_key(key)
    challenge = second_layer(owner)
    asked = removing(owner, key_id)
    assert isinstance(asked, Asked)
    owner.prove_with_key(asked.challenge, key)
    removing(owner, key_id)
    assert owner.challenge(challenge).state is State.CANCELLED


def test_a_key_is_renamed(owner: Owner) -> None:
    key_id = owner.add_key()
    session = owner.session
    assert session is not None
    owner.deployment.run(lambda tx: security_keys.rename(tx, session=session, key_id=key_id, label="green"))
    assert stored(owner, key_id).label == "green"
    agrees(owner)


@pytest.mark.bar("B47")
def test_anothers_key_is_unknown(owner: Owner, deployment: Deployment) -> None:
    key_id = owner.add_key()
    bob = deployment.owner("bob", enrolled=[FUTURES])
    for act in (removing, giving_up):
        with refused(Reason.UNKNOWN_ID):
            act(bob, key_id)


# -- independence ----------------------------------------------------------------------------------------------------
@pytest.mark.mission("M23")
@pytest.mark.parametrize("market", [SPOT, MARGIN])
def test_a_movement_of_another_market_takes_its_own_code_and_the_key(deployment: Deployment, market: Any) -> None:
    owner = deployment.owner("bob", enrolled=[FUTURES, market])
    key = SoftwareKey()
    owner.add_key(key)
    challenge = second_layer(owner, withdrawal(market))
    [approved] = owner.prove_with_key(challenge, key)
    assert isinstance(approved, Approved)


def test_an_assertion_of_a_locked_account_is_not_even_looked_at(owner: Owner) -> None:
    key = SoftwareKey()
    owner.add_key(key)
    owner.begin_sign_in()
    asking = owner.login_options()
    owner.deployment.run(lambda tx: tx.set_account_state(owner.account_id, "locked"))
    assertion = Assertion(**decoded(key.sign(options_of(asking))))
    with refused(Reason.ACCOUNT_LOCKED):
        owner.deployment.run(
            lambda tx: sign_in.complete_login_with_key(
                tx, owner.deployment.world, token=owner.token, assertion=assertion
            )
        )
