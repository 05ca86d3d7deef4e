"""What every act of `ports.Transaction` promises, one function per act, on whatever engine is given.

`test_contract.py` runs ACTS against each engine and demands an entry for every act of the port.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from leverlock.app.prove import grant_hash
from leverlock.domain.account import Session, SessionState
from leverlock.domain.api_key import ApiKey, KeyAlgorithm, KeyState, LegacyUse, Upstream
from leverlock.domain.attempts import AccountBudget, FactorBudget, Reserve
from leverlock.domain.audit import GENESIS, AuditEvent, EventKind, link
from leverlock.domain.authenticator import Authenticator, AuthenticatorKind, AuthenticatorState, SealedSecret
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.hold import Hold, HoldScope
from leverlock.domain.host_statement import Algorithm, IntegratorKey
from leverlock.domain.key_terms import KeyTerms, Scope
from leverlock.domain.limits import DAY, Limits
from leverlock.domain.messages import Channel, Message
from leverlock.domain.pending_change import ChangeKind, ChangeState, PendingChange
from leverlock.domain.requirement import ProofKind, Requirement
from leverlock.ports import Charge, Transaction
from world import NOW_MS, Deployment, SettableClock, refused

FUTURES, SPOT = Environment.FUTURES, Environment.SPOT
SEALED = SealedSecret(1, b"n" * 12, b"c" * 36)
ALICE, BOB = "acc_alice", "acc_bob"
LIMITS = Limits()


ACTS: dict[str, Callable[[Stage], None]] = {}


def act(promise: Callable[[Stage], None]) -> Callable[[Stage], None]:
    """Enter a promise under its act; one whose name is a value's in this module ends in an underscore."""
    ACTS[promise.__name__.rstrip("_")] = promise
    return promise


