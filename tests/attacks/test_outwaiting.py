"""A thief asks once, with what he got hold of for a minute, and waits for its day while the owner changes the locks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.coming_back import bind_anew, changing, consented, recover
from app.observing import FUTURES, SPOT
from leverlock.app import due, enrol, protection
from leverlock.domain.environment import Environment
from leverlock.domain.limits import DAY
from leverlock.domain.pending_change import ChangeState, PendingChange
from leverlock.domain.totp import hotp, step_at
from leverlock.ports_recovery import NewPassword
from world import Deployment, Owner

NEW_PASSWORD = NewPassword("the owner's new hash", "0123456789abcdef")


def ask_for_the_end(owner: Owner, environment: Environment) -> PendingChange:
    session, world = owner.session, owner.deployment.world
    assert session is not None
    change = consented(owner, lambda tx: protection.switch_off(tx, world, session=session, environment=environment))
    assert isinstance(change, PendingChange)
    return change


def state_a_day_later(owner: Owner, change: PendingChange) -> ChangeState:
    deployment = owner.deployment
    deployment.clock.tick(DAY)
    deployment.run(lambda tx: due.carry_out(tx, deployment.world, account_id=owner.account_id))
    found = deployment.read(lambda tx: tx.pending_change(owner.account_id, change.change_id))
    assert found is not None
    return found.state


def exchange(owner: Owner) -> None:
    """Replace the Futures authenticator, with the code of the present one."""
    session, world = owner.session, owner.deployment.world
    assert session is not None
    begun = consented(owner, lambda tx: enrol.start(tx, world, session=session, environment=FUTURES))
    code = hotp(begun.seed, step_at(owner.deployment.clock.ms))
    owner.deployment.run(
        lambda tx: enrol.confirm(tx, world, session=session, authenticator_id=begun.authenticator_id, code=code)
    )


def come_back(owner: Owner) -> None:
    """Bind anew with a recovery code."""
    recover(owner, FUTURES)
    bind_anew(owner, FUTURES)


def change_password(owner: Owner) -> None:
    consented(owner, changing(owner, NEW_PASSWORD))


@pytest.mark.bar("B52")
@pytest.mark.parametrize("lock", [exchange, come_back, change_password])
def test_a_changed_lock_ends_what_waits_to_switch_protection_off(
    deployment: Deployment, lock: Callable[[Owner], None]
) -> None:
    owner = deployment.owner("alice", enrolled=[FUTURES])
    change = ask_for_the_end(owner, FUTURES)
    deployment.clock.tick(60_000)
    lock(owner)
    assert state_a_day_later(owner, change) is ChangeState.CANCELLED
    assert FUTURES in deployment.read(lambda tx: tx.protections(owner.account_id))


@pytest.mark.bar("B52")
def test_another_environments_factor_has_no_say_in_it(deployment: Deployment) -> None:
    owner = deployment.owner("alice", enrolled=[FUTURES, SPOT])
    change = ask_for_the_end(owner, SPOT)
    deployment.clock.tick(60_000)
    exchange(owner)
    assert state_a_day_later(owner, change) is ChangeState.DONE
