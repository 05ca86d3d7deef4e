"""Challenges: every state with every verb, the moment of expiry, and the answers one may get wrong (B46, B48)."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from leverlock.domain.challenge import LIVE, STEPS, Challenge, State, may_step
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits
from leverlock.domain.requirement import Requirement

LIMITS = Limits()
CREATED, EXPIRES, GRANT_EXPIRES = 1_000_000, 1_300_000, 1_200_000
FINAL = set(State) - {State.PENDING, State.APPROVED}


def challenge(state: State, **changes: object) -> Challenge:
    made = Challenge(
        account_id="ac",
        challenge_id="ch",
        environment=Environment.FUTURES,
        principal="key:k",
        action="futures.order.place",
        intent=b"{}",
        digest=bytes(32),
        facts=b"[{}]",
        requirement=Requirement.of("totp"),
        rules=("r",),
        policy_version="v",
        state=state,
        created_at=CREATED,
        expires_at=EXPIRES,
        grant_expires_at=0 if state is State.PENDING else GRANT_EXPIRES,
    )
    return replace(made, **changes)


def reason(check, now_ms: int) -> Reason | None:
    """Why a check refuses, None where it lets pass."""
    try:
        check(now_ms)
    except Refused as refused:
        return refused.reason
    return None


# --- the machine ------------------------------------------------------------------------------------------------------

ALLOWED = {
    ("pending", "approved"),
    ("pending", "denied"),
    ("pending", "failed"),
    ("pending", "expired"),
    ("pending", "cancelled"),
    ("approved", "consumed"),
    ("approved", "expired"),
    ("approved", "cancelled"),
}


@pytest.mark.bar("B46")
@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)), ids=lambda state: state.value)
def test_every_pair_of_states(before: State, after: State) -> None:
    assert may_step(before, after) is ((before.value, after.value) in ALLOWED)


@pytest.mark.bar("B46")
def test_what_is_over_stays_over() -> None:
    """I11: no path leads out of a final state, and every state can be reached from the first."""
    assert set(STEPS) == set(State)
    assert {state for state in State if not STEPS[state]} == FINAL
    assert set(LIVE) == set(State) - FINAL
    reached, front = {State.PENDING}, [State.PENDING]
    while front:
        new = STEPS[front.pop()] - reached
        reached |= new
        front += new
    assert reached == set(State)


# --- every state with every verb --------------------------------------------------------------------------------------

ANSWERING = {
    State.PENDING: None,
    State.APPROVED: Reason.CHALLENGE_NOT_PENDING,
    State.CONSUMED: Reason.CHALLENGE_NOT_PENDING,
    State.DENIED: Reason.CHALLENGE_NOT_PENDING,
    State.FAILED: Reason.CHALLENGE_FAILED,
    State.EXPIRED: Reason.CHALLENGE_EXPIRED,
    State.CANCELLED: Reason.CHALLENGE_NOT_PENDING,
}
SPENDING = {
    State.PENDING: Reason.NOT_APPROVED,
    State.APPROVED: None,
    State.CONSUMED: Reason.GRANT_SPENT,
    State.DENIED: Reason.NOT_APPROVED,
    State.FAILED: Reason.NOT_APPROVED,
    State.EXPIRED: Reason.GRANT_EXPIRED,
    State.CANCELLED: Reason.NOT_APPROVED,
}


@pytest.mark.bar("B46")
@pytest.mark.parametrize("state", list(State))
def test_answering_and_spending_in_every_state(state: State) -> None:
    in_time = challenge(state)
    assert reason(in_time.must_be_pending, CREATED) is ANSWERING[state]
    assert reason(in_time.must_be_granted, CREATED) is SPENDING[state]


@pytest.mark.bar("B46")
@pytest.mark.parametrize("state", list(State))
def test_the_refusal_tells_the_state(state: State) -> None:
    for check in (challenge(state).must_be_pending, challenge(state).must_be_granted):
        try:
            check(CREATED)
        except Refused as refused:
            told = refused.facts.get("state", state.value)
            assert told == state.value


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.bar("B46")
@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("now_ms", [0, CREATED, GRANT_EXPIRES - 1, GRANT_EXPIRES, EXPIRES - 1, EXPIRES, 2 * EXPIRES])
def test_time_ends_what_lives_and_nothing_else(state: State, now_ms: int) -> None:
    ends = {State.PENDING: EXPIRES, State.APPROVED: GRANT_EXPIRES}.get(state)
    ended = ends is not None and now_ms >= ends
    assert challenge(state).state_at(now_ms) is (State.EXPIRED if ended else state)


@pytest.mark.bar("B44")
def test_a_pending_one_is_answered_until_it_expires_and_no_millisecond_longer() -> None:
    pending = challenge(State.PENDING)
    assert reason(pending.must_be_pending, EXPIRES - 1) is None
    assert reason(pending.must_be_pending, EXPIRES) is Reason.CHALLENGE_EXPIRED


@pytest.mark.bar("B44")
def test_a_grant_is_spent_until_it_expires_and_no_millisecond_longer() -> None:
    approved = challenge(State.APPROVED)
    assert reason(approved.must_be_granted, GRANT_EXPIRES - 1) is None
    assert reason(approved.must_be_granted, GRANT_EXPIRES) is Reason.GRANT_EXPIRED
    longer = challenge(State.APPROVED, grant_expires_at=EXPIRES + 5)
    assert reason(longer.must_be_granted, EXPIRES) is None, "a grant lives by its own clock"


@pytest.mark.bar("B44")
def test_an_approval_without_a_grant_s_end_is_over() -> None:
    """A row in which the grant was never written must not live for ever."""
    assert reason(challenge(State.APPROVED, grant_expires_at=0).must_be_granted, 0) is Reason.GRANT_EXPIRED
