"""The master password: changed by its owner, or set anew by a link in a mail and a live code (semantics 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from app.coming_back import (
    OLD,
    bodies,
    changing,
    consented,
    forget_messages,
    half_signed,
    live,
    lost,
    reached_at,
    recover,
    start,
    told,
)
from app.observing import FUTURES, LOGIN, SPOT, events
from leverlock.app import password, prove, sign_in
from leverlock.app.decide import Asked
from leverlock.app.proofs import Proof
from leverlock.domain.account import Session, SessionState
from leverlock.domain.audit import EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason
from leverlock.domain.hold import ALL_SCOPES
from leverlock.domain.limits import DAY, MINUTE
from leverlock.domain.messages import Channel
from leverlock.ports_recovery import NewPassword
from leverlock.verifiers.password import PasswordHasher
from trail_state import must_agree
from world import SOURCE, Deployment, Owner, order, refused

NEW = NewPassword("the new hash", "0123456789abcdef")
OTHER = NewPassword("another hash", "fedcba9876543210")


@pytest.fixture
def alice(deployment: Deployment) -> Iterator[Owner]:
    owner = deployment.owner("alice", enrolled=[SPOT, FUTURES])
    deployment.clock.tick(DAY)  # by now each of them vouches for the account
    owner.sign_in()
    reached_at(owner)
    yield owner
    trail = owner.deployment.read(lambda tx: tx.events(owner.account_id, after_seq=0, limit=100_000))
    must_agree(owner.deployment.path, owner.account_id, trail)


def stored_hash(owner: Owner) -> str:
    return owner.deployment.read(lambda tx: tx.account(owner.account_id)).password_hash  # type: ignore[union-attr]


# -- changed by its owner ----------------------------------------------------------------------------------------------
def test_it_takes_the_old_password_and_a_code_and_is_bound_to_the_new_one(alice: Owner) -> None:
    asked = alice.deployment.run(changing(alice, NEW))
    assert isinstance(asked, Asked)
    assert asked.challenge.requirement.words() == ["password", "totp"]
    assert asked.challenge.environment is FUTURES
    alice.prove(asked.challenge)
    assert isinstance(alice.deployment.run(changing(alice, OTHER)), Asked)  # approved for that one alone
    assert stored_hash(alice) != OTHER.stored_hash
    done = alice.deployment.run(changing(alice, NEW))
    assert done == password.PasswordSet(by_mail=False, held_until=None)
    assert stored_hash(alice) == NEW.stored_hash


def test_any_environment_that_is_on_may_agree_and_no_other(alice: Owner) -> None:
    asked = alice.deployment.run(changing(alice, NEW, environment=SPOT))
    assert isinstance(asked, Asked)
    assert asked.challenge.environment is SPOT
    for never in (Environment.MARGIN, LOGIN):
        with refused(Reason.ENROLMENT_REQUIRED):
            alice.deployment.run(changing(alice, NEW, environment=never))


def test_an_unprotected_account_needs_its_password_and_nothing_else(deployment: Deployment) -> None:
    owner = deployment.owner("bare")
    asked = deployment.run(changing(owner, NEW))
    assert isinstance(asked, Asked)
    assert asked.challenge.requirement.words() == ["password"]
    assert consented(owner, changing(owner, NEW)).by_mail is False
    assert stored_hash(owner) == NEW.stored_hash


@pytest.mark.bar("B52")
@pytest.mark.bar("B60")
def test_a_change_ends_the_other_sessions_and_voids_all_that_was_asked(alice: Owner) -> None:
    world, deployment = alice.deployment.world, alice.deployment
    first = alice.token
    key = alice.key()
    alice.sign_in()
    waiting = alice.asked(order(symbol="WAIT"), principal=key.principal)
    granted = alice.approved(order(symbol="GRANT"))
    consented(alice, changing(alice, NEW))
    with refused(Reason.NOT_AUTHENTICATED):
        deployment.run(lambda tx: sign_in.owner(tx, world, token=first))
    assert deployment.run(lambda tx: sign_in.owner(tx, world, token=alice.token))
    assert [alice.challenge(one).state for one in (waiting, granted.challenge)] == ["cancelled", "cancelled"]
    with refused(Reason.NOT_APPROVED):
        alice.redeem(order(symbol="GRANT"), granted.grant)
    assert len(events(alice, EventKind.PASSWORD_CHANGED)) == 1


@pytest.mark.bar("B39")
def test_every_address_is_told(alice: Owner) -> None:
    reached_at(alice, "http://127.0.0.1/hook", Channel.WEBHOOK)
    forget_messages(alice)
    consented(alice, changing(alice, NEW))
    heard = sorted(target for kind, target in told(alice) if kind == "password.changed")
    assert heard == ["http://127.0.0.1/hook", OLD]


def test_the_same_password_has_one_fingerprint_in_one_session_and_another_in_the_next() -> None:
    hasher = PasswordHasher()

    async def made(text: str, salt: bytes) -> NewPassword:
        return await hasher.hash_new(text, salt=salt, turn="acc")

    async def all_of_them() -> list[NewPassword]:
        return [await made("a new password", salt) for salt in (b"1" * 16, b"1" * 16, b"2" * 16)]

    try:
        first, again, elsewhere = asyncio.run(all_of_them())
        assert first == again != elsewhere
        assert hasher.check_now("a new password", "acc", first.stored_hash).matched  # type: ignore[union-attr]
        assert first.fingerprint not in first.stored_hash
    finally:
        hasher.close()


# -- forgotten ---------------------------------------------------------------------------------------------------------
def ask(owner: Owner, login: str = "alice", *, source: str = SOURCE) -> None:
    world = owner.deployment.world
    owner.deployment.run(lambda tx: password.ask_reset(tx, world, login=login, source=source))


@pytest.mark.bar("B58")
def test_what_a_letter_tells_its_reader_stands_nowhere_in_the_database(alice: Owner) -> None:
    ask(alice)
    token = token_of(alice)
    alice.deployment.close()
    kept = b"".join(path.read_bytes() for path in alice.deployment.path.parent.glob("leverlock.db*"))
    assert token.partition(".")[2].encode() not in kept
    alice.deployment = Deployment.open(alice.deployment.path.parent, clock=alice.deployment.clock)


def token_of(owner: Owner) -> str:
    return str(bodies(owner, "password_reset.link")[-1]["token"])


def follow(owner: Owner, token: str) -> Session:
    world = owner.deployment.world
    return owner.deployment.run(lambda tx: password.open_reset(tx, world, token=token)).session


def by_mail(owner: Owner) -> Session:
    ask(owner)
    return follow(owner, token_of(owner))


def answered(owner: Owner, asked: Asked, session: Session, **proof: object) -> None:
    world = owner.deployment.world
    owner.deployment.run(
        lambda tx: prove.prove(
            tx,
            world,
            account_id=owner.account_id,
            answered_by=session.principal,
            challenge_ids=[asked.challenge.challenge_id],
            proof=Proof(**proof),  # type: ignore[arg-type]
        )
    )


def test_link_and_code_set_a_new_password_and_hold_a_day(alice: Owner) -> None:
    session = by_mail(alice)
    assert (session.state, session.by_mail, session.password_at) == (SessionState.RECOVERY, True, 0)
    asked = alice.deployment.run(changing(alice, NEW, session))
    assert isinstance(asked, Asked)
    assert asked.challenge.remaining.words() == ["totp"]
    with refused(Reason.WRONG_CODE):
        answered(alice, asked, session, code=alice.wrong_code())
    answered(alice, asked, session, code=alice.fresh_code())
    done = alice.deployment.run(changing(alice, NEW, session))
    assert done == password.PasswordSet(by_mail=True, held_until=alice.deployment.clock.ms + DAY)
    assert stored_hash(alice) == NEW.stored_hash
    for token in (alice.token,):
        with refused(Reason.NOT_AUTHENTICATED):
            live(alice, token)
    holds = alice.deployment.read(lambda tx: tx.holds(alice.account_id))
    assert {(hold.environment, hold.scope) for hold in holds} == {(LOGIN, scope) for scope in ALL_SCOPES}
    with refused(Reason.ON_HOLD):
        alice.ask(order())


@pytest.mark.bar("B61")
def test_the_link_alone_opens_nothing_else(alice: Owner) -> None:
    session = by_mail(alice)
    with refused(Reason.RECOVERY_ONLY):
        session.must_be_full()
    for environment in Environment:
        with refused(Reason.RECOVERY_ONLY):
            start(alice, environment, session)
    with refused(Reason.PROOF_MISSING):  # a mailbox and a recovery code are not enough either
        recover(alice, FUTURES, session=session)


def test_without_a_factor_that_is_on_a_mailbox_opens_no_account(deployment: Deployment) -> None:
    owner = deployment.owner("bare")
    reached_at(owner)
    ask(owner, "bare")
    session = follow(owner, token_of(owner))
    with refused(Reason.NO_USABLE_FACTOR):
        deployment.run(changing(owner, NEW, session))


@pytest.mark.parametrize("state", ["login_challenge", "recovery", "full"])
def test_only_a_full_session_or_one_by_mail_sets_a_password(deployment: Deployment, state: str) -> None:
    owner = deployment.owner(enrolled=[FUTURES, LOGIN])
    if state == "full":
        assert isinstance(deployment.run(changing(owner, NEW)), Asked)
        return
    session = half_signed(owner).session if state == "login_challenge" else lost(owner)
    with refused(Reason.RECOVERY_ONLY if state == "recovery" else Reason.LOGIN_CHALLENGE_OPEN):
        deployment.run(changing(owner, NEW, session))


def test_a_link_serves_once_for_ten_minutes_and_only_the_newest_password_counts(alice: Owner) -> None:
    ask(alice)
    token = token_of(alice)
    follow(alice, token)
    with refused(Reason.UNKNOWN_ID):
        follow(alice, token)
    ask(alice)
    late = token_of(alice)
    alice.deployment.clock.tick(10 * MINUTE)
    with refused(Reason.UNKNOWN_ID):
        follow(alice, late)
    ask(alice)
    unused = token_of(alice)
    alice.sign_in()
    consented(alice, changing(alice, NEW))
    with refused(Reason.UNKNOWN_ID):
        follow(alice, unused)


@pytest.mark.bar("B73")
def test_a_bent_link_is_no_link(alice: Owner) -> None:
    ask(alice)
    token = token_of(alice)
    bent = [token[:n] for n in range(0, len(token), 7)] + [token + "a", token.upper(), " " + token, "", ".", "acc_x.y"]
    bent += [f"system.{token.partition('.')[2]}", token.replace("acc_", "ac_"), "acc_x.\ud800", "\u0661" * 30]
    for text in bent:
        with refused(Reason.UNKNOWN_ID):
            follow(alice, text)
    assert follow(alice, token)


@pytest.mark.bar("B62")
def test_who_asks_is_told_the_same_and_counted_the_same_whether_the_login_exists(alice: Owner) -> None:
    limits = alice.deployment.world.limits
    for login in ("alice", "nobody"):
        for _ in range(limits.sign_in_tries):
            assert ask(alice, login, source="192.0.2.7") is None  # type: ignore[func-returns-value]
        with refused(Reason.SIGN_IN_THROTTLED) as why:
            ask(alice, login, source="192.0.2.7")
        assert why.value.retry_after_ms == limits.sign_in_window_ms


@pytest.mark.bar("B79")
def test_a_flood_from_many_networks_fills_no_mailbox(alice: Owner) -> None:
    for number in range(40):
        ask(alice, source=f"198.51.100.{number}")
    assert len([kind for kind, _ in told(alice) if kind == "password_reset.link"]) == 5
    alice.deployment.clock.tick(DAY)
    ask(alice)
    assert len(bodies(alice, "password_reset.link")) == 6


def test_the_link_goes_by_mail_to_what_serves_and_the_rest_is_told_without_it(alice: Owner) -> None:
    reached_at(alice, "http://127.0.0.1/hook", Channel.WEBHOOK)
    reached_at(alice, "second@example.com")  # replaces the first, which is told for a week more
    forget_messages(alice)
    ask(alice)
    assert sorted(told(alice)) == [
        ("password_reset.asked", "http://127.0.0.1/hook"),
        ("password_reset.asked", OLD),
        ("password_reset.asked", "second@example.com"),
        ("password_reset.link", "second@example.com"),
    ]
    assert "token" not in str(bodies(alice, "password_reset.asked"))


def test_a_locked_account_is_mailed_nothing_and_nobody_hears_that(alice: Owner) -> None:
    alice.deployment.run(lambda tx: tx.set_account_state(alice.account_id, "locked"))
    ask(alice)
    assert "password_reset.link" not in dict(told(alice))
    alice.deployment.run(lambda tx: tx.set_account_state(alice.account_id, "active"))
