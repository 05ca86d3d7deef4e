"""The operator's reset of the clock's mark: a fence behind which nothing from before is worth anything (B11)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leverlock.admin.clock import carry_on
from leverlock.admin.desk import Desk
from leverlock.admin.operations import perform
from leverlock.app import clock, fence, sign_in
from leverlock.clock_watch import ClockWatch
from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.audit import EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.fence import Because, Fence
from leverlock.domain.totp import hotp, step_at
from leverlock.metrics import CLOCK_BEHIND
from leverlock.verifiers.password import PasswordHasher
from trail_state import must_agree, whole
from world import STEP_MS, Deployment, Owner, order, refused

HOUR = 3_600_000
FUTURES, SPOT = Environment.FUTURES, Environment.SPOT
YEAR = 365 * 24 * HOUR


@pytest.fixture
def passwords() -> Iterator[PasswordHasher]:
    hasher = PasswordHasher()
    yield hasher
    hasher.close()


async def no_probe(**_: Any) -> Any:
    raise AssertionError("no venue is asked")


@pytest.fixture
def desk(deployment: Deployment, passwords: PasswordHasher) -> Desk:
    return Desk(
        deployment.store, deployment.world, deployment.clock, passwords, no_probe, deployment.sealer, "command:test"
    )


def done(desk: Desk, operation: str, **wanted: Any) -> dict[str, Any]:
    return asyncio.run(perform(desk, operation, json.dumps(wanted).encode()))


def reset(desk: Desk) -> dict[str, Any]:
    return done(desk, "clock.reset", mark=done(desk, "clock.show")["mark"])


def told(deployment: Deployment, account_id: str = SYSTEM_ACCOUNT) -> list[dict[str, Any]]:
    return whole(deployment.read(lambda tx: tx.events(account_id, after_seq=0, limit=10_000)))


def ahead(deployment: Deployment, ms: int) -> None:
    """The clock was wrong by so much, somebody used the server meanwhile, and now it is right."""
    deployment.clock.tick(ms)
    deployment.run(lambda tx: tx.set_setting("seen", "1"))
    deployment.clock.tick(-ms)


# -- an episode ------------------------------------------------------------------------------------------------------
@pytest.mark.bar("B11")
def test_an_episode_is_recorded_once_and_raises_the_gauge(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    watch = ClockWatch(deployment.store, deployment.clock)
    asyncio.run(watch.look())
    assert CLOCK_BEHIND._value.get() == 0
    ahead(deployment, 2 * HOUR)
    mark = int(deployment.read(lambda tx: tx.setting("high_water_ms") or ""))
    for look in (watch, watch, ClockWatch(deployment.store, deployment.clock)):
        asyncio.run(look.look())
        with refused(Reason.CLOCK_BEHIND):
            deployment.run(lambda tx: tx.now)
    late = deployment.clock.ms  # a second process that saw it at the same time
    assert not deployment.store.submit(lambda tx: clock.note_behind(tx, now_ms=late), at_mark=True).result(20)
    [record] = [one for one in told(deployment) if one["kind"] == EventKind.CLOCK_BEHIND]
    assert record["at"] == mark
    assert record["details"] == {"mark": mark, "clock": deployment.clock.ms, "behind_ms": 2 * HOUR}
    assert CLOCK_BEHIND._value.get() == 2 * 3600

    deployment.clock.tick(2 * HOUR)
    asyncio.run(watch.look())
    assert CLOCK_BEHIND._value.get() == 0
    assert [one["details"] for one in told(deployment) if one["kind"] == EventKind.CLOCK_RIGHT] == [{"since": mark}]
    ahead(deployment, 2 * HOUR)
    asyncio.run(watch.look())
    assert len([one for one in told(deployment) if one["kind"] == EventKind.CLOCK_BEHIND]) == 2


@pytest.mark.bar("B11")
def test_nothing_else_can_be_written_meanwhile(deployment: Deployment) -> None:
    """The record may be written at the mark; that is no way in for anything that needs a time of its own."""
    owner = deployment.owner(enrolled=[FUTURES])
    ahead(deployment, HOUR)
    asyncio.run(ClockWatch(deployment.store, deployment.clock).look())
    with refused(Reason.CLOCK_BEHIND):
        owner.ask(order())
    with refused(Reason.CLOCK_BEHIND):
        deployment.run(lambda tx: tx.lock_account(owner.account_id))


# -- the reset -------------------------------------------------------------------------------------------------------
@pytest.mark.bar("B11")
def test_a_reset_voids_what_was_open_and_lets_time_go_on(deployment: Deployment, desk: Desk) -> None:
    alice, bob = deployment.owner("alice", enrolled=[FUTURES, SPOT]), deployment.owner("bob", enrolled=[FUTURES])
    waiting = alice.asked(order(symbol="AUSDT"))
    approved = bob.approved(order(symbol="BUSDT"))
    old_tokens = [alice.token, bob.token]
    ahead(deployment, YEAR)
    with refused(Reason.CLOCK_BEHIND):
        alice.prove(waiting, code=alice.code())

    answer = reset(desk)
    now = deployment.clock.ms
    assert answer == {"fence": 1, "accounts": 2, "now": now, "step": step_at(now) + 1}
    assert deployment.run(lambda tx: tx.now) == now
    assert int(deployment.read(lambda tx: tx.setting("high_water_ms") or "")) == now
    for token in old_tokens:
        with refused(Reason.NOT_AUTHENTICATED):
            deployment.read(lambda tx, token=token: sign_in.owner(tx, deployment.world, token=token, touch=False))  # type: ignore[misc]
    with refused(Reason.CHALLENGE_NOT_PENDING):
        alice.prove(waiting, code=hotp(alice.seeds[FUTURES], step_at(now) + 1))
    with pytest.raises(Refused):
        bob.redeem(order(symbol="BUSDT"), approved.grant)
    for owner in (alice, bob):
        must_agree(deployment.path, owner.account_id, events(deployment, owner))
    kinds = [one["kind"] for one in told(deployment)]
    assert kinds[-2:] == [EventKind.FENCE_RAISED, EventKind.FENCE_STANDS]


def events(deployment: Deployment, owner: Owner) -> Any:
    return deployment.read(lambda tx: tx.events(owner.account_id, after_seq=0, limit=10_000))


@pytest.mark.bar("B11")
def test_every_code_up_to_the_next_one_is_spent_and_after_90_seconds_all_serve(
    deployment: Deployment, desk: Desk
) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    deployment.clock.tick(10 * STEP_MS)
    ahead(deployment, HOUR)
    reset(desk)
    fenced_at = deployment.clock.ms
    owner.sign_in()
    challenge = owner.asked(order())
    unused = [hotp(owner.seeds[FUTURES], step_at(fenced_at) + offset) for offset in (-1, 0, 1)]
    for code in unused:
        with refused(Reason.CODE_ALREADY_USED):
            owner.prove(challenge, code=code)
    deployment.clock.tick(STEP_MS)  # a phone that is one step ahead shows the first one behind the fence already
    assert deployment.clock.ms - fenced_at <= 90_000
    assert owner.prove(challenge, code=hotp(owner.seeds[FUTURES], step_at(fenced_at) + 2))


@pytest.mark.bar("B11")
def test_counters_are_not_lowered_and_no_wait_becomes_endless(deployment: Deployment, desk: Desk) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    limits = deployment.world.limits
    deployment.clock.tick(YEAR)
    owner.sign_in()
    challenge = owner.asked(order())
    for _ in range(limits.factor_block_after):
        with refused(Reason.WRONG_CODE):
            owner.prove(challenge, code=owner.wrong_code())
    deployment.clock.tick(-YEAR)
    before = factor(owner)
    reset(desk)
    after = factor(owner)
    now = deployment.clock.ms
    assert after.budget.streak == before.budget.streak == limits.factor_block_after
    assert after.budget.blocked_until_ms == now + limits.factor_block_max_ms
    account = deployment.read(lambda tx: tx.account(owner.account_id))
    assert account is not None
    assert account.budget.wrong_at_ms == (now,) * limits.factor_block_after
    owner.sign_in()
    challenge = owner.asked(order())  # what the key asked in that year does not count from there
    with refused(Reason.FACTOR_BLOCKED):
        owner.prove(challenge)
    deployment.clock.tick(limits.factor_block_max_ms)
    owner.sign_in()
    owner.prove(owner.asked(order(symbol="LATERUSDT")))
    must_agree(deployment.path, owner.account_id, events(deployment, owner))


def factor(owner: Owner) -> Any:
    return owner.deployment.read(lambda tx: tx.authenticator(owner.account_id, owner.authenticators[FUTURES]))


@pytest.mark.bar("B11")
def test_a_step_that_was_accepted_ahead_stays_spent(deployment: Deployment, desk: Desk) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    deployment.clock.tick(HOUR)
    owner.sign_in()
    owner.approved(order())
    spent = owner.used[FUTURES]
    deployment.clock.tick(-HOUR)
    reset(desk)
    assert factor(owner).last_step == spent
    deployment.clock.ms = spent * STEP_MS + 1
    owner.sign_in()
    with refused(Reason.CODE_ALREADY_USED):
        owner.prove(owner.asked(order()), code=hotp(owner.seeds[FUTURES], spent))


@pytest.mark.bar("B11")
def test_a_reset_needs_a_clock_that_is_behind_and_the_mark_that_was_shown(deployment: Deployment, desk: Desk) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    with refused(Reason.CONFLICT):
        reset(desk)
    ahead(deployment, HOUR)
    with refused(Reason.CONFLICT):
        done(desk, "clock.reset", mark=done(desk, "clock.show")["mark"] - 1)
    with refused(Reason.MALFORMED):
        done(desk, "clock.reset")
    shown = done(desk, "clock.show")
    assert (shown["verifies"], shown["behind_ms"]) == (False, HOUR)
    done(desk, "clock.reset", mark=shown["mark"])
    with refused(Reason.CONFLICT):
        done(desk, "clock.reset", mark=shown["mark"])
    assert done(desk, "clock.show")["verifies"]
    assert owner.sign_in()


@pytest.mark.bar("B11")
def test_while_it_is_being_raised_nothing_has_a_time_in_any_process(deployment: Deployment, desk: Desk) -> None:
    owners = [deployment.owner(name, enrolled=[FUTURES]) for name in ("alice", "bob")]
    challenge = owners[1].asked(order())
    ahead(deployment, HOUR)
    mark = done(desk, "clock.show")["mark"]
    now = deployment.clock.ms
    begin = deployment.store.submit(
        lambda tx: clock.begin_reset(tx, now_ms=now, mark_ms=mark, limits=deployment.world.limits, by="test:"),
        at_mark=True,
    )
    begun = begin.result(20)
    deployment.store.submit(
        lambda tx: fence.fence_account(tx, deployment.world, begun, account_id=owners[0].account_id, by="test:"),
        at_mark=True,
    ).result(20)

    # Interrupted here. Even a clock that is right by the mark gives no time, here or in another process.
    deployment.clock.tick(HOUR)
    with refused(Reason.STORE_UNAVAILABLE):
        owners[1].prove(challenge)
    with Deployment.open(deployment.path.parent, clock=deployment.clock) as other:
        with refused(Reason.STORE_UNAVAILABLE):
            other.run(lambda tx: tx.now)
        with refused(Reason.CONFLICT):
            other.store.submit(
                lambda tx: fence.begin(tx, because=Because.CLOCK_RESET, now_ms=1, by="test:"), at_mark=True
            ).result(20)
        deployment.clock.tick(-HOUR)
        assert reset(desk)["fence"] == begun.number
        assert other.run(lambda tx: tx.now) == deployment.clock.ms
    for owner in owners:
        owner.sign_in()
        must_agree(deployment.path, owner.account_id, events(deployment, owner))
    with refused(Reason.CHALLENGE_NOT_PENDING):
        owners[1].prove(challenge)
    assert not [one for one in told(deployment) if one["kind"] == EventKind.FENCE_RAISED][1:]


@pytest.mark.bar("B11")
def test_a_process_that_only_reads_learns_of_the_reset(deployment: Deployment, desk: Desk) -> None:
    with Deployment.open(deployment.path.parent, clock=deployment.clock) as other:
        ahead(deployment, HOUR)
        other.store.submit(lambda tx: None).result(20)
        with refused(Reason.CLOCK_BEHIND):
            other.read(lambda tx: tx.now)
        reset(desk)
        assert other.read(lambda tx: tx.now) == deployment.clock.ms


def test_more_accounts_than_one_page(deployment: Deployment, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leverlock.admin.clock.AT_ONCE", 3)
    for number in range(7):
        deployment.owner(f"owner{number}")
    ahead(deployment, HOUR)
    assert reset(desk)["accounts"] == 7


def test_a_fence_that_is_not_rising_cannot_be_finished(deployment: Deployment) -> None:
    stale = Fence(1, Because.CLOCK_RESET, deployment.clock.ms)
    with refused(Reason.CONFLICT):
        asyncio.run(carry_on(deployment.store, deployment.world, stale, by="test:"))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version":2,"number":1,"because":"clock_reset","now":1}'])
def test_a_fence_that_cannot_be_read_stays_shut(deployment: Deployment, text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        Fence.from_text(text)
    deployment.run(lambda tx: tx.set_setting("fence_rising", text))
    with refused(Reason.STORE_UNAVAILABLE):
        deployment.run(lambda tx: tx.now)


def test_a_fence_is_stored_as_it_was(tmp_path: Path) -> None:
    made = Fence(3, Because.CLOCK_RESET, 1_767_225_615_000)
    assert made.text() == '{"version": 1, "number": 3, "because": "clock_reset", "now": 1767225615000}'
    assert Fence.from_text(made.text()) == made
