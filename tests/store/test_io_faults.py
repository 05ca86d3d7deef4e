"""Every call to the database fails once, in every use case: refused, nothing half done, and well again afterwards."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from leverlock.app import decide, enrol, prove, redeem, sign_in
from leverlock.app.proofs import Proof
from leverlock.domain.audit import GENESIS, link
from leverlock.domain.challenge import State
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.totp import hotp, step_at
from leverlock.ports import Transaction
from store.faults import FaultyFile
from world import Deployment, Owner, order, refused

FUTURES = Environment.FUTURES

UseCase = Callable[[Transaction], Any]


@dataclass
class Scene:
    """A use case that is about to run, and what asking for the same again says once it ran unheard."""

    run: UseCase
    again: Reason | None


def proving(owner: Owner) -> Scene:
    challenge, code, world = owner.asked(order()), owner.fresh_code(), owner.deployment.world
    named = {"account_id": owner.account_id, "answered_by": owner.principal, "challenge_ids": [challenge.challenge_id]}
    return Scene(lambda tx: prove.prove(tx, world, proof=Proof(code), **named), Reason.CHALLENGE_NOT_PENDING)


def guessing(owner: Owner) -> Scene:
    challenge, code, world = owner.asked(order()), owner.wrong_code(), owner.deployment.world
    named = {"account_id": owner.account_id, "answered_by": owner.principal, "challenge_ids": [challenge.challenge_id]}
    return Scene(lambda tx: prove.prove(tx, world, proof=Proof(code), **named), Reason.WRONG_CODE)


def redeeming(owner: Owner) -> Scene:
    approved, intent, world = owner.approved(order()), owner.intent(order()), owner.deployment.world
    return Scene(lambda tx: redeem.redeem(tx, world, intent=intent, grant=approved.grant), Reason.GRANT_SPENT)


def asking(owner: Owner) -> Scene:
    intent, world = owner.intent(order()), owner.deployment.world
    return Scene(lambda tx: decide.ask(tx, world, intent=intent), None)


def starting(owner: Owner) -> Scene:
    session, world = owner.session, owner.deployment.world
    assert session is not None
    return Scene(lambda tx: enrol.start(tx, world, session=session, environment=Environment.SPOT), None)


def confirming(owner: Owner) -> Scene:
    session, world = owner.session, owner.deployment.world
    assert session is not None
    begun = owner.deployment.run(lambda tx: enrol.start(tx, world, session=session, environment=Environment.SPOT))
    assert isinstance(begun, enrol.Enrolment)
    code = hotp(begun.seed, step_at(owner.deployment.clock.ms))
    named = {"session": session, "authenticator_id": begun.authenticator_id, "code": code}
    return Scene(lambda tx: enrol.confirm(tx, world, **named), Reason.ENROLMENT_NOT_PENDING)


def signing_in(owner: Owner) -> Scene:
    world, finding = owner.deployment.world, owner.finding()
    return Scene(lambda tx: sign_in.sign_in(tx, world, login=owner.login, source="192.0.2.3", finding=finding), None)


SCENES = [proving, guessing, redeeming, asking, starting, confirming, signing_in]


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, without the mark of time."""
    with sqlite3.connect(path) as raw:
        names = [row[0] for row in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = {name: sorted(raw.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}
    found["setting"] = [row for row in found["setting"] if row[0] != "high_water_ms"]
    return found


def consistent(deployment: Deployment, owner: Owner) -> None:
    """No grant without its burn and its record; chains whole; the file sound."""
    events = deployment.read(lambda tx: tx.events(owner.account_id, after_seq=0, limit=10_000))
    head = GENESIS
    for number, event in enumerate(events, start=1):
        head = link(head, event.body)
        assert (event.seq, event.hash) == (number, head)
    account = deployment.read(lambda tx: tx.account(owner.account_id))
    assert account is not None
    assert (account.chain_seq, account.chain_head) == (len(events), head)
    bodies = b"\n".join(event.body for event in events if event.kind in ("challenge.approved", "grant.spent"))
    with sqlite3.connect(deployment.path) as raw:
        for challenge_id, state, grant in raw.execute(
            "SELECT challenge_id, state, grant_hash FROM challenge WHERE account_id = ?", (owner.account_id,)
        ):
            if grant is not None or state in (State.APPROVED, State.CONSUMED):
                assert challenge_id.encode() in bodies
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.bar("B74")
@pytest.mark.bar("B89")
@pytest.mark.bar("B98")
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("scene", SCENES)
def test_whichever_call_fails_it_is_a_refusal_and_leaves_no_trace(
    tmp_path: Path, scene: Callable[[Owner], Scene], lasting: bool
) -> None:
    file = FaultyFile()
    with Deployment.create(tmp_path, connect=file) as deployment:
        for at in range(1, 200):
            owner = deployment.owner(f"alice{at}", enrolled=[FUTURES])
            made = scene(owner)
            before = contents(deployment.path)
            file.arm(at, lasting=lasting)
            outcome = deployment.store.submit(made.run).exception(20)
            if not file.failures:
                break  # it has fewer calls than that
            assert isinstance(outcome, Refused)
            assert outcome.reason is Reason.STORE_UNAVAILABLE, file.seen[at - 1]
            file.disarm()
            assert contents(deployment.path) == before, file.seen[at - 1]
            consistent(deployment, owner)
            try:  # well again: the very same request does what it would have done
                deployment.run(made.run)
            except Refused as why:
                assert (why.reason, made.again) == (Reason.WRONG_CODE,) * 2  # noqa: PT017
            assert contents(deployment.path) != before
            consistent(deployment, owner)
        assert 10 <= at < 199


@pytest.mark.bar("B45")
@pytest.mark.bar("B46")
@pytest.mark.bar("B74")
@pytest.mark.parametrize("scene", SCENES)
def test_a_commit_whose_answer_is_lost_counts(tmp_path: Path, scene: Callable[[Owner], Scene]) -> None:
    file = FaultyFile()
    with Deployment.create(tmp_path, connect=file) as deployment:
        owner = deployment.owner(enrolled=[FUTURES])
        made = scene(owner)
        before = contents(deployment.path)
        file.arm(rule=lambda sql: sql == "COMMIT", late=True)
        with refused(Reason.STORE_UNAVAILABLE):
            deployment.run(made.run)
        file.disarm()
        assert contents(deployment.path) != before
        consistent(deployment, owner)
        if made.again is None:
            deployment.run(made.run)
        else:
            with refused(made.again):
                deployment.run(made.run)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process takes another byte (Python ignores the signal, so that writes fail with EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.bar("B89")
@pytest.mark.bar("B98")
@pytest.mark.bar("B99")
@pytest.mark.parametrize("scene", SCENES)
def test_with_a_full_disk_everything_is_denied_until_there_is_room(
    tmp_path: Path, scene: Callable[[Owner], Scene]
) -> None:
    with Deployment.create(tmp_path) as deployment:
        owner = deployment.owner(enrolled=[FUTURES])
        made = scene(owner)
        before = contents(deployment.path)
        with full_disk():
            for _ in range(5):
                with refused(Reason.STORE_UNAVAILABLE):
                    deployment.run(made.run)
        assert contents(deployment.path) == before
        try:
            deployment.run(made.run)
        except Refused as why:
            assert (why.reason, made.again) == (Reason.WRONG_CODE,) * 2  # noqa: PT017
        consistent(deployment, owner)


@pytest.mark.bar("B89")
@pytest.mark.bar("B99")
def test_a_full_database_denies_and_heals(tmp_path: Path) -> None:
    """The other way to have no room: SQLite's own limit of pages, in the midst of a stream of challenges."""
    file = FaultyFile()
    with Deployment.create(tmp_path, connect=file) as deployment:
        owner = deployment.owner(enrolled=[FUTURES])
        challenge = owner.asked(order())
        [writer] = file.writers

        def pages(limit: int) -> None:
            deployment.run(lambda _tx: writer.execute(f"PRAGMA max_page_count = {limit}").fetchone())

        pages(writer.execute("PRAGMA page_count").fetchone()[0])
        outcomes = set()
        for number in range(200):
            try:
                deployment.run(lambda tx, n=number: tx.set_setting(f"filler{n}", "x" * 500))  # type: ignore[misc]
            except Refused as why:
                outcomes.add(why.reason)
        assert outcomes == {Reason.STORE_UNAVAILABLE}
        pages(1_000_000)
        assert owner.prove(challenge)
        consistent(deployment, owner)
