"""Many use cases, one commit: each under its own savepoint, nobody answered before it, nobody hurt by a neighbour."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leverlock.app import enrol, prove, sign_in
from leverlock.app.proofs import Proof
from leverlock.domain.audit import EventKind
from leverlock.domain.challenge import State
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.totp import hotp, step_at
from leverlock.ports import Transaction, World
from store.faults import FaultyFile, Probe, Stumble
from world import Deployment, Owner, order, refused


class Gate:
    """Holds the writer inside one use case, so that what is queued meanwhile shares the next commit."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._entered, self._released = threading.Event(), threading.Event()

    def __enter__(self) -> Gate:
        def wait(tx: Transaction) -> None:
            self._entered.set()
            assert self._released.wait(10)

        self.future = self._deployment.store.submit(wait)
        assert self._entered.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self.future.exception(10)


def note(deployment: Deployment, name: str) -> Future[None]:
    return deployment.store.submit(lambda tx: tx.set_setting(name, "1"))


def test_what_queued_meanwhile_is_one_commit(deployment: Deployment) -> None:
    with Gate(deployment):
        waiting = [note(deployment, f"n{number}") for number in range(50)]
        before = deployment.store.commits
    for future in waiting:
        future.result(10)
    assert deployment.store.commits - before == 2  # the one that was held, and one for all fifty


def test_one_that_fails_does_not_disturb_the_others(deployment: Deployment) -> None:
    def fail(tx: Transaction) -> None:
        tx.set_setting("failed", "1")
        raise ZeroDivisionError

    with Gate(deployment):
        before, failing, after = note(deployment, "before"), deployment.store.submit(fail), note(deployment, "after")
    before.result(10)
    after.result(10)
    with pytest.raises(ZeroDivisionError):
        failing.result(10)
    seen = deployment.read(lambda tx: [tx.setting(name) for name in ("before", "failed", "after")])
    assert seen == ["1", None, "1"]


@pytest.mark.parametrize("text", ["\ud800", "\udfff" * 70], ids=["one", "many"])
@pytest.mark.bar("B91")
def test_a_request_that_cannot_be_recorded_as_it_is_hurts_nobody(deployment: Deployment, text: str) -> None:
    owner = deployment.owner()

    def poison(tx: Transaction) -> None:
        tx.lock_account(owner.account_id)
        tx.if_refused(EventKind.ACTION_REFUSED, owner.principal, action=text)
        raise Refused(Reason.CONFLICT)

    with Gate(deployment):
        poisoned, neighbour = deployment.store.submit(poison), note(deployment, "neighbour")
    neighbour.result(10)
    with refused(Reason.CONFLICT):
        poisoned.result(10)
    last = deployment.read(lambda tx: tx.events(owner.account_id, after_seq=0, limit=99))[-1]
    assert last.kind is EventKind.ACTION_REFUSED
    assert rb'"action":"\\ud' in last.body


@pytest.mark.bar("B74")
def test_a_guess_with_an_unrecordable_neighbouring_detail_is_still_counted(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[Environment.FUTURES])
    challenge = owner.asked(order())

    def guess(tx: Transaction) -> None:
        try:
            prove.prove(
                tx,
                deployment.world,
                account_id=owner.account_id,
                answered_by="\ud800",
                challenge_ids=[challenge.challenge_id],
                proof=Proof(owner.wrong_code()),
            )
        finally:
            tx.if_refused(EventKind.ANSWER_REFUSED, "\ud800")

    with refused(Reason.WRONG_CODE):
        deployment.run(guess)
    assert counted(owner) == (1, 1)


@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit, MemoryError])
def test_no_exception_stops_the_writer(deployment: Deployment, problem: type[BaseException]) -> None:
    def fail(_tx: Transaction) -> None:
        raise problem

    with pytest.raises(problem):
        deployment.run(fail)
    deployment.run(lambda tx: tx.set_setting("after", "1"))


