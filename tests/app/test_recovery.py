"""Coming back with a recovery code: what it opens, what it costs, and what it never does (M1, M20, B30-B34)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.coming_back import bind_anew, consented, forget_messages, half_signed, lost, reached_at, recover, start, told
from app.observing import FUTURES, LOGIN, SPOT, events, factor, replacing, streak, wrong
from leverlock.app import enrol, recovery, recovery_codes, remove, sign_in
from leverlock.app.decide import Asked
from leverlock.app.redeem import Redeemed
from leverlock.domain import recovery_code
from leverlock.domain.account import SessionState
from leverlock.domain.audit import EventKind
from leverlock.domain.authenticator import AuthenticatorState
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.hold import ALL_SCOPES, HoldScope
from leverlock.domain.ids import text_of
from leverlock.domain.limits import DAY, MINUTE, Limits
from trail_state import must_agree
from world import Deployment, Owner, order, refused


@pytest.fixture
def alice(deployment: Deployment) -> Iterator[Owner]:
    """An owner with everything on, told by mail; her trail must tell all that was done."""
    owner = deployment.owner("alice", enrolled=[SPOT, FUTURES, LOGIN])
    deployment.clock.tick(DAY)  # by now each of them vouches for the account
    owner.sign_in()
    reached_at(owner)
    yield owner
    trail = owner.deployment.read(lambda tx: tx.events(owner.account_id, after_seq=0, limit=100_000))
    must_agree(owner.deployment.path, owner.account_id, trail)


def bad_code() -> str:
    return recovery_code.shown(text_of(bytes(range(15))))


# -- the session that can only recover (M1) ----------------------------------------------------------------------------
@pytest.mark.mission("M1")
@pytest.mark.bar("B61")
def test_i_lost_my_authenticator_opens_a_session_that_is_no_full_one(alice: Owner) -> None:
    world = alice.deployment.world
    half = half_signed(alice)
    session = alice.deployment.run(lambda tx: recovery.begin(tx, world, token=half.token))
    assert session.session_id == half.session.session_id
    with refused(Reason.RECOVERY_ONLY):
        alice.deployment.run(lambda tx: sign_in.owner(tx, world, token=half.token))
    with refused(Reason.CONFLICT):  # not even the right login code leads on from here
        code = alice.fresh_code(LOGIN)
        alice.deployment.run(lambda tx: sign_in.complete_login(tx, world, token=half.token, code=code))
    with refused(Reason.CONFLICT):
        alice.deployment.run(lambda tx: recovery.begin(tx, world, token=half.token))
    with refused(Reason.CONFLICT):  # nor does a full session become one
        alice.deployment.run(lambda tx: recovery.begin(tx, world, token=alice.token))


@pytest.mark.bar("B61")
@pytest.mark.bar("B34")
@pytest.mark.parametrize("environment", list(Environment))
def test_without_a_code_it_binds_nothing(deployment: Deployment, environment: Environment) -> None:
    """Neither where protection is on nor where it never was."""
    owner = deployment.owner(enrolled=[LOGIN])
    with refused(Reason.RECOVERY_ONLY):
        start(owner, environment, lost(owner))


def test_a_half_signed_session_uses_no_code(alice: Owner) -> None:
    half = half_signed(alice)
    with refused(Reason.LOGIN_CHALLENGE_OPEN):
        recover(alice, FUTURES, session=half.session)
    assert recover(alice, FUTURES)  # the code was not used up


# -- what a code opens -------------------------------------------------------------------------------------------------
@pytest.mark.mission("M20")
@pytest.mark.bar("B32")
def test_a_code_opens_the_binding_of_its_environment_and_a_new_set_is_shown(alice: Owner) -> None:
    session, old = lost(alice), alice.recovery_codes[LOGIN]
    right = recover(alice, LOGIN, session=session)
    assert right.expires_at == alice.deployment.clock.ms + 10 * MINUTE
    for other in (SPOT, FUTURES):
        with refused(Reason.RECOVERY_ONLY):
            start(alice, other, session)
    alice.deployment.clock.tick(MINUTE)
    confirmed = bind_anew(alice, LOGIN, session)
    assert len(confirmed.recovery_codes) == 10
    assert not set(confirmed.recovery_codes) & set(old)
    with refused(Reason.RECOVERY_ONLY):  # the right is used up with it
        start(alice, LOGIN, session)
    alice.sign_in()  # with the new app
    again = lost(alice)
    for code in old:
        with refused(Reason.WRONG_CODE if code not in old[5:] else Reason.RECOVERY_BUDGET_SPENT):
            recover(alice, LOGIN, code, session=again)


@pytest.mark.mission("M20")
@pytest.mark.bar("B35")
def test_a_full_session_recovers_a_market_with_password_and_code(alice: Owner) -> None:
    bare = alice.session
    assert bare is not None
    deployment, code = alice.deployment, alice.recovery_codes[FUTURES][3]
    with refused(Reason.PROOF_MISSING) as why:  # the password of the sign-in does not count in a full session
        deployment.run(lambda tx: recovery.recover(tx, deployment.world, session=bare, environment=FUTURES, code=code))
    assert why.value.field == "password"
    with refused(Reason.WRONG_CODE):
        recover(alice, FUTURES, code, password=alice.finding(matched=False))
    assert recover(alice, FUTURES, code.replace("-", " ").upper())
    assert bind_anew(alice, FUTURES).recovery_codes


@pytest.mark.bar("B35")
def test_the_password_of_the_sign_in_counts_for_five_minutes(alice: Owner) -> None:
    session = lost(alice)
    alice.deployment.clock.tick(5 * MINUTE)
    with refused(Reason.PASSWORD_TOO_OLD):
        recover(alice, LOGIN, session=session)
    assert recover(alice, LOGIN, session=session, password=alice.finding())  # typed anew, it counts


@pytest.mark.bar("B10")
def test_the_present_authenticator_answers_until_the_new_one_is_confirmed(alice: Owner) -> None:
    """Who uses a code by mistake, or is interrupted, has lost nothing that he still had."""
    recover(alice, FUTURES)
    old = factor(alice)
    assert alice.prove(alice.asked(replacing(FUTURES)))
    bind_anew(alice, FUTURES)
    replaced = alice.deployment.read(lambda tx: tx.authenticator(alice.account_id, old.authenticator_id))
    assert replaced is not None
    assert replaced.state is AuthenticatorState.REPLACED


def test_the_right_ends_after_ten_minutes_and_with_it_what_was_begun(alice: Owner) -> None:
    recover(alice, FUTURES)
    clock = alice.deployment.clock
    clock.tick(9 * MINUTE)
    begun = start(alice, FUTURES, alice.session)  # type: ignore[arg-type]
    assert isinstance(begun, enrol.Enrolment)
    assert begun.expires_at == clock.ms + MINUTE
    clock.tick(MINUTE)
    with refused(Reason.ENROLMENT_EXPIRED):
        alice.deployment.run(
            lambda tx: enrol.confirm(
                tx,
                alice.deployment.world,
                session=alice.session,
                authenticator_id=begun.authenticator_id,
                code="000000",  # type: ignore[arg-type]
            )
        )
    assert isinstance(start(alice, FUTURES, alice.session), Asked)  # type: ignore[arg-type]


def test_the_right_is_this_sessions_alone(alice: Owner) -> None:
    recover(alice, FUTURES)
    other = alice.sign_in()
    assert isinstance(start(alice, FUTURES, other), Asked)


@pytest.mark.bar("B79")
def test_neither_a_disabled_authenticator_nor_a_spent_budget_keeps_the_owner_out(tmp_path: Path) -> None:
    limits = Limits(factor_disable_after=5, account_wrong_answers=5)
    with Deployment.create(tmp_path, limits=limits) as deployment:
        owner = deployment.owner(enrolled=[FUTURES])
        challenge = owner.asked(order(symbol="WAITS"))
        for number in range(5):
            with refused(Reason.WRONG_CODE):
                owner.prove(owner.asked(order(symbol=f"S{number % 2}")), code=owner.wrong_code())
        with refused(Reason.ACCOUNT_BUDGET_SPENT):
            owner.prove(challenge)
        assert factor(owner).state is AuthenticatorState.DISABLED
        recover(owner, FUTURES)
        assert bind_anew(owner, FUTURES).recovery_codes
        assert factor(owner).state is AuthenticatorState.ACTIVE


# -- what is void, held and told ---------------------------------------------------------------------------------------
@pytest.mark.bar("B34")
@pytest.mark.bar("B52")
def test_using_a_code_voids_what_was_live_in_that_environment(alice: Owner) -> None:
    waiting, granted = alice.asked(order(symbol="WAIT")), alice.approved(order(symbol="GRANT"))
    elsewhere = alice.asked(replacing(SPOT))
    recover(alice, FUTURES)
    assert [alice.challenge(one).state.value for one in (waiting, granted.challenge, elsewhere)] == [
        "cancelled",
        "cancelled",
        "pending",
    ]
    with refused(Reason.NOT_APPROVED):
        alice.redeem(order(symbol="GRANT"), granted.grant)


@pytest.mark.bar("B34")
@pytest.mark.parametrize("when", ["code used", "bound anew"])
def test_for_a_day_after_either_moment_all_is_held(alice: Owner, when: str) -> None:
    clock = alice.deployment.clock
    recover(alice, FUTURES)
    began = clock.ms
    if when == "bound anew":
        clock.tick(MINUTE)
        bind_anew(alice, FUTURES)
        began = clock.ms
    holds = alice.deployment.read(lambda tx: tx.holds(alice.account_id))
    assert {(hold.environment, hold.scope, hold.until) for hold in holds} >= {
        (FUTURES, scope, began + DAY) for scope in ALL_SCOPES
    }
    alice.sign_in()
    with refused(Reason.ON_HOLD) as why:
        alice.ask(order())
    assert why.value.retry_after_ms == began + DAY - clock.ms
    reducing = order(reduce_only="true")
    answer = alice.ask(reducing)
    assert isinstance(answer, Asked)  # reduce-only needs its code and waits for nothing
    assert alice.approved(order(symbol="R", reduce_only="true"))
    clock.tick(began + DAY - clock.ms)
    alice.sign_in()
    assert isinstance(alice.ask(order()), Asked)


@pytest.mark.bar("B34")
def test_a_recovery_of_the_login_holds_every_environment(alice: Owner) -> None:
    session = lost(alice)
    waiting = alice.asked(order(symbol="WAIT"))
    recover(alice, LOGIN, session=session)
    assert alice.challenge(waiting).state == "cancelled"
    with refused(Reason.ON_HOLD):
        alice.ask(order())


@pytest.mark.bar("B60")
def test_the_confirmation_ends_the_other_sessions(alice: Owner) -> None:
    session, world = lost(alice), alice.deployment.world
    recover(alice, LOGIN, session=session)
    bind_anew(alice, LOGIN, session)
    with refused(Reason.NOT_AUTHENTICATED):
        alice.deployment.run(lambda tx: sign_in.owner(tx, world, token=alice.token))


@pytest.mark.bar("B39")
def test_every_address_is_told_at_once_and_the_old_ones_with_it(alice: Owner) -> None:
    reached_at(alice, "newer@example.com")
    forget_messages(alice)
    recover(alice, FUTURES)
    both = {"old@example.com", "newer@example.com"}
    assert sorted(told(alice)) == [("recovery.opened", target) for target in sorted(both)]
    bind_anew(alice, FUTURES)
    assert {pair for pair in told(alice) if pair[0] == "authenticator.bound"} == {
        ("authenticator.bound", target) for target in both
    }


# -- what a code costs -------------------------------------------------------------------------------------------------
@pytest.mark.bar("B33")
@pytest.mark.bar("B74")
@pytest.mark.bar("B77")
def test_five_wrong_codes_in_a_day_use_up_the_reserve_and_nothing_else(alice: Owner) -> None:
    clock, began = alice.deployment.clock, alice.deployment.clock.ms
    for _ in range(5):
        with refused(Reason.WRONG_CODE):
            recover(alice, FUTURES, bad_code())
        clock.tick(MINUTE)
    with refused(Reason.RECOVERY_BUDGET_SPENT) as why:
        recover(alice, FUTURES)  # a right one is not even looked at
    assert why.value.retry_after_ms == began + DAY - clock.ms
    assert (wrong(alice), streak(alice)) == (0, 0)
    assert alice.approved(order())
    clock.tick(began + DAY - clock.ms)
    alice.sign_in()
    assert recover(alice, FUTURES)


@pytest.mark.bar("B33")
def test_alternating_endpoints_never_exceeds_the_sum_of_both(tmp_path: Path) -> None:
    """Codes and recovery codes in turn, of every environment: twenty and five are evaluated, and no more."""
    with Deployment.create(tmp_path, limits=Limits(account_slow_ms=DAY)) as deployment:
        owner = deployment.owner(enrolled=[SPOT, FUTURES])
        evaluated = {"code": 0, "recovery": 0}
        for number in range(60):
            owner.sign_in()
            environment = (SPOT, FUTURES)[number % 2]
            for kind in evaluated:
                try:
                    if kind == "code":
                        owner.prove(owner.asked(replacing(environment)), code=owner.wrong_code(environment))
                    else:
                        recover(owner, environment, bad_code())
                except Refused as why:
                    evaluated[kind] += why.reason is Reason.WRONG_CODE
            deployment.clock.tick(12 * MINUTE)
        assert evaluated == {"code": 20, "recovery": 5}


@pytest.mark.bar("B74")
def test_a_right_code_is_charged_nothing(alice: Owner) -> None:
    for _ in range(4):
        with refused(Reason.WRONG_CODE):
            recover(alice, FUTURES, bad_code())
    assert recover(alice, FUTURES)
    assert recover(alice, SPOT)
    reserve = alice.deployment.read(lambda tx: tx.account(alice.account_id).reserve)  # type: ignore[union-attr]
    assert len(reserve.wrong_at_ms) == 4


@pytest.mark.bar("B62")
@pytest.mark.bar("B32")
def test_wrong_used_foreign_and_unknown_codes_are_one_answer(deployment: Deployment, alice: Owner) -> None:
    bob = deployment.owner("bob", enrolled=[FUTURES])
    recover(alice, SPOT, alice.recovery_codes[SPOT][0])
    seen = set()
    for environment, code, matched in (
        (FUTURES, bad_code(), True),
        (FUTURES, alice.recovery_codes[LOGIN][0], True),  # of another environment
        (FUTURES, bob.recovery_codes[FUTURES][0], True),  # of another account (Gogs CVE-2025-64175)
        (SPOT, alice.recovery_codes[SPOT][0], True),  # used
        (Environment.MARGIN, bad_code(), True),  # never enabled
    ):
        with refused(Reason.WRONG_CODE) as why:
            recover(alice, environment, code, password=alice.finding(matched=matched))
        seen.add((str(why.value), why.value.field, why.value.retry_after_ms))
    assert len(seen) == 1
    assert recover(bob, FUTURES)  # nobody used up what was his


@pytest.mark.bar("B32")
@pytest.mark.bar("B83")
def test_a_row_of_an_older_set_pasted_back_opens_nothing(alice: Owner) -> None:
    with sqlite3.connect(alice.deployment.path) as raw:
        kept = raw.execute("SELECT * FROM recovery_code WHERE environment = 'futures'").fetchall()
    old = alice.recovery_codes[FUTURES]
    renew(alice, FUTURES)
    with sqlite3.connect(alice.deployment.path) as raw:
        raw.executemany("INSERT INTO recovery_code VALUES (?, ?, ?, ?)", kept)
    with refused(Reason.WRONG_CODE):
        recover(alice, FUTURES, old[0])
    with sqlite3.connect(alice.deployment.path) as raw:
        raw.executemany("DELETE FROM recovery_code WHERE code_hash = ?", [(row[2],) for row in kept])


# -- it approves nothing -----------------------------------------------------------------------------------------------
@pytest.mark.bar("B34")
def test_a_recovery_code_approves_nothing(alice: Owner) -> None:
    challenge = alice.asked(order())
    for code in (alice.recovery_codes[FUTURES][0], alice.recovery_codes[FUTURES][0].replace("-", "")):
        with refused(Reason.WRONG_CODE):
            alice.prove(challenge, code=code)
    assert alice.challenge(challenge).state == "pending"


# -- new codes, and taking an authenticator away -----------------------------------------------------------------------
def renew(owner: Owner, environment: Environment) -> tuple[str, ...]:
    world, session = owner.deployment.world, owner.session
    assert session is not None
    codes = consented(owner, lambda tx: recovery_codes.replace(tx, world, session=session, environment=environment))
    owner.recovery_codes[environment] = codes
    return codes  # type: ignore[no-any-return]


@pytest.mark.bar("B31")
@pytest.mark.bar("B32")
def test_a_new_set_kills_the_old_and_holds_movements_and_keys(alice: Owner) -> None:
    old = alice.recovery_codes[FUTURES]
    new = renew(alice, FUTURES)
    assert len(new) == len(set(new)) == 10
    assert not set(new) & set(old)
    with refused(Reason.WRONG_CODE):
        recover(alice, FUTURES, old[0])
    holds = alice.deployment.read(lambda tx: tx.holds(alice.account_id))
    assert {hold.scope for hold in holds if hold.environment is FUTURES} == {HoldScope.MOVEMENTS, HoldScope.KEYS}
    assert recover(alice, FUTURES, new[9])


def test_new_codes_where_nothing_is_on_are_refused(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    session, world = owner.session, deployment.world
    assert session is not None
    with refused(Reason.CONFLICT):
        deployment.run(lambda tx: recovery_codes.replace(tx, world, session=session, environment=SPOT))


def removing(owner: Owner, environment: Environment = FUTURES):  # type: ignore[no-untyped-def]
    world, session, named = owner.deployment.world, owner.session, owner.authenticators[environment]
    assert session is not None
    return lambda tx: remove.remove_authenticator(
        tx, world, session=session, environment=environment, authenticator_id=named
    )


@pytest.mark.bar("B30")
def test_an_authenticator_is_taken_away_by_itself_and_its_environment_stays_on(alice: Owner) -> None:
    assert consented(alice, removing(alice)) is None
    assert FUTURES in alice.deployment.read(lambda tx: tx.protections(alice.account_id))
    with refused(Reason.NO_USABLE_FACTOR):
        alice.ask(order())
    with refused(Reason.NO_USABLE_FACTOR):
        start(alice, FUTURES, alice.session)  # type: ignore[arg-type]
    with refused(Reason.UNKNOWN_ID):
        alice.deployment.run(removing(alice))
    recover(alice, FUTURES)
    bind_anew(alice, FUTURES)
    assert [event.kind for event in events(alice)].count(EventKind.AUTHENTICATOR_REMOVED) == 1


@pytest.mark.bar("B30")
@pytest.mark.bar("B32")
def test_the_last_way_back_is_not_cut(alice: Owner) -> None:
    recover(alice, FUTURES)  # its set is void, and no new one was made
    with refused(Reason.CONFLICT):
        alice.deployment.run(removing(alice))
    renew(alice, FUTURES)
    assert isinstance(alice.deployment.run(removing(alice)), Asked)


@pytest.mark.bar("B30")
def test_a_session_with_the_password_alone_takes_nothing_away(alice: Owner) -> None:
    asked = alice.deployment.run(removing(alice))
    assert isinstance(asked, Asked)
    assert sorted(asked.challenge.requirement.words()) == ["password", "totp"]
    with refused(Reason.WRONG_CODE):
        alice.prove(asked.challenge, code=alice.wrong_code())
    assert factor(alice).state is AuthenticatorState.ACTIVE
    approved = alice.approved(order(symbol="STILL"))
    assert isinstance(alice.redeem(order(symbol="STILL"), approved.grant), Redeemed)


def test_sessions_of_every_kind_have_a_state_of_their_own() -> None:
    assert {state.value for state in SessionState} == {"login_challenge", "recovery", "full", "ended"}


@pytest.mark.bar("B32")
def test_what_was_used_stays_used_after_a_restart(tmp_path: Path) -> None:
    with Deployment.create(tmp_path) as deployment:
        owner = deployment.owner(enrolled=[FUTURES])
        code = owner.recovery_codes[FUTURES][0]
        recover(owner, FUTURES, code)
        deployment.close()
        with Deployment.open(tmp_path, clock=deployment.clock) as again:
            owner.deployment = again
            with refused(Reason.WRONG_CODE):
                recover(owner, FUTURES, code)
