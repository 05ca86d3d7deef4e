"""Authenticators: every pair of states, and which enrolment may be confirmed (M8, B10)."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from leverlock.domain.attempts import UNTRIED
from leverlock.domain.authenticator import (
    ENROLMENT_STEPS,
    Authenticator,
    AuthenticatorKind,
    AuthenticatorState,
    SealedSecret,
    may_step,
)
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.totp import NEVER_USED

PENDING = Authenticator(
    account_id="ac",
    authenticator_id="au",
    environment=Environment.FUTURES,
    kind=AuthenticatorKind.TOTP,
    state=AuthenticatorState.PENDING,
    generation=1,
    secret=SealedSecret(1, b"n", b"c"),
    created_at=0,
    expires_at=600_000,
    session_id="se",
)

ALLOWED = {
    ("pending", "active"),
    ("pending", "expired"),
    ("active", "replaced"),
    ("active", "disabled"),
    ("active", "removed"),
    ("disabled", "replaced"),
    ("disabled", "removed"),
}
PAIRS = list(itertools.product(AuthenticatorState, AuthenticatorState))


def reason(authenticator: Authenticator, *, session_id: str = "se", now_ms: int = 0) -> Reason | None:
    try:
        authenticator.must_be_confirmable(session_id=session_id, now_ms=now_ms)
    except Refused as refused:
        return refused.reason
    return None


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=lambda state: state.value)
def test_every_pair_of_states(before: AuthenticatorState, after: AuthenticatorState) -> None:
    assert may_step(before, after) is ((before.value, after.value) in ALLOWED)
    assert set(ENROLMENT_STEPS) == set(AuthenticatorState)


@pytest.mark.bar("B75")
def test_a_disabled_one_never_becomes_active_again() -> None:
    reached, front = {AuthenticatorState.DISABLED}, [AuthenticatorState.DISABLED]
    while front:
        new = ENROLMENT_STEPS[front.pop()] - reached
        reached |= new
        front += new
    assert AuthenticatorState.ACTIVE not in reached


@pytest.mark.bar("B10")
def test_only_the_session_that_began_may_confirm_and_only_in_time() -> None:
    assert reason(PENDING, now_ms=599_999) is None
    assert reason(PENDING, now_ms=600_000) is Reason.ENROLMENT_EXPIRED
    for stranger in ("other", "", "se "):
        assert reason(PENDING, session_id=stranger) is Reason.UNKNOWN_ID


@pytest.mark.bar("B10")
@pytest.mark.parametrize("state", [state for state in AuthenticatorState if state is not AuthenticatorState.PENDING])
def test_only_a_pending_one_can_be_confirmed(state: AuthenticatorState) -> None:
    assert reason(replace(PENDING, state=state)) is Reason.ENROLMENT_NOT_PENDING
    assert reason(replace(PENDING, state=state), session_id="other") is Reason.UNKNOWN_ID


def test_a_new_one_has_used_no_step_and_spent_nothing() -> None:
    assert (PENDING.last_step, PENDING.budget) == (NEVER_USED, UNTRIED)


@pytest.mark.mission("M7")
def test_the_labels_of_the_environments() -> None:
    assert [environment.label for environment in Environment] == ["Login", "Spot", "Margin", "Futures"]
    assert set(MARKETS) == set(Environment) - {Environment.LOGIN}
