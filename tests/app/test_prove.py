"""Prove: one live code of the right environment, once, counted before it is looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.observing import (
    FUTURES,
    LOGIN,
    MARGIN,
    SPOT,
    FixedEntropy,
    count_compares,
    events,
    factor,
    replacing,
    streak,
    wrong,
)
from leverlock.app import prove, redeem, sign_in
from leverlock.app.proofs import Proof
from leverlock.domain.audit import EventKind
from leverlock.domain.challenge import State
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.errors import Reason
from leverlock.domain.totp import step_at
from leverlock.ports import PasswordFinding
from world import STEP_MS, Deployment, Owner, SettableClock, leverage_raise, margin_mode, oathtool_code, order, refused

RFC_SECRET = b"12345678901234567890"


@pytest.mark.bar("B4")
def test_a_step_serves_once_and_time_never_runs_backwards(alice: Owner) -> None:
    clock = alice.deployment.clock
    clock.tick(2 * STEP_MS)
    at_t, at_next = alice.code(), alice.code(offset=1)
    alice.prove(alice.asked(order(symbol="A")), code=at_t)
    alice.prove(alice.asked(order(symbol="B")), code=at_next)
    last = alice.asked(order(symbol="C"))
    with refused(Reason.CODE_ALREADY_USED):
        alice.prove(last, code=at_t)  # still inside its window, though not the last value used
    with refused(Reason.CODE_ALREADY_USED):
        alice.prove(last, code=at_next)
    assert factor(alice).last_step == step_at(clock.ms) + 1


@pytest.mark.bar("B4")
def test_what_was_used_stays_used_after_a_restart(alice: Owner) -> None:
    deployment = alice.deployment
    code = alice.fresh_code()
    alice.prove(alice.asked(order(symbol="A")), code=code)
    challenge = alice.asked(order(symbol="B"))
    deployment.close()
    with Deployment.open(deployment.path.parent, clock=deployment.clock) as again:
        alice.deployment = again
        with refused(Reason.CODE_ALREADY_USED):
            alice.prove(challenge, code=code)


@pytest.mark.bar("B6")
def test_digits_that_match_two_steps_burn_the_higher(tmp_path: Path) -> None:
    """Counters 910737 and 910738 of the RFC's secret are both 911617."""
    clock = SettableClock(27_322_140_000 - 10 * STEP_MS)
    with Deployment.create(tmp_path, clock=clock) as deployment:
        deployment.world = replace(deployment.world, entropy=FixedEntropy(deployment, RFC_SECRET))
        owner = deployment.owner()
        owner.enrol(FUTURES)
        clock.ms = 27_322_140_000
        assert owner.code() == owner.code(offset=-1) == "911617"
        first, second = owner.asked(order(symbol="A")), owner.asked(order(symbol="B"))
        owner.prove(first, code="911617")
        assert factor(owner).last_step == 910738
        with refused(Reason.CODE_ALREADY_USED):
            owner.prove(second, code="911617")


@pytest.mark.bar("B9")
@pytest.mark.mission("M10")
@pytest.mark.mission("M23")
@pytest.mark.parametrize("asked", MARKETS)
@pytest.mark.parametrize("used", MARKETS)
def test_a_code_serves_its_own_environment_alone(deployment: Deployment, asked: Environment, used: Environment) -> None:
    owner = deployment.owner(enrolled=MARKETS)
    deployment.clock.tick(STEP_MS)
    challenge = owner.asked(replacing(asked))
    before = factor(owner, used)
    if asked is used:
        assert owner.prove(challenge, code=owner.code(used))
        return
    with refused(Reason.WRONG_CODE):
        owner.prove(challenge, code=owner.code(used))
    assert factor(owner, used) == before  # neither burned nor charged
    assert (streak(owner, asked), wrong(owner), owner.challenge(challenge).wrong_answers) == (1, 1, 1)
    assert owner.prove(owner.asked(replacing(used)), code=owner.code(used))


@pytest.mark.bar("B48")
def test_five_wrong_answers_kill_the_challenge_and_stay_counted(alice: Owner) -> None:
    challenge = alice.asked(order())
    for count in range(1, 6):
        with refused(Reason.WRONG_CODE):
            alice.prove(challenge, code=alice.wrong_code())
        assert alice.challenge(challenge).wrong_answers == count
    assert alice.challenge(challenge).state is State.FAILED
    assert (wrong(alice), streak(alice)) == (5, 5)
    alice.deployment.clock.tick(STEP_MS + 30_000)
    with refused(Reason.CHALLENGE_FAILED):
        alice.prove(challenge, code=alice.code())
    assert wrong(alice) == 5
    assert alice.approved(order())  # a new challenge, after the block, with the right code
    assert (wrong(alice), streak(alice)) == (5, 0)
    assert len(events(alice, EventKind.CHALLENGE_FAILED)) == 1


