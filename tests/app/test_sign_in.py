"""Getting in: the password first, then the login challenge where one is active (M1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.observing import FUTURES, LOGIN, events, streak, wrong
from leverlock.app import sign_in
from leverlock.domain.account import SessionState
from leverlock.domain.audit import EventKind
from leverlock.domain.errors import Reason
from leverlock.ports import PasswordFinding
from world import Deployment, Owner, refused

MINUTE = 60_000


def enter(
    owner: Owner, *, login: str = "alice", source: str = "192.0.2.1", finding: PasswordFinding | None = None
) -> sign_in.SignedIn:
    world = owner.deployment.world
    return owner.deployment.run(
        lambda tx: sign_in.sign_in(tx, world, login=login, source=source, finding=finding or owner.finding())
    )


def complete(owner: Owner, token: str, code: str) -> None:
    world = owner.deployment.world
    owner.deployment.run(lambda tx: sign_in.complete_login(tx, world, token=token, code=code))


@pytest.mark.mission("M1")
@pytest.mark.bar("B61")
def test_the_half_open_session_opens_nothing(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[LOGIN, FUTURES])
    world = deployment.world
    half = enter(owner)
    assert half.session.state is SessionState.LOGIN_CHALLENGE
    with refused(Reason.LOGIN_CHALLENGE_OPEN):
        deployment.run(lambda tx: sign_in.owner(tx, world, token=half.token))
    for code in (owner.fresh_code(FUTURES), owner.wrong_code(LOGIN)):
        with refused(Reason.WRONG_CODE):
            complete(owner, half.token, code)
    with refused(Reason.LOGIN_CHALLENGE_OPEN):
        deployment.run(lambda tx: sign_in.owner(tx, world, token=half.token))
    complete(owner, half.token, owner.fresh_code(LOGIN))
    assert deployment.run(lambda tx: sign_in.owner(tx, world, token=half.token)).state is SessionState.FULL
    with refused(Reason.CONFLICT):
        complete(owner, half.token, owner.fresh_code(LOGIN))


@pytest.mark.bar("B79")
def test_the_first_factor_costs_nothing_of_the_owners_budget(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[LOGIN])
    for number in range(30):
        with pytest.raises(Exception):
            enter(owner, source=f"s{number // 10}", finding=owner.finding(matched=False))
    assert (wrong(owner), streak(owner, LOGIN)) == (0, 0)


@pytest.mark.bar("B62")
def test_all_failures_look_alike(deployment: Deployment) -> None:
    owner = deployment.owner()
    right = owner.finding()
    seen = set()
    for login, finding in (
        ("nobody", right),
        ("alice", replace(right, matched=False)),
        ("alice", replace(right, account_id="acc_other")),
        ("alice", replace(right, checked_hash="old")),
    ):
        with refused(Reason.SIGN_IN_FAILED) as why:
            enter(owner, login=login, finding=finding)
        seen.add((str(why.value), why.value.field, why.value.retry_after_ms))
    deployment.run(lambda tx: tx.set_account_state(owner.account_id, "locked"))
    with refused(Reason.SIGN_IN_FAILED) as why:
        enter(owner)
    seen.add((str(why.value), why.value.field, why.value.retry_after_ms))
    assert len(seen) == 1


def test_tries_are_counted_per_login_and_source(deployment: Deployment) -> None:
    owner = deployment.owner()
    limits = deployment.world.limits
    bad = owner.finding(matched=False)
    for _ in range(limits.sign_in_tries):
        with refused(Reason.SIGN_IN_FAILED):
            enter(owner, source="thief", finding=bad)
    with refused(Reason.SIGN_IN_THROTTLED) as why:
        enter(owner, source="thief")  # even with the right one
    assert why.value.retry_after_ms == limits.sign_in_window_ms
    assert enter(owner, source="home")
    deployment.clock.tick(limits.sign_in_window_ms)
    assert enter(owner, source="thief")


@pytest.mark.bar("B55")
def test_a_session_ends_idle_and_absolutely(deployment: Deployment) -> None:
    owner = deployment.owner()
    limits, world = deployment.world.limits, deployment.world
    idle = enter(owner)
    deployment.clock.tick(limits.session_idle_ms)
    with refused(Reason.NOT_AUTHENTICATED):
        deployment.run(lambda tx: sign_in.owner(tx, world, token=idle.token))
    busy = enter(owner)
    for _ in range(limits.session_absolute_ms // (10 * MINUTE) - 1):
        deployment.clock.tick(10 * MINUTE)
        deployment.run(lambda tx: sign_in.owner(tx, world, token=busy.token))
    deployment.clock.tick(10 * MINUTE)
    with refused(Reason.NOT_AUTHENTICATED):
        deployment.run(lambda tx: sign_in.owner(tx, world, token=busy.token))


@pytest.mark.bar("B73")
def test_a_bent_token_is_no_token(deployment: Deployment) -> None:
    owner = deployment.owner()
    world, token = deployment.world, owner.token
    bent = [token[:n] for n in range(len(token))] + [token + "a", token.upper(), " " + token, token + "\n"]
    bent += [token[:n] + chr(ord(token[n]) ^ 1) + token[n + 1 :] for n in range(len(token))]
    bent += ["", ".", "acc_.", f"{owner.account_id}.", f".{token.partition('.')[2]}", "acc_x.\ud800"]
    for text in bent:
        with pytest.raises(Exception) as why:
            deployment.run(lambda tx, t=text: sign_in.owner(tx, world, token=t))  # type: ignore[misc]
        assert getattr(why.value, "reason", None) in (Reason.NOT_AUTHENTICATED, Reason.MALFORMED), repr(text)
    assert deployment.run(lambda tx: sign_in.owner(tx, world, token=token))


@pytest.mark.bar("B88")
def test_each_step_of_getting_in_is_one_record(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[LOGIN])
    before = len(events(owner))
    half = enter(owner)
    complete(owner, half.token, owner.fresh_code(LOGIN))
    deployment.run(lambda tx: sign_in.sign_out(tx, deployment.world, token=half.token))
    with refused(Reason.SIGN_IN_FAILED):
        enter(owner, finding=owner.finding(matched=False))
    kinds = [event.kind for event in events(owner)[before:]]
    assert kinds == [
        EventKind.SESSION_OPENED,
        EventKind.SESSION_COMPLETED,
        EventKind.SESSION_ENDED,
        EventKind.SIGN_IN_REFUSED,
    ]


def test_a_stale_hash_is_renewed_on_use(deployment: Deployment) -> None:
    owner = deployment.owner()
    enter(owner, finding=replace(owner.finding(), rehashed="new"))
    stored = deployment.read(lambda tx: tx.account(owner.account_id))
    assert stored is not None
    assert stored.password_hash == "new"