class Stage:
    """A deployment with two accounts, and short ways to act on it."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.run = deployment.run
        self.read = deployment.read
        self.clock: SettableClock = deployment.clock
        for account_id in (ALICE, BOB):
            made = self.run(
                lambda tx, name=account_id: tx.insert_account(account_id=name, login=name, password_hash="hash")  # type: ignore[misc]
            )
            assert made

    def run_at_mark(self, use_case: Callable[[Transaction], object]) -> None:
        """One that has a time although others have none."""
        self.deployment.store.submit(use_case, at_mark=True).result(20)

    def act(self, called: str, /, *args: object, **kwargs: object) -> object:
        """One act in a transaction of its own."""
        return self.run(lambda tx: getattr(tx, called)(*args, **kwargs))


def challenge(
    number: int = 1, *, account: str = ALICE, principal: str = "key:k", state: State = State.PENDING
) -> Challenge:
    return Challenge(
        account_id=ALICE,
        challenge_id=f"ch_{number}",
        environment=FUTURES,
        principal=principal,
        action="futures.order.place",
        intent=b"{}",
        digest=hashlib.sha256(f"{number}".encode()).digest(),
        facts=b"[]",
        requirement=Requirement.of("totp"),
        rules=("one", "two"),
        policy_version="p",
        state=State.PENDING,
        created_at=NOW_MS,
        expires_at=NOW_MS + 300_000,
    )


def authenticator(
    number: int = 1, *, account: str = ALICE, environment: Environment = FUTURES, generation: int | None = None
) -> Authenticator:
    return Authenticator(
        account_id=account,
        authenticator_id=f"au_{number}",
        environment=environment,
        kind=AuthenticatorKind.TOTP,
        state=AuthenticatorState.PENDING,
        generation=generation or number,
        secret=SEALED,
        created_at=NOW_MS,
        expires_at=NOW_MS + 600_000,
        session_id="ses_1",
    )


def key(number: int = 1, *, account: str = ALICE) -> ApiKey:
    return ApiKey(
        account,
        f"key_{number}",
        f"lk{number}",
        "bot",
        KeyAlgorithm.HMAC_SHA256,
        KeyState.ACTIVE,
        "up_1",
        NOW_MS + number,
        secret=SEALED,
        scopes=frozenset({Scope.READ, Scope.TRANSFER}),
        ips=("192.0.2.1", "2001:db8::/64"),
    )


def upstream(number: int = 1, *, account: str = ALICE) -> Upstream:
    urls = {"futures": "http://127.0.0.1:1"}
    algorithm = KeyAlgorithm.ED25519
    return Upstream(account, f"up_{number}", "venue", "binance-usdm", urls, "name", algorithm, SEALED, NOW_MS + number)


def session(number: int = 1, *, account: str = ALICE, state: SessionState = SessionState.FULL) -> Session:
    return Session(account, f"ses_{number}", state, NOW_MS, NOW_MS, NOW_MS)


def message(number: int = 1) -> Message:
    return Message(ALICE, f"msg_{number}", Channel.EMAIL, "a@example.com", "k", b"{}", NOW_MS, NOW_MS + 1000)


def inserted(stage: Stage, made: Challenge, *, slots: tuple[int, int | None] = (0, 0)) -> Challenge:
    stage.act("insert_challenge", made, slots=slots)
    return made


def active(stage: Stage, number: int = 1, *, step: int = 10, environment: Environment = FUTURES) -> Authenticator:
    made = authenticator(number, environment=environment)
    stage.act("insert_authenticator", made)
    assert stage.act("activate_authenticator", ALICE, made.authenticator_id, step=step)
    return made


def approved(stage: Stage, number: int = 1) -> Challenge:
    made = inserted(stage, challenge(number))
    stage.act("approve_challenge", made, grant_hash=grant_hash(f"g{number}"), grant_expires_at=NOW_MS + 60_000)
    found = stage.read(lambda tx: tx.challenge(ALICE, made.challenge_id))
    assert found is not None
    return found


# -- time, lock, audit chain, charges --------------------------------------------------------------------------------
@act
def now(stage: Stage) -> None:
    assert stage.run(lambda tx: tx.now) == NOW_MS
    stage.clock.tick(5)
    assert stage.run(lambda tx: tx.now) == NOW_MS + 5


@act
def lock_account(stage: Stage) -> None:
    locked = stage.run(lambda tx: tx.lock_account(ALICE))
    assert (locked.login, locked.budget, locked.chain_seq, locked.chain_head) == (ALICE, AccountBudget(), 0, GENESIS)
    with refused(Reason.UNKNOWN_ID):
        stage.act("lock_account", "acc_nobody")

    def both(tx: Transaction) -> None:
        tx.lock_account(ALICE)
        tx.lock_account(BOB)

    with pytest.raises(RuntimeError, match="one account"):
        stage.run(both)


@act
def record(stage: Stage) -> None:
    def two(tx: Transaction) -> None:
        tx.lock_account(ALICE)
        tx.record(AuditEvent(EventKind.KEY_CREATED, "p", {"n": 1}))
        tx.record(AuditEvent(EventKind.KEY_REVOKED, "p", {"n": 2}))

    stage.run(two)
    first, second = stage.read(lambda tx: tx.events(ALICE, after_seq=0, limit=10))
    assert (first.seq, second.seq, first.at_ms) == (1, 2, NOW_MS)
    assert first.hash == link(GENESIS, first.body)
    assert second.hash == link(first.hash, second.body)
    stored = stage.read(lambda tx: tx.account(ALICE))
    assert stored is not None
    assert (stored.chain_seq, stored.chain_head) == (2, second.hash)
    with pytest.raises(RuntimeError, match="lock"):
        stage.act("record", AuditEvent(EventKind.KEY_CREATED, "p"))


@act
def if_refused(stage: Stage) -> None:
    def refuse(tx: Transaction) -> None:
        tx.lock_account(ALICE)
        tx.if_refused(EventKind.ACTION_REFUSED, "key:k", action="x")
        tx.record(AuditEvent(EventKind.KEY_CREATED, "p"))
        raise Refused(Reason.CONFLICT)

    with refused(Reason.CONFLICT):
        stage.run(refuse)
    [event] = stage.read(lambda tx: tx.events(ALICE, after_seq=0, limit=10))
    assert event.kind is EventKind.ACTION_REFUSED
    assert b'"reason":"conflict"' in event.body


def charged(stage: Stage, *, streak: int = 0) -> Charge:
    before = FactorBudget(streak)
    return Charge(AccountBudget((NOW_MS,)), "au_1", before, before.charged(NOW_MS, LIMITS), ("ch_1",))


@act
def charge(stage: Stage) -> None:
    active(stage)
    inserted(stage, challenge())

    def wrong(tx: Transaction) -> None:
        tx.lock_account(ALICE)
        tx.charge(charged(stage))
        raise Refused(Reason.WRONG_CODE)

    with refused(Reason.WRONG_CODE):
        stage.run(wrong)
    account = stage.read(lambda tx: tx.account(ALICE))
    factor = stage.read(lambda tx: tx.authenticator(ALICE, "au_1"))
    asked = stage.read(lambda tx: tx.challenge(ALICE, "ch_1"))
    assert account is not None
    assert factor is not None
    assert asked is not None
    assert (account.budget.wrong_at_ms, factor.budget.streak, asked.wrong_answers) == ((NOW_MS,), 1, 1)
    with refused(Reason.CONFLICT):  # somebody charged meanwhile: this budget was computed from another
        stage.run(lambda tx: (tx.lock_account(ALICE), tx.charge(charged(stage))))


@act
def alarm(stage: Stage) -> None:
    """Its record and its messages stay whatever the use case raises, and once where it raises nothing."""
    event = AuditEvent(EventKind.SEAL_BROKEN, "p", {"row": "1"})

    def raised(tx: Transaction, *, then: Exception | None) -> None:
        tx.lock_account(ALICE)
        tx.record(AuditEvent(EventKind.ACCOUNT_LOCKED, "p"))
        tx.alarm(event, messages=[message(1)])
        if then is not None:
            raise then

    with refused(Reason.WRONG_CODE):
        stage.run(lambda tx: raised(tx, then=Refused(Reason.WRONG_CODE)))
    assert [e.kind for e in stage.read(lambda tx: tx.events(ALICE, after_seq=0, limit=9))] == [EventKind.SEAL_BROKEN]
    assert stage.read(lambda tx: tx.due_messages(limit=9)) == [message(1)]
    assert stage.deployment.store.alarms == {"seal.broken": 1}
    stage.act("message_done", message(1))
    stage.run(lambda tx: raised(tx, then=None))
    assert len(stage.read(lambda tx: tx.events(ALICE, after_seq=0, limit=9))) == 3
    assert len(stage.read(lambda tx: tx.due_messages(limit=9))) == 1


@act
def take_back(stage: Stage) -> None:
    active(stage)
    made = inserted(stage, challenge())

    def right(tx: Transaction) -> None:
        before = tx.lock_account(ALICE).budget
        given = charged(stage)
        tx.charge(given)
        assert tx.advance_totp_step(ALICE, "au_1", step=11)
        tx.take_back(given, account=before)
        assert tx.approve_challenge(made, grant_hash=grant_hash("g"), grant_expires_at=NOW_MS + 1)

    stage.run(right)
    account = stage.read(lambda tx: tx.account(ALICE))
    factor = stage.read(lambda tx: tx.authenticator(ALICE, "au_1"))
    asked = stage.read(lambda tx: tx.challenge(ALICE, "ch_1"))
    assert account is not None
    assert factor is not None
    assert asked is not None
    assert (account.budget.wrong_at_ms, factor.budget.streak, asked.wrong_answers) == ((), 0, 0)


# -- accounts and sessions -------------------------------------------------------------------------------------------
@act
def insert_account(stage: Stage) -> None:
    assert stage.act("insert_account", account_id="acc_c", login="carol", password_hash="h")
    assert not stage.act("insert_account", account_id="acc_d", login="carol", password_hash="h")
    assert stage.read(lambda tx: tx.account("acc_d")) is None


@act
def account_of_login(stage: Stage) -> None:
    assert stage.read(lambda tx: tx.account_of_login(ALICE)) == ALICE
    assert stage.read(lambda tx: tx.account_of_login(ALICE.upper())) is None


@act
def account(stage: Stage) -> None:
    found = stage.read(lambda tx: tx.account(ALICE))
    assert found is not None
    assert (found.account_id, found.password_hash, found.state) == (ALICE, "hash", "active")
    assert stage.read(lambda tx: tx.account("acc_nobody")) is None


@act
def accounts(stage: Stage) -> None:
    listed = stage.read(lambda tx: tx.accounts(after="", limit=10))
    assert [found.account_id for found in listed] == [ALICE, BOB]  # without the system's own
    assert [found.account_id for found in stage.read(lambda tx: tx.accounts(after=ALICE, limit=1))] == [BOB]


@act
def set_password_hash(stage: Stage) -> None:
    assert not stage.act("set_password_hash", ALICE, before="other", after="new")
    assert stage.act("set_password_hash", ALICE, before="hash", after="new")
    assert stage.read(lambda tx: tx.account(BOB)).password_hash == "hash"  # type: ignore[union-attr]


@act
def set_account_state(stage: Stage) -> None:
    assert stage.act("set_account_state", ALICE, "locked")
    assert not stage.act("set_account_state", ALICE, "locked")
    assert stage.read(lambda tx: tx.account(BOB)).state == "active"  # type: ignore[union-attr]


@act
def set_budget(stage: Stage) -> None:
    wrong = AccountBudget((NOW_MS - 2, NOW_MS - 1))
    reserve = Reserve((NOW_MS - 3,))
    stage.run(lambda tx: (tx.lock_account(ALICE), tx.set_budget(wrong, reserve=reserve)))
    found = stage.read(lambda tx: tx.account(ALICE))
    assert found is not None
    assert (found.budget, found.reserve) == (wrong, reserve)
    assert stage.read(lambda tx: tx.account(BOB)).budget == AccountBudget()  # type: ignore[union-attr]


@act
def charge_sign_in(stage: Stage) -> None:
    subject, other = b"s" * 32, b"o" * 32
    for _ in range(LIMITS.sign_in_tries):
        stage.act("charge_sign_in", subject, limits=LIMITS)
    with refused(Reason.SIGN_IN_THROTTLED) as why:
        stage.act("charge_sign_in", subject, limits=LIMITS)
    assert why.value.retry_after_ms == LIMITS.sign_in_window_ms
    stage.act("charge_sign_in", other, limits=LIMITS)
    stage.clock.tick(LIMITS.sign_in_window_ms)
    stage.act("charge_sign_in", subject, limits=LIMITS)


@act
def clear_sign_in(stage: Stage) -> None:
    for _ in range(3 * LIMITS.sign_in_tries):
        stage.run(lambda tx: (tx.charge_sign_in(b"s" * 32, limits=LIMITS), tx.clear_sign_in(b"s" * 32)))


@act
def draw_in_sign_in_tries(stage: Stage) -> None:
    for _ in range(LIMITS.sign_in_tries):
        stage.act("charge_sign_in", b"s" * 32, limits=LIMITS)
    stage.act("draw_in_sign_in_tries", now_ms=NOW_MS + 1)
    stage.clock.tick(LIMITS.sign_in_window_ms - 1)
    with refused(Reason.SIGN_IN_THROTTLED):
        stage.act("charge_sign_in", b"s" * 32, limits=LIMITS)
    stage.act("draw_in_sign_in_tries", now_ms=NOW_MS - 1)
    stage.act("charge_sign_in", b"s" * 32, limits=LIMITS)


@act
def insert_session(stage: Stage) -> None:
    stage.act("insert_session", session())
    assert stage.read(lambda tx: tx.session(ALICE, "ses_1")) == session()


@act
def session_(stage: Stage) -> None:
    stage.act("insert_session", session())
    assert stage.read(lambda tx: tx.session(BOB, "ses_1")) is None
    assert stage.read(lambda tx: tx.session(ALICE, "ses_2")) is None


@act
def touch_session(stage: Stage) -> None:
    stage.act("insert_session", session())
    stage.clock.tick(70_000)
    stage.act("touch_session", session())
    assert stage.read(lambda tx: tx.session(ALICE, "ses_1")) == replace(session(), last_seen_at=NOW_MS + 70_000)


@act
def complete_session(stage: Stage) -> None:
    stage.act("insert_session", session(state=SessionState.LOGIN_CHALLENGE))
    assert stage.act("complete_session", ALICE, "ses_1")
    assert not stage.act("complete_session", ALICE, "ses_1")


@act
def confirm_password(stage: Stage) -> None:
    stage.act("insert_session", session(state=SessionState.LOGIN_CHALLENGE))
    assert not stage.act("confirm_password", ALICE, "ses_1")
    stage.act("complete_session", ALICE, "ses_1")
    stage.clock.tick(5)
    assert stage.act("confirm_password", ALICE, "ses_1")
    assert stage.read(lambda tx: tx.session(ALICE, "ses_1")).password_at == NOW_MS + 5  # type: ignore[union-attr]


@act
def end_session(stage: Stage) -> None:
    stage.act("insert_session", session())
    assert not stage.act("end_session", BOB, "ses_1")
    assert stage.act("end_session", ALICE, "ses_1")
    assert not stage.act("end_session", ALICE, "ses_1")


@act
def end_other_sessions(stage: Stage) -> None:
    for number in (1, 2, 3):
        stage.act("insert_session", session(number))
    stage.act("insert_session", session(4, account=BOB))
    assert sorted(stage.act("end_other_sessions", ALICE, keep="ses_2")) == ["ses_1", "ses_3"]  # type: ignore[call-overload]
    assert stage.act("end_other_sessions", ALICE, keep="ses_2") == []
    assert stage.read(lambda tx: tx.session(BOB, "ses_4")).state is SessionState.FULL  # type: ignore[union-attr]


# -- protection and authenticators -----------------------------------------------------------------------------------
@act
def protections(stage: Stage) -> None:
    assert stage.read(lambda tx: tx.protections(ALICE)) == {}
    stage.act("enable_protection", ALICE, FUTURES)
    assert stage.read(lambda tx: tx.protections(ALICE)) == {FUTURES: NOW_MS}


@act
def enable_protection(stage: Stage) -> None:
    assert stage.act("enable_protection", ALICE, FUTURES)
    assert not stage.act("enable_protection", ALICE, FUTURES)
    assert stage.act("enable_protection", ALICE, SPOT)
    assert stage.act("enable_protection", BOB, FUTURES)
    assert stage.act("end_protection", ALICE, FUTURES)
    assert stage.act("enable_protection", ALICE, FUTURES)


@act
def end_protection(stage: Stage) -> None:
    assert not stage.act("end_protection", ALICE, FUTURES)
    stage.act("enable_protection", ALICE, FUTURES)
    stage.act("enable_protection", BOB, FUTURES)
    assert stage.act("end_protection", ALICE, FUTURES)
    assert not stage.act("end_protection", ALICE, FUTURES)
    assert (stage.act("protections", ALICE), stage.act("protections", BOB)) == ({}, {FUTURES: NOW_MS})


@act
def protection_known(stage: Stage) -> None:
    assert stage.act("protection_known", ALICE, FUTURES) is False
    stage.act("enable_protection", ALICE, FUTURES)
    stage.act("end_protection", ALICE, FUTURES)
    assert stage.act("protection_known", ALICE, FUTURES) is True
    assert stage.act("protection_known", ALICE, SPOT) is False


@act
def authenticators(stage: Stage) -> None:
    for made in (authenticator(1), authenticator(2, environment=SPOT), authenticator(3, account=BOB)):
        stage.act("insert_authenticator", made)
    assert [made.authenticator_id for made in stage.read(lambda tx: tx.authenticators(ALICE))] == ["au_1", "au_2"]


@act
def authenticator_(stage: Stage) -> None:
    stage.act("insert_authenticator", authenticator())
    assert stage.read(lambda tx: tx.authenticator(ALICE, "au_1")) == authenticator()
    assert stage.read(lambda tx: tx.authenticator(BOB, "au_1")) is None


@act
def bound_authenticator(stage: Stage) -> None:
    stage.act("insert_authenticator", authenticator())
    assert stage.read(lambda tx: tx.bound_authenticator(ALICE, FUTURES)) is None  # a pending one answers nothing
    stage.act("activate_authenticator", ALICE, "au_1", step=1)
    assert stage.read(lambda tx: tx.bound_authenticator(ALICE, FUTURES)) is not None
    assert stage.read(lambda tx: tx.bound_authenticator(ALICE, SPOT)) is None
    assert stage.read(lambda tx: tx.bound_authenticator(BOB, FUTURES)) is None


@act
def next_generation(stage: Stage) -> None:
    assert stage.read(lambda tx: tx.next_generation(ALICE, FUTURES)) == 1
    stage.act("insert_authenticator", authenticator(generation=4))
    assert stage.read(lambda tx: tx.next_generation(ALICE, FUTURES)) == 5
    assert stage.read(lambda tx: tx.next_generation(ALICE, SPOT)) == 1


@act
def insert_authenticator(stage: Stage) -> None:
    stage.act("insert_authenticator", authenticator())
    with pytest.raises(Exception, match="UNIQUE"):  # a second pending one of the environment
        stage.act("insert_authenticator", authenticator(2))


@act
def drop_pending_enrolments(stage: Stage) -> None:
    stage.act("insert_authenticator", authenticator())
    stage.act("insert_authenticator", authenticator(2, environment=SPOT))
    assert stage.act("drop_pending_enrolments", ALICE, FUTURES) == ["au_1"]
    assert stage.act("drop_pending_enrolments", ALICE, FUTURES) == []
    assert stage.read(lambda tx: tx.authenticator(ALICE, "au_1")).state == "expired"  # type: ignore[union-attr]
    assert not stage.act("activate_authenticator", ALICE, "au_1", step=1)


@act
def fence_authenticators(stage: Stage) -> None:
    active(stage)
    stage.act("insert_authenticator", authenticator(2, environment=SPOT, generation=1))
    stage.act("insert_authenticator", authenticator(3, account=BOB))
    fence = {"step": 1_000, "blocked_until_max": NOW_MS}
    assert stage.act("fence_authenticators", ALICE, **fence) == [("au_1", 1_000, 0), ("au_2", 1_000, 0)]
    assert not stage.act("advance_totp_step", ALICE, "au_1", step=1_000)
    assert stage.act("advance_totp_step", ALICE, "au_1", step=1_001)
    assert stage.act("fence_authenticators", ALICE, **fence) == [("au_1", 1_001, 0), ("au_2", 1_000, 0)]
    assert stage.read(lambda tx: tx.authenticator(BOB, "au_3")).last_step == -1  # type: ignore[union-attr]


@act
def retire_authenticator(stage: Stage) -> None:
    stage.act("insert_authenticator", authenticator())
    assert not stage.act("retire_authenticator", ALICE, "au_1")  # never confirmed: nothing to retire
    stage.act("activate_authenticator", ALICE, "au_1", step=1)
    assert stage.act("retire_authenticator", ALICE, "au_1")
    assert not stage.act("retire_authenticator", ALICE, "au_1")
    assert not stage.act("advance_totp_step", ALICE, "au_1", step=99)


@act
def activate_authenticator(stage: Stage) -> None:
    stage.act("insert_authenticator", authenticator())
    assert stage.act("activate_authenticator", ALICE, "au_1", step=7)
    assert not stage.act("activate_authenticator", ALICE, "au_1", step=8)
    found = stage.read(lambda tx: tx.authenticator(ALICE, "au_1"))
    assert found is not None
    assert (found.state, found.last_step) == (AuthenticatorState.ACTIVE, 7)


@act
def advance_totp_step(stage: Stage) -> None:
    active(stage, step=10)
    assert not stage.act("advance_totp_step", ALICE, "au_1", step=10)
    assert stage.act("advance_totp_step", ALICE, "au_1", step=12)
    assert not stage.act("advance_totp_step", ALICE, "au_1", step=11)  # a slow writer never lowers it
    assert stage.read(lambda tx: tx.authenticator(ALICE, "au_1")).last_step == 12  # type: ignore[union-attr]
    assert not stage.act("advance_totp_step", BOB, "au_1", step=13)


# -- challenges and grants -------------------------------------------------------------------------------------------
@act
def take_slots(stage: Stage) -> None:
    def fill(principal: str, count: int, first: int) -> None:
        for number in range(first, first + count):
            slots = stage.act("take_slots", ALICE, FUTURES, principal=principal, limits=LIMITS)
            inserted(stage, challenge(number, principal=principal), slots=slots)  # type: ignore[arg-type]

    fill("key:a", 3, 1)
    with refused(Reason.TOO_MANY_CHALLENGES):
        fill("key:a", 1, 10)
    fill("key:b", 2, 20)
    with refused(Reason.TOO_MANY_CHALLENGES):  # keys reach five of the eight, whatever their number
        fill("key:c", 1, 30)
    fill("session:s", 3, 40)
    with refused(Reason.TOO_MANY_CHALLENGES):
        fill("session:s", 1, 50)
    assert stage.act("take_slots", ALICE, SPOT, principal="session:s", limits=LIMITS) == (0, None)
    assert stage.act("take_slots", BOB, FUTURES, principal="key:a", limits=LIMITS) == (0, 0)


@act
def insert_challenge(stage: Stage) -> None:
    made = inserted(stage, challenge())
    assert stage.read(lambda tx: tx.challenge(ALICE, "ch_1")) == made
    with pytest.raises(Exception, match="UNIQUE"):  # the same slot
        inserted(stage, challenge(2))


@act
def challenge_(stage: Stage) -> None:
    inserted(stage, challenge())
    assert stage.read(lambda tx: tx.challenge(BOB, "ch_1")) is None
    assert stage.read(lambda tx: tx.challenge(ALICE, "ch_2")) is None


@act
def challenge_by_grant(stage: Stage) -> None:
    made = approved(stage)
    assert stage.read(lambda tx: tx.challenge_by_grant(ALICE, grant_hash("g1"))) == made
    assert stage.read(lambda tx: tx.challenge_by_grant(BOB, grant_hash("g1"))) is None
    assert stage.read(lambda tx: tx.challenge_by_grant(ALICE, grant_hash("g2"))) is None


@act
def live_challenge(stage: Stage) -> None:
    made = inserted(stage, challenge())
    named = {"principal": made.principal, "digest": made.digest}
    assert stage.read(lambda tx: tx.live_challenge(ALICE, **named)) == made  # type: ignore[arg-type]
    assert stage.read(lambda tx: tx.live_challenge(ALICE, principal="key:z", digest=made.digest)) is None
    stage.act("close_challenge", made, to=State.DENIED, because="no")
    assert stage.read(lambda tx: tx.live_challenge(ALICE, **named)) is None  # type: ignore[arg-type]


@act
def denied_until(stage: Stage) -> None:
    made = inserted(stage, challenge())
    named = {"principal": made.principal, "digest": made.digest}
    assert stage.read(lambda tx: tx.denied_until(ALICE, **named)) is None  # type: ignore[arg-type]
    stage.act("close_challenge", made, to=State.DENIED, because="no")
    assert stage.read(lambda tx: tx.denied_until(ALICE, **named)) == made.expires_at  # type: ignore[arg-type]
    assert stage.read(lambda tx: tx.denied_until(ALICE, principal="key:z", digest=made.digest)) is None
    assert stage.read(lambda tx: tx.denied_until(ALICE, principal=made.principal, digest=b"z" * 32)) is None
    assert stage.read(lambda tx: tx.denied_until(BOB, **named)) is None  # type: ignore[arg-type]
    stage.clock.ms = made.expires_at
    assert stage.read(lambda tx: tx.denied_until(ALICE, **named)) is None  # type: ignore[arg-type]


@act
def waiting_challenges(stage: Stage) -> None:
    inserted(stage, challenge(1))
    inserted(stage, replace(challenge(2), expires_at=NOW_MS), slots=(1, 1))
    assert [found.challenge_id for found in stage.read(lambda tx: tx.waiting_challenges(ALICE))] == ["ch_1"]


@act
def live_challenges(stage: Stage) -> None:
    approved(stage, 1)
    inserted(stage, challenge(2, principal="key:b"), slots=(1, 0))
    stage.act("close_challenge", inserted(stage, challenge(3), slots=(2, 1)), to=State.CANCELLED, because="x")
    assert [found.challenge_id for found in stage.read(lambda tx: tx.live_challenges(ALICE))] == ["ch_1", "ch_2"]
    only = stage.read(lambda tx: tx.live_challenges(ALICE, principal="key:b"))
    assert [found.challenge_id for found in only] == ["ch_2"]
    assert stage.read(lambda tx: tx.live_challenges(BOB)) == []


@act
def approve_challenge(stage: Stage) -> None:
    made = inserted(stage, challenge())
    grant = {"grant_hash": grant_hash("g"), "grant_expires_at": NOW_MS + 1}
    assert stage.act("approve_challenge", made, **grant)
    assert not stage.act("approve_challenge", made, **grant)
    late = inserted(stage, replace(challenge(2), expires_at=NOW_MS), slots=(1, 1))
    assert not stage.act("approve_challenge", late, grant_hash=grant_hash("h"), grant_expires_at=NOW_MS + 1)


@act
def spend_grant(stage: Stage) -> None:
    made = approved(stage)
    assert stage.act("spend_grant", made)
    assert not stage.act("spend_grant", made)
    other = approved(stage, 2)
    stage.clock.tick(60_000)
    assert not stage.act("spend_grant", other)  # at its end it is over


@act
def close_challenge(stage: Stage) -> None:
    made = inserted(stage, challenge())
    assert stage.act("close_challenge", made, to=State.DENIED, because="changed_mind")
    assert not stage.act("close_challenge", made, to=State.CANCELLED, because="x")
    found = stage.read(lambda tx: tx.challenge(ALICE, "ch_1"))
    assert found is not None
    assert (found.state, found.closed_because) == (State.DENIED, "changed_mind")


@act
def overdue_accounts(stage: Stage) -> None:
    inserted(stage, challenge())
    assert stage.read(lambda tx: tx.overdue_accounts(limit=10)) == []
    stage.clock.tick(300_000)
    assert stage.read(lambda tx: tx.overdue_accounts(limit=10)) == [ALICE]


# -- layers, opened wallets, holds, changes that wait ------------------------------------------------------------------
@act
def advance_challenge(stage: Stage) -> None:
    made = inserted(stage, challenge())
    wallet = frozenset({ProofKind.WALLET})
    assert stage.act("advance_challenge", made, given=wallet)
    assert not stage.act("advance_challenge", made, given=wallet)  # the layer was proved meanwhile
    found = stage.read(lambda tx: tx.challenge(ALICE, made.challenge_id))
    assert found is not None
    assert (found.given, found.state) == (wallet, State.PENDING)
    late = {"grant_hash": grant_hash("g"), "grant_expires_at": NOW_MS + 1}
    assert not stage.act("approve_challenge", made, **late)  # by who saw it before that layer
    assert stage.act("approve_challenge", found, **late)
    assert not stage.act("advance_challenge", found, given=frozenset())
    overdue = inserted(stage, challenge(2), slots=(1, 1))
    stage.clock.ms = overdue.expires_at
    assert not stage.act("advance_challenge", overdue, given=wallet)


@act
def open_wallet(stage: Stage) -> None:
    stage.act("open_wallet", ALICE, "ses_1", FUTURES, expires_at=NOW_MS + 10)
    stage.act("open_wallet", ALICE, "ses_1", FUTURES, expires_at=NOW_MS + 20)
    assert stage.act("wallet_open_until", ALICE, "ses_1", FUTURES) == NOW_MS + 20


@act
def wallet_open_until(stage: Stage) -> None:
    stage.act("open_wallet", ALICE, "ses_1", FUTURES, expires_at=NOW_MS + 10)
    for other in ((ALICE, "ses_2", FUTURES), (ALICE, "ses_1", SPOT), (BOB, "ses_1", FUTURES)):
        assert stage.act("wallet_open_until", *other) is None
    stage.clock.ms = NOW_MS + 9
    assert stage.act("wallet_open_until", ALICE, "ses_1", FUTURES) == NOW_MS + 10
    stage.clock.ms = NOW_MS + 10
    assert stage.act("wallet_open_until", ALICE, "ses_1", FUTURES) is None


@act
def close_wallets(stage: Stage) -> None:
    for session_id, environment in (("ses_1", FUTURES), ("ses_2", FUTURES), ("ses_1", SPOT)):
        stage.act("open_wallet", ALICE, session_id, environment, expires_at=NOW_MS + 10)
    stage.act("close_wallets", ALICE, FUTURES)
    assert stage.act("wallet_open_until", ALICE, "ses_1", FUTURES) is None
    assert stage.act("wallet_open_until", ALICE, "ses_2", FUTURES) is None
    assert stage.act("wallet_open_until", ALICE, "ses_1", SPOT) == NOW_MS + 10


@act
def place_hold(stage: Stage) -> None:
    for until in (NOW_MS + 20, NOW_MS + 10):
        stage.act("place_hold", ALICE, FUTURES, HoldScope.KEYS, until=until)
    assert stage.act("holds", ALICE) == [Hold(FUTURES, HoldScope.KEYS, NOW_MS + 20)]


@act
def holds(stage: Stage) -> None:
    stage.act("place_hold", ALICE, FUTURES, HoldScope.KEYS, until=NOW_MS + 10)
    assert stage.act("holds", BOB) == []
    stage.clock.ms = NOW_MS + 10
    assert stage.act("holds", ALICE) == []


def change(number: int = 1, *, subject: str = "futures") -> PendingChange:
    kind, waiting = ChangeKind.PROTECTION_OFF, ChangeState.WAITING
    return PendingChange(ALICE, f"chg_{number}", kind, subject, {"a": "b"}, waiting, "ses_1", NOW_MS, NOW_MS + 10)


@act
def ask_change(stage: Stage) -> None:
    assert stage.act("ask_change", change())
    assert not stage.act("ask_change", change(2))
    assert stage.act("ask_change", change(3, subject="spot"))
    assert stage.act("cancel_change", change())
    assert stage.act("ask_change", change(2))


@act
def pending_change(stage: Stage) -> None:
    stage.act("ask_change", change())
    assert stage.act("pending_change", ALICE, "chg_1") == change()
    assert stage.act("pending_change", BOB, "chg_1") is None


@act
def waiting_changes(stage: Stage) -> None:
    for made in (change(1), change(2, subject="spot")):
        stage.act("ask_change", made)
    stage.act("cancel_change", change(1))
    assert stage.act("waiting_changes", ALICE) == [change(2, subject="spot")]
    assert stage.act("waiting_changes", BOB) == []


@act
def cancel_change(stage: Stage) -> None:
    stage.act("ask_change", change())
    assert stage.act("cancel_change", change())
    assert not stage.act("cancel_change", change())
    stage.clock.ms = NOW_MS + 10
    assert not stage.act("finish_change", change())


@act
def finish_change(stage: Stage) -> None:
    stage.act("ask_change", change())
    stage.clock.ms = NOW_MS + 9
    assert not stage.act("finish_change", change())
    assert stage.act("overdue_accounts", limit=9) == []
    stage.clock.ms = NOW_MS + 10
    assert stage.act("overdue_accounts", limit=9) == [ALICE]
    assert stage.act("finish_change", change())
    assert not stage.act("finish_change", change())
    assert not stage.act("cancel_change", change())


@act
def remove_authenticator(stage: Stage) -> None:
    made = active(stage)
    assert stage.act("remove_authenticator", ALICE, made.authenticator_id)
    assert not stage.act("remove_authenticator", ALICE, made.authenticator_id)
    assert stage.act("bound_authenticator", ALICE, FUTURES) is None


# -- keys, upstream accounts, integrators --------------------------------------------------------------------------
@act
def insert_key(stage: Stage) -> None:
    assert stage.act("insert_key", key())
    assert not stage.act("insert_key", replace(key(2, account=BOB), api_key="lk1"))
    assert stage.read(lambda tx: tx.key(ALICE, "key_1")) == key()


@act
def key_(stage: Stage) -> None:
    public = replace(key(), secret=None, public_key=b"p" * 32, algorithm=KeyAlgorithm.ED25519)
    stage.act("insert_key", public)
    assert stage.read(lambda tx: tx.key(ALICE, "key_1")) == public
    assert stage.read(lambda tx: tx.key(BOB, "key_1")) is None


@act
def key_by_name(stage: Stage) -> None:
    stage.act("insert_key", key())
    assert stage.read(lambda tx: tx.key_by_name("lk1")) == key()
    assert stage.read(lambda tx: tx.key_by_name("LK1")) is None


@act
def keys(stage: Stage) -> None:
    for made in (key(2), key(1), key(3, account=BOB)):
        stage.act("insert_key", made)
    assert stage.read(lambda tx: tx.keys(ALICE)) == [key(1), key(2)]


@act
def set_key_state(stage: Stage) -> None:
    stage.act("insert_key", key())
    change = {"before": KeyState.ACTIVE, "after": KeyState.FROZEN}
    assert stage.act("set_key_state", ALICE, "key_1", **change)
    assert not stage.act("set_key_state", ALICE, "key_1", **change)


@act
def edit_key(stage: Stage) -> None:
    """Guarded by the edit before, on active keys alone; whoever edits ends the sparing with it."""
    stage.act("insert_key", key())
    stage.act("mark_keys_legacy", ALICE, ends_at=None)
    before = stage.read(lambda tx: tx.key(ALICE, "key_1"))
    terms = KeyTerms("desk", frozenset({Scope.FUTURES, Scope.WITHDRAW}), ("192.0.2.1", "2001:db8::/64"), True)
    assert stage.act("edit_key", before, terms)
    assert not stage.act("edit_key", before, KeyTerms("other"))
    after = stage.read(lambda tx: tx.key(ALICE, "key_1"))
    assert after is not None
    assert (after.terms, after.legacy, after.edited_at) == (terms, False, NOW_MS)
    assert stage.act("edit_key", after, KeyTerms("desk"))
    assert not stage.act("edit_key", after, KeyTerms("desk")), "two edits in one millisecond"
    stage.act("set_key_state", ALICE, "key_1", before=KeyState.ACTIVE, after=KeyState.FROZEN)
    frozen = stage.read(lambda tx: tx.key(ALICE, "key_1"))
    assert not stage.act("edit_key", frozen, KeyTerms("desk"))


def legacy(stage: Stage, *, ends_at: int | None = None) -> None:
    """Alice has a live legacy key and a revoked one, Bob one that is none."""
    for made in (key(1), key(2), key(3, account=BOB)):
        stage.act("insert_key", made)
    stage.act("set_key_state", ALICE, "key_2", before=KeyState.ACTIVE, after=KeyState.REVOKED)
    assert stage.act("mark_keys_legacy", ALICE, ends_at=ends_at) == ["key_1"]


@act
def mark_keys_legacy(stage: Stage) -> None:
    legacy(stage, ends_at=NOW_MS + 5)
    assert stage.act("mark_keys_legacy", ALICE, ends_at=None) == []
    assert stage.read(lambda tx: tx.key(ALICE, "key_1")).legacy_ends_at == NOW_MS + 5  # type: ignore[union-attr]
    assert not stage.read(lambda tx: tx.key(BOB, "key_3")).legacy  # type: ignore[union-attr]


@act
def date_legacy_keys(stage: Stage) -> None:
    legacy(stage)
    assert stage.act("date_legacy_keys", ALICE, ends_at=NOW_MS + 5) == ["key_1"]
    assert stage.act("date_legacy_keys", ALICE, ends_at=NOW_MS + 5) == []
    assert stage.act("date_legacy_keys", BOB, ends_at=NOW_MS + 5) == []
    assert stage.act("date_legacy_keys", ALICE, ends_at=None) == ["key_1"]


@act
def end_legacy_keys(stage: Stage) -> None:
    legacy(stage, ends_at=NOW_MS + 5)
    assert stage.act("end_legacy_keys", ALICE) == []
    stage.clock.tick(5)
    assert stage.act("end_legacy_keys", ALICE) == ["key_1"]
    assert stage.act("end_legacy_keys", ALICE) == []


@act
def tell_legacy_keys(stage: Stage) -> None:
    legacy(stage, ends_at=NOW_MS + 50)
    assert stage.act("tell_legacy_keys", ALICE, until=NOW_MS + 49, told=1) == []
    assert stage.act("tell_legacy_keys", ALICE, until=NOW_MS + 50, told=2) == ["key_1"]
    assert stage.act("tell_legacy_keys", ALICE, until=NOW_MS + 50, told=1) == [], "the later one makes it needless"


@act
def legacy_accounts(stage: Stage) -> None:
    legacy(stage, ends_at=NOW_MS + 100)

    def due(until: int, soon: int) -> list[str]:
        return stage.read(lambda tx: tx.legacy_accounts(until=NOW_MS + until, soon=NOW_MS + soon, limit=9))

    assert due(99, 10) == []
    assert due(100, 10) == [ALICE]
    stage.act("tell_legacy_keys", ALICE, until=NOW_MS + 100, told=1)
    assert due(100, 10) == []
    assert due(190, 100) == [ALICE]
    stage.act("tell_legacy_keys", ALICE, until=NOW_MS + 100, told=2)
    assert due(190, 100) == []
    stage.clock.tick(100)
    assert due(190, 100) == [ALICE]
    stage.act("end_legacy_keys", ALICE)
    assert due(10_000, 10_000) == []


@act
def add_legacy_use(stage: Stage) -> None:
    for use in (LegacyUse(ALICE, "key_1", "a", 2, NOW_MS), LegacyUse(ALICE, "key_1", "a", 3, NOW_MS - 1)):
        stage.act("add_legacy_use", use)
    assert stage.read(lambda tx: tx.legacy_uses(ALICE, since=NOW_MS)) == [LegacyUse(ALICE, "key_1", "a", 5, NOW_MS)]


@act
def legacy_uses(stage: Stage) -> None:
    """Of one account, by key and action, over whole days."""
    uses = [
        LegacyUse(ALICE, "key_1", "a", 1, NOW_MS),
        LegacyUse(ALICE, "key_1", "b", 1, NOW_MS - 2 * DAY),
        LegacyUse(BOB, "key_3", "a", 1, NOW_MS),
    ]
    for use in uses:
        stage.act("add_legacy_use", use)
    assert stage.read(lambda tx: tx.legacy_uses(ALICE, since=NOW_MS - DAY)) == uses[:1]
    assert stage.read(lambda tx: tx.legacy_uses(ALICE, since=NOW_MS - 2 * DAY)) == uses[:2]
    stage.clock.tick(89 * DAY)
    stage.act("prune", limit=10)
    assert stage.read(lambda tx: tx.legacy_uses(ALICE, since=0)) == uses[:1]


# -- what a host says ------------------------------------------------------------------------------------------------
def host_key(number: int = 1, *, integrator: str = "int_1") -> IntegratorKey:
    return IntegratorKey(f"ik_{number}", integrator, Algorithm.EDDSA, b"d" * 44, NOW_MS + number)


def host(stage: Stage) -> None:
    stage.act("insert_integrator", "int_1", name="venue", token_hash=b"t" * 32)
    assert stage.act("insert_integrator_key", host_key())


@act
def insert_integrator_key(stage: Stage) -> None:
    host(stage)
    assert not stage.act("insert_integrator_key", host_key(2, integrator="int_none"))
    stage.act("revoke_integrator", "int_1")
    assert not stage.act("insert_integrator_key", host_key(3))


@act
def integrator_key(stage: Stage) -> None:
    host(stage)
    assert stage.read(lambda tx: tx.integrator_key("ik_1")) == host_key()
    assert stage.read(lambda tx: tx.integrator_key("ik_2")) is None
    stage.act("revoke_integrator", "int_1")
    assert stage.read(lambda tx: tx.integrator_key("ik_1")) is None


@act
def integrator_keys(stage: Stage) -> None:
    host(stage)
    stage.act("insert_integrator_key", host_key(2))
    stage.act("remove_integrator_key", "ik_1")
    assert stage.read(lambda tx: tx.integrator_keys()) == [replace(host_key(), removed=True), host_key(2)]


@act
def remove_integrator_key(stage: Stage) -> None:
    host(stage)
    assert stage.act("remove_integrator_key", "ik_1")
    assert not stage.act("remove_integrator_key", "ik_1")
    found = stage.read(lambda tx: tx.integrator_key("ik_1"))
    assert found is not None
    assert found.removed


@act
def burn_statement(stage: Stage) -> None:
    """Once for each account; what was used is remembered for a day after it ran out."""
    used = {"expires_at": NOW_MS + 60_000}
    assert stage.act("burn_statement", ALICE, b"m" * 32, **used)
    assert not stage.act("burn_statement", ALICE, b"m" * 32, **used)
    assert stage.act("burn_statement", BOB, b"m" * 32, **used)
    stage.clock.tick(DAY + 60_000)
    stage.act("prune", limit=10)
    assert not stage.act("burn_statement", ALICE, b"m" * 32, **used)
    stage.clock.tick(1)
    stage.act("prune", limit=10)
    assert stage.act("burn_statement", ALICE, b"m" * 32, **used)


@act
def vouch_challenge(stage: Stage) -> None:
    """No answer was counted, so none is taken back; once, and never for what is overdue."""
    asked = challenge()
    stage.act("insert_challenge", asked, slots=(0, None))
    password = frozenset({ProofKind.PASSWORD})
    assert stage.act("vouch_challenge", asked, given=password)
    assert not stage.act("vouch_challenge", asked, given=password)
    found = stage.read(lambda tx: tx.challenge(ALICE, asked.challenge_id))
    assert found is not None
    assert (found.given, found.wrong_answers, found.state) == (password, 0, State.PENDING)
    stage.clock.tick(300_000)
    assert not stage.act("vouch_challenge", found, given=frozenset())


@act
def approve_vouched(stage: Stage) -> None:
    asked = challenge()
    stage.act("insert_challenge", asked, slots=(0, None))
    grant = {"grant_hash": b"g" * 32, "grant_expires_at": NOW_MS + 60_000, "given": frozenset({ProofKind.PASSWORD})}
    assert stage.act("approve_vouched", asked, **grant)
    assert not stage.act("approve_vouched", asked, **grant)
    found = stage.read(lambda tx: tx.challenge(ALICE, asked.challenge_id))
    assert found is not None
    assert (found.state, found.wrong_answers, found.grant_hash) == (State.APPROVED, 0, b"g" * 32)


# -- sealed secrets ----------------------------------------------------------------------------------------------------
NEW_SEAL = SealedSecret(2, b"N" * 12, b"C" * 36)


def sealed(stage: Stage) -> None:
    """One secret of each table, and of each a row that has none."""
    stage.act("insert_authenticator", authenticator())
    for made in (key(1), replace(key(2), secret=None, public_key=b"p" * 32), key(3, account=BOB)):
        stage.act("insert_key", made)
    for number in (1, 2):
        stage.act("insert_upstream", upstream(number))
    stage.act("remove_upstream", ALICE, "up_2")


@act
def sealed_secrets(stage: Stage) -> None:
    sealed(stage)
    found = stage.read(lambda tx: tx.sealed_secrets(ALICE, other_than=2))
    assert found == [authenticator().stored, key(1).stored, upstream(1).stored]
    assert stage.read(lambda tx: tx.sealed_secrets(ALICE, other_than=1)) == []


@act
def reseal(stage: Stage) -> None:
    """Guarded by the secret that was read: a row that was written meanwhile is not overwritten."""
    sealed(stage)
    for stored in stage.read(lambda tx: tx.sealed_secrets(ALICE, other_than=2)):
        assert stage.act("reseal", stored, NEW_SEAL)
        assert not stage.act("reseal", stored, NEW_SEAL)
        assert not stage.act("reseal", replace(stored, account_id=BOB, secret=NEW_SEAL), SEALED)
    found = stage.read(lambda tx: tx.sealed_secrets(ALICE, other_than=1))
    assert [stored.secret for stored in found] == [NEW_SEAL] * 3


@act
def sealed_versions(stage: Stage) -> None:
    sealed(stage)
    stage.act("reseal", key(1).stored, NEW_SEAL)
    assert stage.read(lambda tx: tx.sealed_versions()) == {1: 3, 2: 1}


@act
def insert_upstream(stage: Stage) -> None:
    stage.act("insert_upstream", upstream())
    assert stage.read(lambda tx: tx.upstream(ALICE, "up_1")) == upstream()


@act
def upstream_(stage: Stage) -> None:
    stage.act("insert_upstream", upstream())
    assert stage.read(lambda tx: tx.upstream(BOB, "up_1")) is None


@act
def upstreams(stage: Stage) -> None:
    for made in (upstream(2), upstream(1), upstream(3, account=BOB)):
        stage.act("insert_upstream", made)
    assert stage.read(lambda tx: tx.upstreams(ALICE)) == [upstream(1), upstream(2)]
    assert stage.read(lambda tx: tx.upstreams(None)) == [upstream(1), upstream(2), upstream(3, account=BOB)]


@act
def remove_upstream(stage: Stage) -> None:
    stage.act("insert_upstream", upstream())
    assert stage.act("remove_upstream", ALICE, "up_1")
    assert not stage.act("remove_upstream", ALICE, "up_1")
    gone = stage.read(lambda tx: tx.upstream(ALICE, "up_1"))
    assert gone is not None
    assert (gone.removed, gone.secret.nonce, gone.secret.ciphertext) == (True, b"", b"")


@act
def insert_integrator(stage: Stage) -> None:
    assert stage.act("insert_integrator", "int_1", name="venue", token_hash=b"t" * 32)
    assert not stage.act("insert_integrator", "int_2", name="venue", token_hash=b"u" * 32)


@act
def integrator_of_token(stage: Stage) -> None:
    stage.act("insert_integrator", "int_1", name="venue", token_hash=b"t" * 32)
    assert stage.read(lambda tx: tx.integrator_of_token(b"t" * 32)) == "int_1"
    assert stage.read(lambda tx: tx.integrator_of_token(b"u" * 32)) is None


@act
def integrators(stage: Stage) -> None:
    stage.act("insert_integrator", "int_1", name="venue", token_hash=b"t" * 32)
    assert stage.read(lambda tx: tx.integrators()) == [("int_1", "venue", False)]


@act
def revoke_integrator(stage: Stage) -> None:
    stage.act("insert_integrator", "int_1", name="venue", token_hash=b"t" * 32)
    assert stage.act("revoke_integrator", "int_1")
    assert not stage.act("revoke_integrator", "int_1")
    assert stage.read(lambda tx: tx.integrator_of_token(b"t" * 32)) is None


# -- messages, idempotency, trail, settings --------------------------------------------------------------------------
@act
def put_message(stage: Stage) -> None:
    stage.act("put_message", message())
    assert stage.read(lambda tx: tx.due_messages(limit=5)) == [message()]


@act
def due_messages(stage: Stage) -> None:
    stage.act("put_message", replace(message(1), created_at=NOW_MS + 1))
    stage.act("put_message", message(2))
    assert [found.message_id for found in stage.read(lambda tx: tx.due_messages(limit=5))] == ["msg_2"]


@act
def message_done(stage: Stage) -> None:
    stage.act("put_message", message())
    assert stage.act("message_done", message())
    assert not stage.act("message_done", message())


@act
def message_failed(stage: Stage) -> None:
    stage.act("put_message", message())
    assert stage.act("message_failed", message(), next_at=NOW_MS + 10, reason="refused")
    assert stage.read(lambda tx: tx.due_messages(limit=5)) == []
    stage.clock.tick(10)
    assert stage.read(lambda tx: tx.due_messages(limit=5)) == [replace(message(), attempts=1)]
    assert stage.act("message_failed", message(), next_at=None, reason="given up")
    stage.clock.tick(10**6)
    assert stage.read(lambda tx: tx.due_messages(limit=5)) == []


@act
def hasten_messages(stage: Stage) -> None:
    stage.act("put_message", message())
    stage.act("message_failed", message(), next_at=NOW_MS + 10**9, reason="refused")
    stage.act("hasten_messages", BOB, now_ms=NOW_MS)
    assert stage.read(lambda tx: tx.due_messages(limit=5)) == []
    stage.act("hasten_messages", ALICE, now_ms=NOW_MS)
    assert stage.read(lambda tx: tx.due_messages(limit=5)) == [replace(message(), attempts=1)]
    stage.act("message_failed", message(), next_at=None, reason="given up")
    stage.act("hasten_messages", ALICE, now_ms=NOW_MS)
    assert stage.read(lambda tx: tx.due_messages(limit=5)) == []


@act
def claim_idempotency(stage: Stage) -> None:
    named = {"principal": "p", "key": "k"}
    assert stage.act("claim_idempotency", ALICE, **named, fingerprint=b"1") is None
    assert stage.act("claim_idempotency", ALICE, **named, fingerprint=b"2") == (b"1", None)
    assert stage.act("claim_idempotency", ALICE, principal="q", key="k", fingerprint=b"2") is None
    assert stage.act("claim_idempotency", BOB, **named, fingerprint=b"2") is None


@act
def store_answer(stage: Stage) -> None:
    named = {"principal": "p", "key": "k"}
    stage.act("claim_idempotency", ALICE, **named, fingerprint=b"1")
    stage.act("store_answer", ALICE, **named, answer=b"first")
    stage.act("store_answer", ALICE, **named, answer=b"second")
    assert stage.act("claim_idempotency", ALICE, **named, fingerprint=b"1") == (b"1", b"first")


def _record(stage: Stage, account_id: str) -> None:
    stage.run(lambda tx: (tx.lock_account(account_id), tx.record(AuditEvent(EventKind.KEY_CREATED, "p"))))


@act
def events(stage: Stage) -> None:
    for account_id in (ALICE, BOB, ALICE, ALICE):
        _record(stage, account_id)
    assert [event.seq for event in stage.read(lambda tx: tx.events(ALICE, after_seq=1, limit=1))] == [2]
    assert len(stage.read(lambda tx: tx.events(BOB, after_seq=0, limit=9))) == 1


@act
def changed_heads(stage: Stage) -> None:
    for account_id in (ALICE, BOB, ALICE):
        _record(stage, account_id)
    until, heads = stage.read(lambda tx: tx.changed_heads(after=0))
    assert (until, [(account_id, seq) for account_id, seq, _ in heads]) == (3, [(ALICE, 2), (BOB, 1)])
    assert heads[0][2] == stage.read(lambda tx: tx.account(ALICE)).chain_head  # type: ignore[union-attr]
    assert stage.read(lambda tx: tx.changed_heads(after=3)) == (3, [])


@act
def heads_between(stage: Stage) -> None:
    for account_id in (ALICE, BOB, ALICE):
        _record(stage, account_id)
    heads = stage.read(lambda tx: tx.heads_between(after=0, until=2))
    assert [(account_id, seq) for account_id, seq, _ in heads] == [(ALICE, 1), (BOB, 1)]


@act
def lift_events(stage: Stage) -> None:
    for _ in range(3):
        stage.run(lambda tx: (tx.lock_account(ALICE), tx.record(AuditEvent(EventKind.SESSION_ENDED, "p"))))
    newest, _ = stage.read(lambda tx: tx.changed_heads(after=0))
    stage.act("lift_events", above=newest - 1, by=10)
    assert stage.read(lambda tx: tx.changed_heads(after=newest)[0]) == newest + 10
    assert [head[:2] for head in stage.read(lambda tx: tx.heads_between(after=0, until=newest))] == [(ALICE, 2)]


@act
def note_change(stage: Stage) -> None:
    stage.act("note_change", ALICE)
    assert stage.read(lambda tx: tx.last_change()) == 1


@act
def changes(stage: Stage) -> None:
    stage.act("note_change", ALICE)
    stage.act("note_change", BOB)
    assert stage.read(lambda tx: tx.changes(after=0)) == (2, [ALICE, BOB])
    assert stage.read(lambda tx: tx.changes(after=1)) == (2, [BOB])
    assert stage.read(lambda tx: tx.changes(after=2)) == (2, [])


@act
def last_change(stage: Stage) -> None:
    assert stage.read(lambda tx: tx.last_change()) == 0


@act
def setting(stage: Stage) -> None:
    assert stage.read(lambda tx: tx.setting("nothing")) is None


@act
def set_setting(stage: Stage) -> None:
    stage.act("set_setting", "name", "one")
    stage.act("set_setting", "name", "two")
    assert stage.read(lambda tx: tx.setting("name")) == "two"


@act
def drop_setting(stage: Stage) -> None:
    stage.act("set_setting", "name", "one")
    stage.act("drop_setting", "name")
    stage.act("drop_setting", "name")
    assert stage.read(lambda tx: tx.setting("name")) is None


@act
def reset_high_water(stage: Stage) -> None:
    stage.clock.tick(10**9)
    stage.run(lambda tx: tx.now)
    stage.clock.tick(-(10**9))
    with refused(Reason.CLOCK_BEHIND):
        stage.run(lambda tx: tx.now)
    stage.run_at_mark(lambda tx: (tx.reset_high_water(now_ms=NOW_MS), tx.set_setting("fence_number", "1")))
    assert stage.run(lambda tx: tx.now) == NOW_MS


@act
def prune(stage: Stage) -> None:
    stage.act("claim_idempotency", ALICE, principal="p", key="k", fingerprint=b"1")
    stage.act("note_change", ALICE)
    stage.act("charge_sign_in", b"s" * 32, limits=LIMITS)
    assert stage.act("prune", limit=10) == 0
    stage.clock.tick(11 * 60_000)
    assert stage.act("prune", limit=10) == 1  # changes are kept for minutes, the rest for a day
    stage.clock.tick(24 * 3_600_000)
    assert stage.act("prune", limit=10) == 2
