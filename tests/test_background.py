"""The loops beside the requests: each for itself, one process at a time, quick to stop, honest about their health."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from leverlock.app.sweep import SWEEPER
from leverlock.background import Background, Chore, Health, Turn, prune, standard_chores, sweep
from leverlock.checkpoints import CheckpointFile, CheckpointMaker, public_key_of
from leverlock.clock_watch import ClockWatch
from leverlock.domain.challenge import State
from leverlock.domain.environment import Environment
from leverlock.domain.limits import DAY, MINUTE
from leverlock.domain.messages import Channel, Message
from leverlock.messengers.outbox import Outbox
from world import Deployment, SettableClock, order

KEY = bytes(range(32))


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment.create(tmp_path) as made:
        yield made


async def until(condition: Callable[[], bool], *, seconds: float = 15) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.01)


def by_name(background: Background) -> dict[str, Health]:
    return {health.name: health for health in background.health()}


def test_one_that_fails_does_not_stop_the_others_and_gets_well_again(tmp_path: Path) -> None:
    async def run() -> None:
        done, broken = [0], [True]

        async def good() -> bool:
            done[0] += 1
            return False

        async def bad() -> bool:
            if broken[0]:
                raise ZeroDivisionError("once more")
            return False

        chores = [Chore("bad", 0.01, bad), Chore("good", 0.01, good)]
        background = Background(chores, clock=SettableClock(), lock_file=tmp_path / "lock")
        assert not by_name(background)["good"].well
        background.start()
        await until(lambda: done[0] > 5)
        assert by_name(background)["good"].well
        assert by_name(background)["bad"] == Health("bad", False, None, "ZeroDivisionError: once more")
        broken[0] = False
        await until(lambda: by_name(background)["bad"].well)
        await background.stop()
        assert by_name(background)["good"].trouble == "not running"

    asyncio.run(run())


def test_one_that_hangs_is_shown_and_still_stops_within_a_second(tmp_path: Path) -> None:
    async def run() -> None:
        clock = SettableClock()
        begun = asyncio.Event()

        async def hang() -> bool:
            begun.set()
            await asyncio.sleep(60)
            return False

        background = Background([Chore("hang", 1, hang)], clock=clock, lock_file=tmp_path / "lock")
        background.start()
        await begun.wait()
        assert by_name(background)["hang"].well
        clock.tick(3_001)
        assert by_name(background)["hang"].trouble == "it does not come round any more"
        began = time.monotonic()
        await background.stop()
        assert time.monotonic() - began < 1

    asyncio.run(run())


def test_more_work_follows_at_once_and_a_wake_cuts_the_pause(tmp_path: Path) -> None:
    async def run() -> None:
        woken, rounds = asyncio.Event(), [0]

        async def work() -> bool:
            rounds[0] += 1
            return rounds[0] < 50

        background = Background(
            [Chore("work", 3600, work, woken=woken)], clock=SettableClock(), lock_file=tmp_path / "lock"
        )
        background.start()
        await until(lambda: rounds[0] == 50)
        woken.set()
        await until(lambda: rounds[0] == 51)
        await background.stop()

    asyncio.run(run())


ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
HOLDER = """
import sys, time
from pathlib import Path
from leverlock.background import Turn
turn = Turn(Path(sys.argv[1]))
assert turn.take()
print("mine", flush=True)
time.sleep(60)
"""


def test_of_two_processes_one_works_and_the_other_takes_over_when_it_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, env=ENVIRONMENT)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
        with Turn(lock) as turn:
            assert not turn.take()

        async def run() -> float:
            done = [0]

            async def work() -> bool:
                done[0] += 1
                return False

            background = Background([Chore("work", 0.01, work)], clock=SettableClock(), lock_file=lock)
            background.start()
            await until(lambda: background.standing_by)
            assert by_name(background)["work"].well
            assert done == [0]
            os.kill(holder.pid, signal.SIGKILL)
            began = time.monotonic()
            await until(lambda: done[0] > 0)
            took = time.monotonic() - began
            assert not background.standing_by
            await background.stop()
            return took

        assert asyncio.run(run()) < 2
    finally:
        holder.kill()
        holder.wait()


def test_a_lock_file_that_cannot_be_made_is_shown_and_tried_again(tmp_path: Path) -> None:
    async def run() -> None:
        folder = tmp_path / "later"
        done = [0]

        async def work() -> bool:
            done[0] += 1
            return False

        background = Background([Chore("work", 0.01, work)], clock=SettableClock(), lock_file=folder / "lock")
        background.start()
        await until(lambda: "lock file" in by_name(background)["work"].trouble)
        folder.mkdir()
        await until(lambda: done[0] > 0 and by_name(background)["work"].well)
        await background.stop()

    asyncio.run(run())


def test_the_sweep_expires_what_is_overdue_in_bounded_batches(deployment: Deployment) -> None:
    owners = [deployment.owner(f"owner{n}", enrolled=[Environment.FUTURES]) for n in range(3)]
    waiting = [owner.asked(order(leverage=75)) for owner in owners]
    approved = owners[0].approved(order(quantity="2"))
    assert asyncio.run(sweep(deployment.store, deployment.world)) is False
    assert {owners[n].challenge(waiting[n]).state for n in range(3)} == {State.PENDING}
    deployment.clock.tick(deployment.world.limits.challenge_life_ms + MINUTE)
    assert asyncio.run(sweep(deployment.store, deployment.world)) is False
    for owner, challenge in zip(owners, waiting, strict=True):
        assert owner.challenge(challenge).state is State.EXPIRED
    assert owners[0].challenge(approved.challenge).state is State.EXPIRED
    events = deployment.read(lambda tx: tx.events(owners[0].account_id, after_seq=0, limit=100))
    assert sum(SWEEPER.encode() in event.body for event in events) == 2
    assert not deployment.read(lambda tx: tx.overdue_accounts(limit=10))


def test_an_account_that_cannot_be_swept_does_not_keep_the_others_waiting(deployment: Deployment) -> None:
    owners = [deployment.owner(f"owner{n}", enrolled=[Environment.FUTURES]) for n in range(3)]
    challenges = [owner.asked(order(leverage=75)) for owner in owners]
    first = min(owners, key=lambda owner: owner.account_id)
    with sqlite3.connect(deployment.path) as raw:
        raw.execute("UPDATE challenge SET rules = 'not json' WHERE account_id = ?", (first.account_id,))
    deployment.clock.tick(deployment.world.limits.challenge_life_ms + MINUTE)
    with pytest.raises(ValueError, match="Expecting value"):
        asyncio.run(sweep(deployment.store, deployment.world))
    for owner, challenge in zip(owners, challenges, strict=True):
        if owner is not first:
            assert owner.challenge(challenge).state is State.EXPIRED


def test_pruning_takes_what_is_old_and_leaves_what_waits(deployment: Deployment) -> None:
    def put(name: str) -> None:
        def use_case(tx: object) -> None:
            now = deployment.clock.now_ms()
            message = Message("acc", name, Channel.EMAIL, "a@b.example", "k", b"{}", now, now + DAY)
            tx.put_message(message)  # type: ignore[attr-defined]
            if name == "given_up":
                tx.message_failed(message, next_at=None, reason="HTTP 410")  # type: ignore[attr-defined]

        deployment.run(use_case)

    put("given_up")
    put("waits")
    deployment.run(lambda tx: tx.claim_idempotency("acc", principal="p", key="k", fingerprint=b"f"))
    assert asyncio.run(prune(deployment.store)) is False
    deployment.clock.tick(9 * DAY)
    assert asyncio.run(prune(deployment.store)) is False
    with sqlite3.connect(deployment.path) as raw:
        assert raw.execute("SELECT message_id FROM outbox").fetchall() == [("waits",)]
        assert raw.execute("SELECT count(*) FROM idempotency").fetchone() == (0,)


def test_the_standard_chores_run_together(deployment: Deployment, tmp_path: Path) -> None:
    async def run() -> None:
        file = tmp_path / "checkpoints.jsonl"
        maker = CheckpointMaker(deployment.store, file, signing_key=KEY)
        outbox = Outbox(deployment.store, {}, clock=deployment.clock)
        watch = ClockWatch(deployment.store, deployment.clock)
        background = Background(
            standard_chores(deployment.store, deployment.world, outbox=outbox, checkpoints=maker, watch=watch),
            clock=deployment.clock,
            lock_file=tmp_path / "lock",
        )
        await asyncio.to_thread(deployment.owner)
        background.start()
        await until(lambda: all(health.last_ok_ms is not None for health in background.health()))
        assert sorted(by_name(background)) == ["checkpoint", "clock", "outbox", "prune", "sweep"]
        assert all(health.well for health in background.health())
        began = time.monotonic()
        await background.stop()
        assert time.monotonic() - began < 1
        last = CheckpointFile(file, Ed25519PublicKey.from_public_bytes(public_key_of(KEY))).last()
        assert last is not None
        assert last.number == 1

    asyncio.run(run())