def test_a_caller_who_leaves_never_stops_the_writer(deployment: Deployment) -> None:
    """A cancelled future takes no result; the store must not die of setting one."""

    async def leave_at_every_moment() -> None:
        for _ in range(300):
            task = asyncio.ensure_future(deployment.store.run(lambda tx: tx.set_setting("left", "1")))
            for _ in range(_ % 4):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait_for(deployment.store.run(lambda tx: tx.set_setting("stayed", "1")), 10)

    asyncio.run(leave_at_every_moment())


def test_a_caller_who_left_before_his_turn_is_not_evaluated(deployment: Deployment) -> None:
    with Gate(deployment):
        gone = note(deployment, "gone")
        assert gone.cancel()
        running = deployment.store.submit(lambda tx: None)
    running.result(10)
    assert deployment.read(lambda tx: tx.setting("gone")) is None


@pytest.mark.bar("B74")
def test_once_it_is_evaluated_a_request_cannot_be_taken_back(deployment: Deployment) -> None:
    with Gate(deployment) as gate:
        assert not gate.future.cancel()


def test_nothing_is_left_waiting_when_the_store_closes(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    futures: list[Future[Any]] = []
    started = threading.Event()

    def feed() -> None:
        for number in range(2_000):
            futures.append(note(deployment, f"n{number % 7}"))
            if number == 50:
                started.set()

    feeder = threading.Thread(target=feed)
    feeder.start()
    started.wait(10)
    deployment.close()
    feeder.join()
    outcomes = {type(future.exception(timeout=5)) for future in futures}
    assert outcomes <= {type(None), Refused}
    assert isinstance(futures[-1].exception(), Refused)


@pytest.mark.bar("B89")
@pytest.mark.bar("B74")
@pytest.mark.parametrize("late", [False, True], ids=["before it is durable", "after it is durable"])
def test_nobody_is_answered_when_the_commit_fails(tmp_path: Path, late: bool) -> None:
    file = FaultyFile()
    with Deployment.create(tmp_path, connect=file) as deployment:
        owner = deployment.owner(enrolled=[Environment.FUTURES])
        challenge = owner.asked(order())
        code = owner.fresh_code()
        with Gate(deployment):
            file.arm(rule=lambda sql: sql == "COMMIT", late=late)
            futures: list[Future[Any]] = [note(deployment, f"n{number}") for number in range(20)]
            futures.append(submit_answer(owner, challenge.challenge_id, code))
            futures.append(submit_answer(owner, challenge.challenge_id, owner.wrong_code()))
        for future in futures:
            with refused(Reason.STORE_UNAVAILABLE):
                future.result(10)
        file.disarm()
        if late:  # nobody knows, so nothing is given: the grant is there for who asks again, the code is spent
            assert owner.challenge(challenge).state is State.APPROVED
            with refused(Reason.CHALLENGE_NOT_PENDING):
                owner.prove(challenge, code=code)
        else:
            assert deployment.read(lambda tx: tx.setting("n0")) is None
            assert owner.prove(challenge, code=code)


# -- B74: what is evaluated is counted, whatever happens afterwards --------------------------------------------------
def submit_answer(owner: Owner, challenge_id: str, code: str) -> Future[Any]:
    world = owner.deployment.world
    return owner.deployment.store.submit(
        lambda tx: prove.prove(
            tx,
            world,
            account_id=owner.account_id,
            answered_by=owner.principal,
            challenge_ids=[challenge_id],
            proof=Proof(code),
        )
    )


Surface = Callable[[Any, World], Any]


def proving(owner: Owner) -> tuple[Surface, str]:
    challenge, code = owner.asked(order()), owner.fresh_code()
    named = {"account_id": owner.account_id, "answered_by": owner.principal, "challenge_ids": [challenge.challenge_id]}
    proof = Proof(code)
    return lambda tx, world: prove.prove(tx, world, proof=proof, **named), owner.authenticators[Environment.FUTURES]


def logging_in(owner: Owner) -> tuple[Surface, str]:
    world = owner.deployment.world
    made = owner.deployment.run(
        lambda tx: sign_in.sign_in(tx, world, login=owner.login, source="192.0.2.2", finding=owner.finding())
    )
    code = owner.fresh_code(Environment.LOGIN)
    return (
        lambda tx, world: sign_in.complete_login(tx, world, token=made.token, code=code),
        owner.authenticators[Environment.LOGIN],
    )


def confirming(owner: Owner) -> tuple[Surface, str]:
    session = owner.session
    assert session is not None
    world = owner.deployment.world
    begun = owner.deployment.run(lambda tx: enrol.start(tx, world, session=session, environment=Environment.SPOT))
    assert isinstance(begun, enrol.Enrolment)
    code = hotp(begun.seed, step_at(owner.deployment.clock.now_ms()))
    named = {"session": session, "authenticator_id": begun.authenticator_id}
    return lambda tx, world: enrol.confirm(tx, world, code=code, **named), begun.authenticator_id


@pytest.mark.bar("B74")
@pytest.mark.parametrize("late", [False, True], ids=["before the act", "after the act"])
@pytest.mark.parametrize("surface", [proving, logging_in, confirming])
def test_an_exception_at_any_act_after_the_compare_leaves_the_charge(
    deployment: Deployment, surface: Callable[[Owner], tuple[Surface, str]], late: bool
) -> None:
    for at in range(1, 100):
        owner = deployment.owner(f"alice{at}", enrolled=[Environment.LOGIN, Environment.FUTURES])
        call, authenticator_id = surface(owner)
        probes: list[Probe] = []

        def stumbling(tx: Transaction, at: int = at, call: Surface = call, probes: list[Probe] = probes) -> Any:
            probes.append(Probe(tx, at, late=late))
            world = replace(deployment.world, totp=probes[0].watch(deployment.world.totp))
            return call(probes[0], world)

        try:
            deployment.run(stumbling)
        except Stumble:
            pass
        else:
            assert at > 4, "nothing was raised"
            return
        account = deployment.read(lambda tx, owner=owner: tx.account(owner.account_id))  # type: ignore[misc]
        factor = deployment.read(lambda tx, owner=owner, a=authenticator_id: tx.authenticator(owner.account_id, a))  # type: ignore[misc]
        assert (len(account.budget.wrong_at_ms), factor.budget.streak) == (1, 1), probes[0].acts
        last = deployment.read(lambda tx, owner=owner: tx.events(owner.account_id, after_seq=0, limit=999))[-1]  # type: ignore[misc]
        assert last.kind is EventKind.ANSWER_REFUSED
        assert b'"reason":"error"' in last.body
    raise AssertionError("no end")


@pytest.mark.bar("B74")
def test_a_password_is_counted_although_the_rest_of_the_sign_in_fails(deployment: Deployment) -> None:
    owner = deployment.owner()
    world = deployment.world

    def fail(tx: Transaction) -> None:
        sign_in.sign_in(tx, world, login=owner.login, source="192.0.2.9", finding=owner.finding())
        raise Stumble

    for _ in range(world.limits.sign_in_tries):
        with pytest.raises(Stumble):
            deployment.run(fail)
    with refused(Reason.SIGN_IN_THROTTLED):
        deployment.run(fail)


def counted(owner: Owner) -> tuple[int, int]:
    """(wrong answers of the account, streak of the Futures authenticator) as stored."""
    stored = owner.deployment.read(lambda tx: tx.account(owner.account_id))
    factor = owner.deployment.read(lambda tx: tx.bound_authenticator(owner.account_id, Environment.FUTURES))
    assert stored is not None
    assert factor is not None
    return len(stored.budget.wrong_at_ms), factor.budget.streak