@pytest.mark.bar("B48")
def test_the_last_try_may_be_right(alice: Owner) -> None:
    challenge = alice.asked(order())
    for _ in range(4):
        with refused(Reason.WRONG_CODE):
            alice.prove(challenge, code=alice.wrong_code())
    assert alice.prove(challenge)
    assert alice.challenge(challenge).wrong_answers == 4


@pytest.mark.bar("B50")
def test_what_logged_in_cannot_approve(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[LOGIN, FUTURES])
    world = deployment.world
    signed = deployment.run(
        lambda tx: sign_in.sign_in(tx, world, login="alice", source="192.0.2.1", finding=owner.finding())
    )
    code = owner.fresh_code(LOGIN)
    deployment.run(lambda tx: sign_in.complete_login(tx, world, token=signed.token, code=code))
    with refused(Reason.CODE_ALREADY_USED):
        owner.prove(owner.asked(replacing(LOGIN)), code=code)
    with refused(Reason.WRONG_CODE):
        owner.prove(owner.asked(order()), code=code)


@pytest.mark.bar("B50")
def test_what_approved_cannot_log_in(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[LOGIN])
    world = deployment.world
    signed = deployment.run(
        lambda tx: sign_in.sign_in(tx, world, login="alice", source="192.0.2.1", finding=owner.finding())
    )
    code = owner.fresh_code(LOGIN)
    owner.prove(owner.asked(replacing(LOGIN)), code=code)
    with refused(Reason.CODE_ALREADY_USED):
        deployment.run(lambda tx: sign_in.complete_login(tx, world, token=signed.token, code=code))


# -- the password beside the code ------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["none", "wrong", "of another", "of an old hash"])
def test_full_reauthentication_needs_the_right_password_too(alice: Owner, what: str) -> None:
    challenge = alice.asked(replacing(FUTURES))
    right = alice.finding()
    given = {
        "none": None,
        "wrong": replace(right, matched=False),
        "of another": replace(right, account_id="acc_other"),
        "of an old hash": replace(right, checked_hash="old"),
    }[what]
    before = factor(alice).last_step
    code = alice.fresh_code()
    deployment = alice.deployment

    def answer(finding: PasswordFinding | None) -> list[prove.Approved]:
        return deployment.run(
            lambda tx: prove.prove(
                tx,
                deployment.world,
                account_id=alice.account_id,
                answered_by=alice.principal,
                challenge_ids=[challenge.challenge_id],
                proof=Proof(code, finding),
            )
        )

    with refused(Reason.PROOF_MISSING if given is None else Reason.WRONG_CODE):
        answer(given)
    counted = 0 if given is None else 1  # what was not sent was not tried
    assert (factor(alice).last_step, wrong(alice), streak(alice)) == (before, counted, counted)
    assert answer(right)


# -- one code for several (semantics 12) -----------------------------------------------------------------------------
def test_one_code_approves_up_to_five_and_each_grant_is_its_own(alice: Owner) -> None:
    actions = [order(symbol=f"S{n}") for n in range(3)] + [margin_mode(symbol="S3"), leverage_raise(symbol="S4")]
    marked = [alice.asked(action) for action in actions]
    approved = alice.prove(*marked)
    assert len({answer.grant for answer in approved}) == 5
    for action, answer in zip(actions, approved, strict=True):
        assert isinstance(alice.redeem(action, answer.grant), redeem.Redeemed)
        with refused(Reason.GRANT_SPENT):
            alice.redeem(action, answer.grant)
    [event] = events(alice, EventKind.CHALLENGE_APPROVED)
    assert all(challenge.challenge_id.encode() in event.body for challenge in marked)


def test_a_sixth_a_double_or_none_is_refused_and_costs_nothing(alice: Owner) -> None:
    marked = [alice.asked(order(symbol=f"S{n}")) for n in range(6)]
    for ids in (marked, [marked[0], marked[0]]):
        with refused(Reason.CANNOT_GROUP):
            alice.prove(*ids, code=alice.code())
    deployment = alice.deployment
    with refused(Reason.CANNOT_GROUP):
        deployment.run(
            lambda tx: prove.prove(
                tx,
                deployment.world,
                account_id=alice.account_id,
                answered_by="s",
                challenge_ids=[],
                proof=Proof("000000"),
            )
        )
    assert (wrong(alice), streak(alice)) == (0, 0)


def test_one_code_never_spans_environments_nor_kinds_that_stand_alone(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[SPOT, FUTURES])
    plain = owner.asked(order())
    for other in (owner.asked(replacing(FUTURES)), owner.asked(replacing(SPOT))):
        for marked in ((plain, other), (other, plain)):
            with refused(Reason.CANNOT_GROUP):
                owner.prove(*marked, code=owner.fresh_code())
    assert wrong(owner) == 0


def test_a_wrong_code_for_several_is_one_wrong_answer_on_each(alice: Owner) -> None:
    marked = [alice.asked(order(symbol=f"S{n}")) for n in range(3)]
    with refused(Reason.WRONG_CODE):
        alice.prove(*marked, code=alice.wrong_code())
    assert [alice.challenge(challenge).wrong_answers for challenge in marked] == [1, 1, 1]
    assert (wrong(alice), streak(alice)) == (1, 1)


