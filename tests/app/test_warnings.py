"""What the owner is told of wrong answers: exactly these notices, each once (B80)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.coming_back import bodies, half_signed, reached_at, recover, told
from app.observing import FUTURES, LOGIN, replacing
from leverlock.app import prove, sign_in
from leverlock.app.proofs import Proof
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import DAY, HOUR, Limits
from leverlock.domain.messages import Channel
from world import Deployment, Owner, order, refused


@pytest.fixture
def alice(tmp_path: Path) -> Iterator[Owner]:
    with Deployment.create(tmp_path, limits=Limits(account_wrong_answers=100)) as deployment:
        owner = deployment.owner("alice", enrolled=[FUTURES, LOGIN])
        reached_at(owner)
        reached_at(owner, "http://127.0.0.1/hook", Channel.WEBHOOK)
        yield owner


def warnings(owner: Owner) -> Counter[str]:
    """How often each kind stands in the outbox, by message; two addresses, so two of each."""
    return Counter(kind for kind, _ in told(owner) if "failures" in kind or "disabled" in kind)


def guess(owner: Owner, number: int = 0) -> Reason:
    owner.deployment.clock.tick(HOUR)
    try:
        owner.prove(owner.asked(order(symbol=f"S{number % 8}")), code=owner.wrong_code())
    except Refused as why:
        return why.reason
    raise AssertionError


@pytest.mark.bar("B80")
def test_the_owner_is_told_at_five_before_the_end_at_the_end_and_of_success(alice: Owner) -> None:
    seen = []
    for number in range(1, 51):
        assert guess(alice, number) is Reason.WRONG_CODE
        seen.append(sum(warnings(alice).values()))
    steps = {number: seen[number - 1] - (seen[number - 2] if number > 1 else 0) for number in range(1, 51)}
    assert {number for number, added in steps.items() if added} == {5, 45, 50}
    assert warnings(alice) == {
        "authenticator.failures": 2,
        "authenticator.nearly_disabled": 2,
        "authenticator.disabled": 2,
    }
    [first, _] = bodies(alice, "authenticator.failures")
    assert (first["environment"], first["wrong_answers"]) == ("futures", 5)


@pytest.mark.bar("B80")
@pytest.mark.parametrize(("wrong", "told_of_it"), [(0, 0), (2, 0), (3, 2), (5, 2)])
def test_a_right_answer_after_several_wrong_ones_is_told(alice: Owner, wrong: int, told_of_it: int) -> None:
    for number in range(wrong):
        guess(alice, number)
    alice.deployment.clock.tick(HOUR)
    alice.prove(alice.asked(order(symbol="RIGHT")))
    assert warnings(alice)["authenticator.answered_after_failures"] == told_of_it
    alice.prove(alice.asked(order(symbol="AGAIN")))
    assert warnings(alice)["authenticator.answered_after_failures"] == told_of_it


@pytest.mark.bar("B80")
def test_the_login_challenge_warns_as_the_others_do(alice: Owner) -> None:
    world = alice.deployment.world
    half = half_signed(alice)

    def enter(code: str) -> None:
        alice.deployment.run(lambda tx: sign_in.complete_login(tx, world, token=half.token, code=code))

    for _ in range(5):
        with refused(Reason.WRONG_CODE):
            enter(alice.wrong_code(LOGIN))
    with refused(Reason.FACTOR_BLOCKED):
        enter(alice.wrong_code(LOGIN))
    alice.deployment.clock.tick(30_000)
    enter(alice.fresh_code(LOGIN))
    assert warnings(alice) == {"authenticator.failures": 2, "authenticator.answered_after_failures": 2}


@pytest.mark.bar("B80")
def test_wrong_passwords_of_an_unprotected_account_are_told_at_the_fifth(tmp_path: Path) -> None:
    with Deployment.create(tmp_path) as deployment:
        owner = deployment.owner("bare")
        reached_at(owner)
        asked = owner.asked(replacing(FUTURES))
        proof = Proof(password=owner.finding(matched=False))
        for number in range(5):
            assert warnings(owner).total() == 0, number
            with refused(Reason.WRONG_CODE):
                deployment.run(
                    lambda tx: prove.prove(
                        tx,
                        deployment.world,
                        account_id=owner.account_id,
                        answered_by=owner.principal,
                        challenge_ids=[asked.challenge_id],
                        proof=proof,
                    )
                )
        assert warnings(owner) == {"account.failures": 1}


@pytest.mark.bar("B80")
@pytest.mark.bar("B33")
def test_the_last_recovery_code_that_is_looked_at_is_told_once(alice: Owner) -> None:
    for _ in range(5):
        with refused(Reason.WRONG_CODE):
            recover(alice, FUTURES, "aaaaaa-aaaaaa-aaaaaa-aaaaaa")
    for _ in range(3):
        with refused(Reason.RECOVERY_BUDGET_SPENT):
            recover(alice, FUTURES)
    assert warnings(alice) == {"recovery.failures": 2}


@pytest.mark.bar("B80")
@pytest.mark.bar("B79")
def test_a_stranger_makes_no_warnings(alice: Owner) -> None:
    world = alice.deployment.world
    for number in range(30):
        with pytest.raises(Refused):
            alice.deployment.run(
                lambda tx, n=number: sign_in.sign_in(  # type: ignore[misc]
                    tx, world, login="alice", source=f"s{n}", finding=alice.finding(matched=False)
                )
            )
    alice.deployment.clock.tick(DAY)
    assert not warnings(alice)
