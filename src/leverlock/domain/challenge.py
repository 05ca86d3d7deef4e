"""Challenges: one question to the account's owner about exactly one action, and the states it can be in.

    pending ──► approved ──► consumed
       │            ├──────► expired    the grant ran out
       │            └──────► cancelled  revoked: facts, policy, key or factor changed
       ├──► denied      the owner said no, or "this was not me"
       ├──► failed      too many wrong answers
       ├──► expired     nobody answered
       └──► cancelled   withdrawn by the asker, superseded, or revoked

Every other step is refused and changes nothing (B46). The store performs a step as one guarded write: its WHERE
names the state that is left, and its row count is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.requirement import ProofKind, Requirement


class State(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    CONSUMED = "consumed"
    DENIED = "denied"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


STEPS: Final[dict[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.APPROVED, State.DENIED, State.FAILED, State.EXPIRED, State.CANCELLED}),
    State.APPROVED: frozenset({State.CONSUMED, State.EXPIRED, State.CANCELLED}),
    State.CONSUMED: frozenset(),
    State.DENIED: frozenset(),
    State.FAILED: frozenset(),
    State.EXPIRED: frozenset(),
    State.CANCELLED: frozenset(),
}

LIVE: Final = frozenset({State.PENDING, State.APPROVED})


class Denial(StrEnum):
    """What the owner says when he says no."""

    CHANGED_MIND = "changed_mind"
    NOT_ME = "not_me"  # freezes the key that asked and alerts


@dataclass(frozen=True, slots=True)
class Challenge:
    """A stored challenge. Times are server milliseconds; `intent` and `facts` are canonical JSON bytes.

    `given` are the proofs of `requirement` that hold already: the wallet that an earlier answer opened.
    `grant_hash` and `grant_expires_at` are set once it is approved: the grant is good for one execution of this very
    action, by this very principal, until then (B44).
    """

    account_id: str
    challenge_id: str
    environment: Environment
    principal: str
    action: str
    intent: bytes
    digest: bytes
    facts: bytes
    requirement: Requirement
    rules: tuple[str, ...]
    policy_version: str
    state: State
    created_at: int
    expires_at: int
    wrong_answers: int = 0
    closed_because: str = ""
    grant_hash: bytes | None = None
    grant_expires_at: int = 0
    given: frozenset[ProofKind] = frozenset()

    @property
    def remaining(self) -> Requirement:
        """What is still to be proved."""
        return self.requirement.without(self.given)

    def state_at(self, now_ms: int) -> State:
        """The state as of now: time ends what nobody has swept yet."""
        ends = self.expires_at if self.state is State.PENDING else self.grant_expires_at
        return State.EXPIRED if self.state in LIVE and now_ms >= ends else self.state

    def must_be_pending(self, now_ms: int) -> None:
        """Raises Refused unless an answer may be given now."""
        state = self.state_at(now_ms)
        if state is State.PENDING:
            return
        if state is State.EXPIRED:
            raise Refused(Reason.CHALLENGE_EXPIRED)
        if state is State.FAILED:
            raise Refused(Reason.CHALLENGE_FAILED)
        raise Refused(Reason.CHALLENGE_NOT_PENDING, f"the challenge is {state}", facts={"state": state.value})

    def must_be_granted(self, now_ms: int) -> None:
        """Raises Refused unless its grant can be spent now."""
        state = self.state_at(now_ms)
        if state is State.APPROVED:
            return
        if state is State.CONSUMED:
            raise Refused(Reason.GRANT_SPENT)
        if state is State.EXPIRED:
            raise Refused(Reason.GRANT_EXPIRED)
        raise Refused(Reason.NOT_APPROVED, f"the challenge is {state}", facts={"state": state.value})


def may_step(before: State, after: State) -> bool:
    """Whether the machine above has this step."""
    return after in STEPS[before]
