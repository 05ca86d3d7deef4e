"""A thief who has the password makes himself the factor that the account asks for next (semantics 3)."""

from __future__ import annotations

import pytest

from app.coming_back import bind_anew, changing, consented, naming, start
from app.observing import FUTURES, LOGIN, SPOT
from leverlock.app import enrol
from leverlock.app.decide import Asked
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason
from leverlock.domain.limits import DAY
from leverlock.domain.totp import hotp, step_at
from leverlock.ports_recovery import NewPassword
from world import Deployment, Owner, refused

NEW_PASSWORD = NewPassword("the thief's hash", "0123456789abcdef")


@pytest.fixture
def robbed(deployment: Deployment) -> Owner:
    """Spot is the owner's. The thief signed in with the password and bound his own app to Futures, as anybody may."""
    owner = deployment.owner("alice", enrolled=[SPOT])
    owner.sign_in()
    bind_anew(owner, FUTURES)
    return owner


@pytest.mark.mission("M4")
def test_it_binds_no_login_authenticator_that_would_lock_the_owner_out(robbed: Owner) -> None:
    assert robbed.session is not None
    asked = start(robbed, LOGIN, robbed.session)
    assert isinstance(asked, Asked)
    assert asked.challenge.environment is SPOT  # which the thief does not have


def test_it_changes_neither_the_password_nor_where_the_owner_is_told(robbed: Owner) -> None:
    for call in (changing(robbed, NEW_PASSWORD), naming(robbed, "thief@example.com")):
        asked = robbed.deployment.run(call)
        assert isinstance(asked, Asked)
        assert asked.challenge.environment is SPOT
    for call in (
        changing(robbed, NEW_PASSWORD, environment=FUTURES),
        naming(robbed, "thief@example.com", environment=FUTURES),
    ):
        with refused(Reason.ON_HOLD) as why:
            robbed.deployment.run(call)
        assert why.value.facts["environment"] == FUTURES.value
        assert why.value.retry_after_ms == DAY


def test_exchanging_it_buys_no_trust(robbed: Owner) -> None:
    session, world = robbed.session, robbed.deployment.world
    assert session is not None
    begun = consented(robbed, lambda tx: enrol.start(tx, world, session=session, environment=FUTURES))
    code = hotp(begun.seed, step_at(robbed.deployment.clock.ms) + 1)
    robbed.deployment.run(
        lambda tx: enrol.confirm(tx, world, session=session, authenticator_id=begun.authenticator_id, code=code)
    )
    with refused(Reason.ON_HOLD):
        robbed.deployment.run(naming(robbed, "thief@example.com", environment=FUTURES))


def test_after_its_day_it_vouches_like_any_other(robbed: Owner) -> None:
    robbed.deployment.clock.tick(DAY)
    robbed.sign_in()
    assert consented(robbed, naming(robbed, "new@example.com", environment=FUTURES)).target == "new@example.com"


@pytest.mark.parametrize("first", [SPOT, FUTURES])
def test_the_first_factor_of_an_account_vouches_at_once(deployment: Deployment, first: Environment) -> None:
    owner = deployment.owner("bob", enrolled=[first])
    assert consented(owner, naming(owner, environment=first)).target == "new@example.com"
