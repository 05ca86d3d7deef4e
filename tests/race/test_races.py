"""Sixty-four racers over two processes on one database file: whatever is used once is got by exactly one of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.coming_back import bodies, forget_messages, reached_at
from app.test_layers import withdrawal
from leverlock.app import decide, enrol, password, recovery_codes, sign_in
from leverlock.app.ceremonies import Asking
from leverlock.domain.environment import Environment
from leverlock.domain.totp import hotp, step_at
from leverlock.ports import Transaction
from race.racers import LIMITS, Track, sent, winners
from software_key import SoftwareKey, decoded
from trail_state import must_agree
from world import Deployment, Owner, options_of, order, password_hash

FUTURES, SPOT, LOGIN = Environment.FUTURES, Environment.SPOT, Environment.LOGIN
HOURS_2 = 2 * 3_600_000
RACERS = 64


class Course:
    """An owner, the racers, and a clock that jumps two hours between rounds so that no budget is in the way."""

    def __init__(self, deployment: Deployment, track: Track) -> None:
        self.deployment = deployment
        self.track = track
        self.owner = deployment.owner(enrolled=[FUTURES])
        self.rounds = 0

    def fresh(self) -> None:
        self.deployment.clock.tick(HOURS_2)
        self.rounds += 1

    def race(self, kind: str, **job: object) -> list[str]:
        outcomes = self.track.round(kind, self.deployment.clock.ms, account=self.owner.account_id, **job)
        assert len(outcomes) == RACERS
        assert "store_unavailable" not in outcomes
        return outcomes

    def events(self, owner: Owner | None = None) -> None:
        """The trail must be whole and tell what the tables hold."""
        account_id = (owner or self.owner).account_id
        trail = self.deployment.read(lambda tx: tx.events(account_id, after_seq=0, limit=1_000_000))
        must_agree(self.deployment.path, account_id, trail)


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    with Deployment.create(tmp_path, limits=LIMITS) as deployment, Track(tmp_path, racers=RACERS) as track:
        yield Course(deployment, track)


def run_rounds(course: Course, one: Callable[[Course], None], *, rounds: int, seconds: float) -> None:
    """As many rounds as fit, up to `rounds`; at least three."""
    deadline = time.monotonic() + seconds
    for number in range(rounds):
        if number >= 3 and time.monotonic() > deadline:
            break
        course.fresh()
        one(course)
    course.events()


# -- one round of each -----------------------------------------------------------------------------------------------
def one_step(course: Course) -> None:
    """One code, eight challenges, sixty-four answers: one approval."""
    owner = course.owner
    challenges = [owner.asked(order(symbol=f"S{n}")) for n in range(8)]
    code = owner.fresh_code()
    outcomes = course.race("prove", challenges=[c.challenge_id for c in challenges], code=code)
    assert len(winners(outcomes)) == 1, Counter(outcomes)
    approved = [c for c in challenges if owner.challenge(c).state == "approved"]
    assert len(approved) == 1
    factor = course.deployment.read(lambda tx: tx.bound_authenticator(owner.account_id, FUTURES))
    assert factor is not None
    assert factor.last_step == step_at(course.deployment.clock.ms)
    assert factor.budget.streak <= 5


def one_approval(course: Course) -> None:
    owner = course.owner
    challenge = owner.asked(order())
    outcomes = course.race("prove", challenges=[challenge.challenge_id], code=owner.fresh_code())
    assert len(winners(outcomes)) == 1, Counter(outcomes)


def one_grant(course: Course) -> None:
    owner = course.owner
    approved = owner.approved(order(symbol="A"))
    outcomes = course.race("redeem", grant=approved.grant, principal=owner.principal)
    assert Counter(outcomes) == {"ok Redeemed": 1, "grant_spent": RACERS - 1}


def one_execution(course: Course) -> None:
    """The same approved call repeated by sixty-four: executed once, asked anew once."""
    owner = course.owner
    owner.approved(order(symbol="A"))
    outcomes = Counter(course.race("repeat", principal=owner.principal))
    assert outcomes.pop("ok Redeemed") == 1
    assert list(outcomes.values()) == [RACERS - 1], outcomes


def one_challenge(course: Course) -> None:
    outcomes = course.race("ask", principal=course.owner.principal, same=True)
    assert len(set(outcomes)) == 1, Counter(outcomes)
    assert winners(outcomes)


def three_slots(course: Course) -> None:
    outcomes = Counter(course.race("ask", principal=course.owner.key().principal))
    assert outcomes.pop("too_many_challenges") == RACERS - 3
    assert len(outcomes) == 3


def eight_slots(course: Course) -> None:
    outcomes = Counter(course.race("ask", principal=course.owner.principal))
    assert outcomes.pop("too_many_challenges") == RACERS - 8
    assert len(outcomes) == 8


def one_confirmation(course: Course) -> None:
    owner, deployment = course.owner, course.deployment
    session = owner.sign_in()

    def start() -> enrol.Enrolment | decide.Asked:
        return deployment.run(lambda tx: enrol.start(tx, deployment.world, session=session, environment=SPOT))

    begun = start()
    if isinstance(begun, decide.Asked):
        owner.prove(begun.challenge)
        begun = start()
    assert isinstance(begun, enrol.Enrolment)
    step = step_at(deployment.clock.ms)
    outcomes = course.race(
        "confirm", authenticator=begun.authenticator_id, code=hotp(begun.seed, step), session=sent(session)
    )
    assert len(winners(outcomes)) == 1, Counter(outcomes)
    owner.seeds[SPOT], owner.used[SPOT], owner.authenticators[SPOT] = begun.seed, step, begun.authenticator_id


def one_login(course: Course) -> None:
    owner, deployment = course.owner, course.deployment
    if LOGIN not in owner.seeds:
        owner.sign_in()
        owner.enrol(LOGIN)
        course.fresh()
    half = deployment.run(
        lambda tx: sign_in.sign_in(tx, deployment.world, login=owner.login, source="course", finding=owner.finding())
    )
    outcomes = course.race("complete", token=half.token, code=owner.fresh_code(LOGIN))
    assert len(winners(outcomes)) == 1, Counter(outcomes)


def one_recovery(course: Course) -> None:
    """One code, sixty-four recoveries: one binding is opened, and five wrong answers are all that is evaluated."""
    owner, deployment = course.owner, course.deployment
    session = owner.sign_in()

    def renew(tx: Transaction) -> tuple[str, ...]:
        tx.lock_account(owner.account_id)
        return recovery_codes.issue(tx, deployment.world, session=session, environment=FUTURES)

    code = deployment.run(renew)[0]
    outcomes = course.race(
        "recover", session=sent(session), environment="futures", code=code, password_hash=password_hash()
    )
    assert Counter(outcomes) == {"ok": 1, "wrong_code": 5, "recovery_budget_spent": RACERS - 6}
    assert deployment.read(lambda tx: tx.recovery_codes_left(owner.account_id)) == {}


def one_link(course: Course) -> None:
    owner, deployment = course.owner, course.deployment
    if not course.rounds - 1:
        reached_at(owner)
    deployment.run(lambda tx: password.ask_reset(tx, deployment.world, login=owner.login, source="course"))
    token = bodies(owner, "password_reset.link")[-1]["token"]
    forget_messages(owner)
    outcomes = course.race("follow", token=token)
    assert Counter(outcomes) == {"ok": 1, "unknown_id": RACERS - 1}
    deployment.clock.tick(24 * HOURS_2 // 2)


def sent_assertion(key: SoftwareKey, asking: Asking) -> dict[str, str | None]:
    """A signature of these options, as a job carries it."""
    parts = decoded(key.sign(options_of(asking)))
    return {name: None if part is None else part.hex() for name, part in parts.items()}


def its_key(course: Course) -> SoftwareKey:
    owner = course.owner
    if not owner.keys:
        owner.sign_in()
        owner.add_key()
    return next(iter(owner.keys.values()))


def one_key_login(course: Course) -> None:
    owner, key = course.owner, its_key(course)
    owner.begin_sign_in()
    assertion = sent_assertion(key, owner.login_options())
    outcomes = Counter(course.race("key login", token=owner.token, assertion=assertion))
    assert outcomes == {"ok": 1, "conflict": RACERS - 1}


def one_key_login_is_wrong(course: Course) -> None:
    """A wrong answer takes the ceremony with it: one is looked at, and no second one ever."""
    owner = course.owner
    its_key(course)
    owner.begin_sign_in()
    assertion = sent_assertion(SoftwareKey(), owner.login_options())
    outcomes = Counter(course.race("key login", token=owner.token, assertion=assertion))
    assert outcomes == {"wrong_code": 1, "ceremony_over": RACERS - 1}


def one_key_movement(course: Course) -> None:
    owner, key = course.owner, its_key(course)
    owner.sign_in()
    challenge = owner.asked(withdrawal(amount=str(course.rounds)))
    owner.prove(challenge)
    assertion = sent_assertion(key, owner.ask_key(challenge))
    named = {"principal": owner.principal, "challenges": [challenge.challenge_id]}
    outcomes = Counter(course.race("key movement", assertion=assertion, **named))
    assert outcomes == {"ok": 1, "challenge_not_pending": RACERS - 1}


def one_ceremony(course: Course) -> None:
    """The bare statement, without lock, budget or charge."""
    owner = course.owner
    its_key(course)
    session = owner.begin_sign_in()
    owner.login_options()
    outcomes = Counter(course.race("take", session=session.session_id))
    assert outcomes == {"ok": 1, "lost": RACERS - 1}


def one_claim(course: Course) -> None:
    outcomes = Counter(course.race("claim", key=f"k{course.rounds}"))
    assert outcomes == {"ok": 1, "taken": RACERS - 1}


def one_write(course: Course) -> None:
    """The bare statement, without lock, budget or charge: the database alone decides."""
    step = step_at(course.deployment.clock.ms)
    named = {"authenticator": course.owner.authenticators[FUTURES], "step": step}
    outcomes = Counter(course.race("step", same=True, **named))
    assert outcomes == {f"ok {step}": 1, "lost": RACERS - 1}


def rising_writes(course: Course) -> None:
    """Each racer a step of his own: whatever the order, the highest stays and none is accepted below another."""
    step = step_at(course.deployment.clock.ms) + 1
    named = {"authenticator": course.owner.authenticators[FUTURES], "step": step}
    outcomes = course.race("step", **named)
    factor = course.deployment.read(lambda tx: tx.bound_authenticator(course.owner.account_id, FUTURES))
    assert factor is not None
    assert factor.last_step == step + RACERS - 1
    assert f"ok {step + RACERS - 1}" in outcomes


def five_guesses(course: Course) -> None:
    owner = course.owner
    owner.approved(order(symbol="RIGHT"))  # forgives the factor what the round before cost it
    challenges = [owner.asked(order(symbol=f"S{n}")).challenge_id for n in range(8)]
    outcomes = Counter(course.race("prove", challenges=challenges, code=owner.wrong_code()))
    assert outcomes == {"wrong_code": 5, "factor_blocked": RACERS - 5}


def ten_passwords(course: Course) -> None:
    outcomes = Counter(course.race("sign in", login=course.owner.login))
    assert outcomes == {"sign_in_failed": 10, "sign_in_throttled": RACERS - 10}


ROUNDS = [
    one_approval,
    one_grant,
    one_execution,
    one_challenge,
    three_slots,
    eight_slots,
    one_confirmation,
    one_login,
    one_recovery,
    one_link,
    one_claim,
    five_guesses,
    ten_passwords,
]
KEY_ROUNDS = [one_key_login, one_key_login_is_wrong, one_key_movement, one_ceremony]


@pytest.mark.bar("B5")
@pytest.mark.bar("B97")
def test_one_code_is_accepted_once(course: Course) -> None:
    run_rounds(course, one_step, rounds=200, seconds=15)
    assert course.rounds >= 20


@pytest.mark.bar("B5")
@pytest.mark.parametrize("one", [one_write, rising_writes])
def test_the_write_alone_decides(course: Course, one: Callable[[Course], None]) -> None:
    deadline = time.monotonic() + 5
    while course.rounds < 200 and time.monotonic() < deadline:
        course.fresh()
        one(course)
    assert course.rounds >= 20


@pytest.mark.bar("B97")
@pytest.mark.bar("B32")
@pytest.mark.parametrize("one", ROUNDS, ids=lambda one: one.__name__)
def test_what_is_used_once_is_got_by_one(course: Course, one: Callable[[Course], None]) -> None:
    run_rounds(course, one, rounds=20, seconds=2)


@pytest.mark.bar("B23")
@pytest.mark.bar("B97")
@pytest.mark.parametrize("one", KEY_ROUNDS, ids=lambda one: one.__name__)
def test_a_ceremony_is_got_by_one(course: Course, one: Callable[[Course], None]) -> None:
    run_rounds(course, one, rounds=20, seconds=2)


@pytest.mark.soak
@pytest.mark.bar("B5")
@pytest.mark.bar("B97")
@pytest.mark.parametrize("one", [one_step, *ROUNDS, *KEY_ROUNDS], ids=lambda one: one.__name__)
def test_two_hundred_rounds(course: Course, one: Callable[[Course], None]) -> None:
    run_rounds(course, one, rounds=200, seconds=600)
    assert course.rounds >= 200
