"""Time: the server's alone, never running back, and no verification while the clock is behind (B11)."""

from __future__ import annotations

import sqlite3

import pytest

from leverlock.app import redeem
from leverlock.domain.challenge import State
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason
from leverlock.domain.totp import hotp, step_at
from world import NOW_MS, STEP_MS, Deployment, Owner, SettableClock, order, refused

MINUTE = 60_000
FUTURES = Environment.FUTURES


@pytest.mark.bar("B11")
def test_five_minutes_behind_nothing_verifies_and_nothing_dead_comes_alive(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    clock = deployment.clock
    clock.tick(10 * STEP_MS)
    unused = [hotp(owner.seeds[FUTURES], step_at(clock.ms) - back) for back in range(2, 12)]
    dying = owner.asked(order(symbol="DYINGUSDT"))
    granted = owner.approved(order(symbol="GRANTUSDT"))
    clock.tick(5 * MINUTE + STEP_MS)
    challenge = owner.asked(order())

    clock.tick(-5 * MINUTE)
    for code in unused:
        with refused(Reason.CLOCK_BEHIND):
            owner.prove(challenge, code=code)
    with refused(Reason.CLOCK_BEHIND):
        owner.prove(dying, code=owner.code())
    with refused(Reason.CLOCK_BEHIND):
        owner.redeem(order(symbol="GRANTUSDT"), granted.grant)
    with refused(Reason.CLOCK_BEHIND):
        owner.ask(order(symbol="NEWUSDT"))
    with refused(Reason.CLOCK_BEHIND):
        deployment.read(lambda tx: tx.now)
    assert untouched(owner, challenge.challenge_id)

    clock.tick(5 * MINUTE)
    with refused(Reason.CHALLENGE_EXPIRED):
        owner.prove(dying)
    with refused(Reason.GRANT_EXPIRED):
        owner.redeem(order(symbol="GRANTUSDT"), granted.grant)
    assert owner.prove(challenge)


def untouched(owner: Owner, challenge_id: str) -> bool:
    """No answer was counted and none was accepted. Read past the acts, which have no time to tell now."""
    with sqlite3.connect(owner.deployment.path) as raw:
        [(state, wrong)] = raw.execute(
            "SELECT state, wrong_answers FROM challenge WHERE challenge_id = ?", (challenge_id,)
        ).fetchall()
        [(streak,)] = raw.execute("SELECT streak FROM authenticator WHERE state = 'active'").fetchall()
    return (state, wrong, streak) == ("pending", 0, 0)


@pytest.mark.bar("B11")
def test_a_restart_remembers_how_late_it_was(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    deployment.clock.tick(10 * MINUTE)
    deployment.run(lambda tx: tx.set_setting("a", "1"))
    deployment.close()
    behind = SettableClock(deployment.clock.ms - 5 * MINUTE)
    with Deployment.open(deployment.path.parent, clock=behind) as again:
        with refused(Reason.CLOCK_BEHIND):
            again.run(lambda tx: tx.lock_account(owner.account_id))
        behind.tick(5 * MINUTE)
        again.run(lambda tx: tx.lock_account(owner.account_id))


@pytest.mark.bar("B11")
def test_a_second_process_does_not_trust_its_own_late_clock(deployment: Deployment) -> None:
    owner = deployment.owner()
    with Deployment.open(deployment.path.parent, clock=SettableClock()) as other:
        deployment.clock.tick(5 * MINUTE)
        deployment.run(lambda tx: tx.set_setting("a", "1"))
        with refused(Reason.CLOCK_BEHIND):
            other.run(lambda tx: tx.lock_account(owner.account_id))


@pytest.mark.bar("B11")
def test_one_step_behind_is_tolerated_but_time_stands_still(deployment: Deployment) -> None:
    deployment.clock.tick(2_500)
    assert deployment.run(lambda tx: tx.now) == NOW_MS + 2_500
    for back in (1, 400, 29_000):
        deployment.clock.ms = NOW_MS + 2_500 - back
        assert deployment.run(lambda tx: tx.now) == NOW_MS + 2_500
        assert deployment.read(lambda tx: tx.now) == NOW_MS + 2_500
    deployment.clock.ms = NOW_MS + 2_500 - deployment.world.limits.clock_back_ms - 1
    with refused(Reason.CLOCK_BEHIND):
        deployment.run(lambda tx: tx.now)


@pytest.mark.bar("B11")
def test_the_last_second_before_the_mark_is_written_does_not_run_back_either(deployment: Deployment) -> None:
    """The mark in the file is raised once a second; what was told in between counts as well."""
    for ahead in (100, 300, 900):
        deployment.clock.ms = NOW_MS + ahead
        assert deployment.run(lambda tx: tx.now) == NOW_MS + ahead
    deployment.clock.ms = NOW_MS + 200
    assert deployment.run(lambda tx: tx.now) == NOW_MS + 900


@pytest.mark.bar("B11")
def test_the_mark_never_falls(deployment: Deployment) -> None:
    marks = []
    for at in (10_000, 20_000, 15_000, 30_000, 5_000, 60_000):
        deployment.clock.ms = NOW_MS + at
        deployment.run(lambda tx: tx.set_setting("a", "1"))
        marks.append(int(deployment.read(lambda tx: tx.setting("high_water_ms") or "0")))
    assert marks == sorted(marks)
    assert marks[-1] == NOW_MS + 60_000


def test_a_grant_ends_by_the_servers_clock(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    approved = owner.approved(order())
    deployment.clock.tick(deployment.world.limits.grant_life_ms - 1)
    assert isinstance(owner.redeem(order(), approved.grant), redeem.Redeemed)
    approved = owner.approved(order())
    deployment.clock.tick(deployment.world.limits.grant_life_ms)
    with refused(Reason.GRANT_EXPIRED):
        owner.redeem(order(), approved.grant)
    assert owner.challenge(approved.challenge).state_at(deployment.clock.ms) is State.EXPIRED
