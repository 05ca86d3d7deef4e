"""Proposals: what needs two different operators (semantics 9).

    open ──► approved ──► done       a looser policy waits a day in between; a role is given at once
      │          └──────► refused    stopped while it waits
      ├──► refused    an operator said no, or the proposer withdrew it
      ├──► expired    nobody approved it in time
      └──► superseded another one of its kind took its place

Who proposed is the first of the two. What the server or a command on the machine proposed has no first yet: it needs
two operators to approve it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leverlock.domain.errors import Reason, Refused


class ProposalKind(StrEnum):
    """What can be proposed. A policy belongs to the deployment, a role to the account that is to have it."""

    POLICY = "policy"
    ROLE = "role"


class ProposalState(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


STEPS: Final[Mapping[ProposalState, frozenset[ProposalState]]] = {
    ProposalState.OPEN: frozenset(
        {
            ProposalState.APPROVED,
            ProposalState.REFUSED,
            ProposalState.EXPIRED,
            ProposalState.SUPERSEDED,
        }
    ),
    ProposalState.APPROVED: frozenset({ProposalState.DONE, ProposalState.REFUSED, ProposalState.SUPERSEDED}),
    ProposalState.DONE: frozenset(),
    ProposalState.REFUSED: frozenset(),
    ProposalState.EXPIRED: frozenset(),
    ProposalState.SUPERSEDED: frozenset(),
}

LIVE: Final = frozenset({ProposalState.OPEN, ProposalState.APPROVED})


def may_step(before: ProposalState, after: ProposalState) -> bool:
    """Whether the machine above has this step."""
    return after in STEPS[before]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A stored proposal. `account_id` is the account it is about, the system's for a policy.

    `content` is what is proposed: a policy's text, or a role's word (empty: none any more). `summary` says in a line
    for each point what it comes to. `told_after` is the last account that was told of it, while it waits.
    """

    account_id: str
    proposal_id: str
    kind: ProposalKind
    content: str
    version: str
    summary: tuple[str, ...]
    environments: tuple[str, ...]
    state: ProposalState
    proposed_by: str
    proposed_at: int
    expires_at: int
    first_by: str = ""
    second_by: str = ""
    due_at: int = 0
    told_after: str = ""
    closed_by: str = ""

    def state_at(self, now_ms: int) -> ProposalState:
        """The state as of now: time ends what nobody has swept yet."""
        if self.state is ProposalState.OPEN and now_ms >= self.expires_at:
            return ProposalState.EXPIRED
        return self.state

    def must_be(self, *wanted: ProposalState, now_ms: int) -> None:
        """Raises Refused(PROPOSAL_STATE), with the state it has, unless it is in one of these."""
        state = self.state_at(now_ms)
        if state not in wanted:
            raise Refused(Reason.PROPOSAL_STATE, f"the proposal is {state}", facts={"state": state.value})

    def must_not_be_approved_by(self, account_id: str) -> None:
        """Raises Refused unless this operator may be one of the two: not its subject, and not the other one."""
        if account_id == self.account_id:
            raise Refused(Reason.NOT_PERMITTED, "nobody decides about his own role")
        if account_id == self.first_by:
            raise Refused(Reason.NOT_PERMITTED, "the second operator is another one")
