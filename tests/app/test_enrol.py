"""Enrol: a fresh secret for one environment, confirmed by its first code; and once it is on, only by consent."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from app.observing import FUTURES, LOGIN, SPOT, events, factor, replacing, streak, wrong
from leverlock.app import enrol
from leverlock.app.decide import Allowed, Asked
from leverlock.domain.account import Session
from leverlock.domain.api_key import KeyState
from leverlock.domain.audit import EventKind
from leverlock.domain.authenticator import AuthenticatorState
from leverlock.domain.challenge import State
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.errors import Reason
from leverlock.domain.policy import Why
from leverlock.domain.totp import SEED_BYTES, hotp, step_at
from world import STEP_MS, Deployment, Owner, oathtool_code, order, refused

MINUTE = 60_000


def start(owner: Owner, environment: Environment = FUTURES, session: Session | None = None) -> enrol.Enrolment | Asked:
    world, used = owner.deployment.world, session or owner.session
    assert used is not None
    return owner.deployment.run(lambda tx: enrol.start(tx, world, session=used, environment=environment))


def begun(owner: Owner, environment: Environment = FUTURES) -> enrol.Enrolment:
    found = start(owner, environment)
    assert isinstance(found, enrol.Enrolment)
    return found


def confirm(
    owner: Owner, pending: enrol.Enrolment, *, code: str = "", session: Session | None = None
) -> enrol.Confirmed:
    world, used = owner.deployment.world, session or owner.session
    assert used is not None
    given = code or hotp(pending.seed, step_at(owner.deployment.clock.ms))
    return owner.deployment.run(
        lambda tx: enrol.confirm(tx, world, session=used, authenticator_id=pending.authenticator_id, code=given)
    )


@pytest.mark.bar("B2")
@pytest.mark.mission("M10")
def test_ten_thousand_enrolments_have_ten_thousand_seeds(deployment: Deployment) -> None:
    owners = [deployment.owner(f"owner{number}") for number in range(5)]
    world = deployment.world
    futures = [
        deployment.store.submit(
            lambda tx, s=owner.session, e=environment: enrol.start(tx, world, session=s, environment=e)  # type: ignore[misc]
        )
        for _ in range(10_000 // 20)
        for owner in owners
        for environment in Environment
    ]
    seeds = [future.result(60).seed for future in futures]
    assert len(seeds) == len(set(seeds)) == 10_000
    assert {len(seed) for seed in seeds} == {SEED_BYTES}
    with sqlite3.connect(deployment.path) as raw:
        nonces = raw.execute("SELECT count(DISTINCT nonce), count(DISTINCT ciphertext) FROM authenticator").fetchone()
    assert nonces == (10_000, 10_000)


@pytest.mark.mission("M8")
@pytest.mark.mission("M9")
def test_only_the_confirmed_factor_is_active_and_its_recovery_codes_show_once(deployment: Deployment) -> None:
    owner = deployment.owner()
    pending = begun(owner)
    assert deployment.read(lambda tx: tx.protections(owner.account_id)) == {}
    assert isinstance(owner.ask(order()), Allowed)
    confirmed = confirm(owner, pending)
    assert FUTURES in deployment.read(lambda tx: tx.protections(owner.account_id))
    assert isinstance(owner.ask(order()), Asked)
    assert len(set(confirmed.recovery_codes)) == 10
    assert {len(code.replace("-", "")) for code in confirmed.recovery_codes} == {24}
    owner.seeds[FUTURES], owner.used[FUTURES] = pending.seed, step_at(deployment.clock.ms)
    owner.authenticators[FUTURES] = pending.authenticator_id
    old_codes = stored_recovery_codes(deployment)
    asked = start(owner)
    assert isinstance(asked, Asked)
    owner.prove(asked.challenge)
    replaced = confirm(owner, begun(owner))
    assert replaced.recovery_codes == ()  # never again
    assert stored_recovery_codes(deployment) == old_codes


def stored_recovery_codes(deployment: Deployment) -> list[bytes]:
    with sqlite3.connect(deployment.path) as raw:
        return [row[0] for row in raw.execute("SELECT code_hash FROM recovery_code ORDER BY 1")]


@pytest.mark.bar("B31")
def test_recovery_codes_are_kept_as_keyed_hashes_of_their_scope(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES, SPOT])
    plain = [code.replace("-", "") for code in owner.recovery_codes[FUTURES]]
    hashes = {
        deployment.sealer.mac("recovery", f"{owner.account_id}|{environment}|{code}".encode())
        for environment, codes in owner.recovery_codes.items()
        for code in (text.replace("-", "") for text in codes)
    }
    assert hashes == set(stored_recovery_codes(deployment))
    assert len(hashes) == 20
    assert len(plain) == 10


@pytest.mark.bar("B7")
@pytest.mark.mission("M8")
def test_the_code_that_confirmed_cannot_approve(deployment: Deployment) -> None:
    owner = deployment.owner()
    pending = begun(owner)
    code = hotp(pending.seed, step_at(deployment.clock.ms))
    confirm(owner, pending, code=code)
    owner.seeds[FUTURES] = pending.seed
    with refused(Reason.CODE_ALREADY_USED):
        owner.prove(owner.asked(order()), code=code)
    deployment.clock.tick(STEP_MS)
    assert owner.prove(owner.asked(order()), code=owner.code())


@pytest.mark.bar("B10")
@pytest.mark.mission("M23")
@pytest.mark.parametrize("environment", Environment)
def test_a_stolen_session_cannot_rebind_what_is_on(deployment: Deployment, environment: Environment) -> None:
    owner = deployment.owner(enrolled=[LOGIN, *MARKETS])
    asked = start(owner, environment)
    assert isinstance(asked, Asked)
    assert asked.challenge.requirement.words() == ["password", "totp"]
    assert asked.challenge.environment is environment
    for other in Environment:
        if other is not environment:
            with refused(Reason.WRONG_CODE):
                owner.prove(asked.challenge, code=owner.fresh_code(other))
    assert isinstance(start(owner, environment), Asked)
    pending = [
        found
        for found in deployment.read(lambda tx: tx.authenticators(owner.account_id))
        if found.state is AuthenticatorState.PENDING
    ]
    assert pending == []
    assert owner.approved(replacing(environment))  # the old codes still work


@pytest.mark.bar("B10")
def test_the_old_seed_works_until_the_new_one_is_confirmed(alice: Owner) -> None:
    asked = start(alice)
    assert isinstance(asked, Asked)
    alice.prove(asked.challenge)
    pending = begun(alice)
    old = alice.approved(order(symbol="OLD"))
    with refused(Reason.WRONG_CODE):  # the pending one answers nothing
        alice.prove(alice.asked(order(symbol="P")), code=hotp(pending.seed, step_at(alice.deployment.clock.ms)))
    before = alice.authenticators[FUTURES]
    confirm(alice, pending)
    states = {
        a.authenticator_id: a.state for a in alice.deployment.read(lambda tx: tx.authenticators(alice.account_id))
    }
    assert states[before] is AuthenticatorState.REPLACED
    assert states[pending.authenticator_id] is AuthenticatorState.ACTIVE
    assert alice.challenge(old.challenge).state is State.CANCELLED
    with refused(Reason.WRONG_CODE):
        alice.prove(alice.asked(order(symbol="N")), code=alice.fresh_code())  # of the old seed


@pytest.mark.bar("B10")
@pytest.mark.bar("B44")
def test_an_approval_to_rebind_serves_once(alice: Owner) -> None:
    asked = start(alice)
    assert isinstance(asked, Asked)
    alice.prove(asked.challenge)
    begun(alice)
    assert isinstance(start(alice), Asked)


@pytest.mark.bar("B10")
def test_a_pending_seed_belongs_to_its_session_and_dies_in_ten_minutes(deployment: Deployment) -> None:
    owner = deployment.owner()
    first = owner.session
    pending = begun(owner)
    other = owner.sign_in()
    assert first is not None
    with refused(Reason.UNKNOWN_ID):
        confirm(owner, pending, session=other)
    in_time = begun(owner, SPOT)
    deployment.clock.tick(10 * MINUTE - 1)
    assert confirm(owner, in_time, session=other)
    deployment.clock.tick(1)
    with refused(Reason.ENROLMENT_EXPIRED):
        confirm(owner, pending, session=first)


@pytest.mark.bar("B10")
def test_a_second_start_ends_the_first(deployment: Deployment) -> None:
    owner = deployment.owner()
    first, second = begun(owner), begun(owner)
    assert first.seed != second.seed
    with refused(Reason.ENROLMENT_NOT_PENDING):
        confirm(owner, first)
    assert confirm(owner, second)
    assert len(events(owner, EventKind.ENROLMENT_EXPIRED)) == 1


@pytest.mark.mission("M4")
def test_the_first_authenticator_needs_a_fresh_password(deployment: Deployment) -> None:
    owner = deployment.owner()
    deployment.clock.tick(deployment.world.limits.password_fresh_ms - 1)
    assert begun(owner)
    deployment.clock.tick(1)
    with refused(Reason.PASSWORD_TOO_OLD):
        start(owner)
    owner.sign_in()
    assert begun(owner)


@pytest.mark.mission("M1")
@pytest.mark.parametrize("market", MARKETS)
def test_the_first_login_authenticator_is_vouched_for_by_a_market(deployment: Deployment, market: Environment) -> None:
    owner = deployment.owner(enrolled=[market])
    asked = start(owner, LOGIN)
    assert isinstance(asked, Asked)
    assert asked.challenge.action == f"{market}.login_authenticator.bind"
    owner.prove(asked.challenge)
    assert begun(owner, LOGIN)


def test_a_disabled_factor_cannot_vouch_for_its_own_successor(alice: Owner) -> None:
    """Once on, it stays on: what is left is recovery (semantics 11)."""
    with sqlite3.connect(alice.deployment.path) as raw:
        raw.execute("UPDATE authenticator SET state = 'disabled'")
    with refused(Reason.NO_USABLE_FACTOR):
        start(alice)


def test_wrong_codes_at_the_confirmation_are_counted_on_account_and_factor(deployment: Deployment) -> None:
    owner = deployment.owner()
    pending = begun(owner)
    owner.seeds[FUTURES], owner.authenticators[FUTURES] = pending.seed, pending.authenticator_id
    for _ in range(5):
        with refused(Reason.WRONG_CODE):
            confirm(owner, pending, code=owner.wrong_code())
    with refused(Reason.FACTOR_BLOCKED):
        confirm(owner, pending)
    assert (wrong(owner), streak(owner)) == (5, 5)
    deployment.clock.tick(30_000)
    confirm(owner, pending)
    assert streak(owner) == 0


def test_generations_count_every_binding(alice: Owner) -> None:
    alice.enrol(FUTURES)
    alice.sign_in()
    alice.enrol(FUTURES)
    assert factor(alice).generation == 3


# -- legacy keys (semantics 6, M21) ----------------------------------------------------------------------------------
@pytest.mark.mission("M21")
def test_keys_that_exist_when_futures_is_enabled_go_on_as_before(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[SPOT])
    old, ended = owner.key("old"), owner.key("ended")
    revoked = {"before": KeyState.ACTIVE, "after": KeyState.REVOKED}
    deployment.run(lambda tx: tx.set_key_state(owner.account_id, ended.key_id, **revoked))
    confirmed = confirm(owner, begun(owner))
    assert confirmed.legacy_keys == (old.key_id,)
    new = owner.key("new")
    answer = owner.ask(order(), principal=old.principal)
    assert isinstance(answer, Allowed)
    assert answer.why is Why.LEGACY_KEY
    assert isinstance(owner.ask(order(), principal=new.principal), Asked)
    assert [event.body.count(old.key_id.encode()) for event in events(owner, EventKind.KEY_BECAME_LEGACY)] == [1]


@pytest.mark.mission("M21")
def test_other_markets_make_no_key_legacy_and_a_replacement_none_either(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    key = owner.key()
    owner.enrol(SPOT)
    owner.enrol(FUTURES)
    assert not deployment.read(lambda tx: tx.key(owner.account_id, key.key_id)).legacy  # type: ignore[union-attr]
    assert isinstance(owner.ask(order(), principal=key.principal), Asked)


@pytest.mark.mission("M5")
@pytest.mark.debian("oathtool")
def test_oathtool_confirms_an_enrolment(deployment: Deployment) -> None:
    owner = deployment.owner()
    pending = begun(owner)
    assert confirm(owner, pending, code=oathtool_code(pending.seed, deployment.clock.ms))


def test_a_session_that_is_not_his_confirms_nothing(deployment: Deployment) -> None:
    alice, bob = deployment.owner("alice"), deployment.owner("bob")
    pending = begun(alice)
    assert alice.session is not None
    assert bob.session is not None
    with refused(Reason.UNKNOWN_ID):
        confirm(bob, pending)
    with refused(Reason.UNKNOWN_ID):
        confirm(bob, pending, session=replace(bob.session, session_id=alice.session.session_id))