def test_one_that_is_not_pending_spoils_the_group_before_anything_is_counted(alice: Owner) -> None:
    first, second = alice.asked(order(symbol="A")), alice.asked(order(symbol="B"))
    alice.prove(first)
    with refused(Reason.CHALLENGE_NOT_PENDING):
        alice.prove(second, first)
    assert alice.challenge(second).state is State.PENDING
    assert wrong(alice) == 0


# -- what the owner is told (semantics 15) ---------------------------------------------------------------------------
@pytest.mark.bar("B62")
def test_wrong_other_environment_and_no_such_factor_are_one_answer(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[SPOT, FUTURES])
    answers = set()
    for code in (owner.wrong_code(), owner.fresh_code(SPOT)):
        with refused(Reason.WRONG_CODE) as why:
            owner.prove(owner.asked(order()), code=code)
        answers.add((str(why.value), why.value.detail, why.value.retry_after_ms, str(why.value.facts)))
    challenge = owner.asked(order())
    deployment.run(lambda tx: tx.retire_authenticator(owner.account_id, owner.authenticators[FUTURES]))
    with refused(Reason.WRONG_CODE) as why:
        owner.prove(challenge, code=owner.code())
    answers.add((str(why.value), why.value.detail, why.value.retry_after_ms, str(why.value.facts)))
    assert len(answers) == 1


@pytest.mark.bar("B47")
@pytest.mark.bar("B62")
def test_unknown_foreign_and_deleted_ids_look_alike_and_cost_nothing(deployment: Deployment) -> None:
    alice, bob = deployment.owner("alice", enrolled=[FUTURES]), deployment.owner("bob", enrolled=[FUTURES])
    foreign = bob.asked(order())
    answers = set()
    for challenge_id in (foreign.challenge_id, "ch_" + "a" * 26, "ch_", "", "x" * 10_000, "'; --"):
        with refused(Reason.UNKNOWN_ID) as why:
            alice.prove(challenge_id, code=alice.code())
        answers.add(str(why.value))
    assert len(answers) == 1
    assert (wrong(alice), wrong(bob), bob.challenge(foreign).wrong_answers) == (0, 0, 0)


def test_an_id_that_is_no_text_is_malformed(alice: Owner) -> None:
    with refused(Reason.MALFORMED):
        alice.prove("\ud800", code=alice.code())
    assert wrong(alice) == 0
    assert b"\\\\ud800" in events(alice, EventKind.ANSWER_REFUSED)[-1].body


def test_an_expired_challenge_says_so_and_costs_nothing(alice: Owner) -> None:
    challenge = alice.asked(order())
    alice.deployment.clock.tick(alice.deployment.world.limits.challenge_life_ms)
    compares = count_compares(alice.deployment)
    with refused(Reason.CHALLENGE_EXPIRED):
        alice.prove(challenge)
    assert (wrong(alice), compares.asked) == (0, 0)


@pytest.mark.mission("M5")
@pytest.mark.debian("oathtool")
def test_a_code_of_oathtool_is_accepted(alice: Owner) -> None:
    alice.deployment.clock.tick(STEP_MS)
    code = oathtool_code(alice.seeds[FUTURES], alice.deployment.clock.ms)
    assert alice.prove(alice.asked(order()), code=code)


@pytest.mark.bar("B3")
@pytest.mark.parametrize("offset", range(-10, 11))
@pytest.mark.parametrize("second", [0, 1, 29])
def test_the_window_is_one_step_to_each_side(alice: Owner, offset: int, second: int) -> None:
    clock = alice.deployment.clock
    clock.ms = (clock.ms // STEP_MS + 20) * STEP_MS + second * 1000
    challenge = alice.asked(order())
    code = alice.code(offset=offset)
    if offset in (-1, 0, 1):
        assert alice.prove(challenge, code=code)
    else:
        with refused(Reason.WRONG_CODE):
            alice.prove(challenge, code=code)


@pytest.mark.bar("B8")
@pytest.mark.parametrize(
    "shape", ["{0} ", " {0}", "+{0}", "0{0}", "{0}\n", "{0}\u200b", "", "{0}0", "arabic", "fullwidth", "9" * 1000]
)
def test_only_the_very_digits_are_the_code(alice: Owner, shape: str) -> None:
    alice.deployment.clock.tick(STEP_MS)
    right = alice.code()
    given = {
        "arabic": right.translate({48 + n: 0x0660 + n for n in range(10)}),
        "fullwidth": right.translate({48 + n: 0xFF10 + n for n in range(10)}),
    }.get(shape, shape.format(right))
    challenge = alice.asked(order())
    with refused(Reason.WRONG_CODE):
        alice.prove(challenge, code=given)
    assert alice.prove(challenge, code=right)


def test_margin_has_a_code_of_its_own(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=MARKETS)
    assert len({owner.code(market) for market in MARKETS}) > 1
    assert len({owner.seeds[market] for market in (SPOT, MARGIN, FUTURES)}) == 3
