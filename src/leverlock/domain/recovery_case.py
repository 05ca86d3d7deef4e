"""Recovery cases: the way back of somebody who has lost every factor of an environment (M20, B36, B37).

    opened ──► submitted ──► approved_once ──► waiting ──► ready ──► used
                                   two different agents, then a day, then a link

Who opens a case names what he lost and brings documents; two agents, neither of whom opened it nor is its subject,
approve it; it waits while every known address holds a link that stops it; then a link is sent that opens re-enrolment
of the lost environments, once. `refused` by an agent and `expired` end it as well. `cancelled` wins over everything:
while there is anything left to stop, also when the link was used already and its day of holds is not over.

Every other step is refused. The store performs a step as one guarded write that names the state it leaves, and the
time before which it must not happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leverlock.domain.authenticator import SealedSecret, StoredSecret
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused

MAX_STATEMENT: Final = 2_000  # characters
MAX_REASON: Final = 300


class CaseState(StrEnum):
    OPENED = "opened"  # takes documents
    SUBMITTED = "submitted"
    APPROVED_ONCE = "approved_once"
    WAITING = "waiting"
    READY = "ready"
    USED = "used"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    EXPIRED = "expired"


_ENDS: Final = frozenset({CaseState.CANCELLED, CaseState.REFUSED, CaseState.EXPIRED})

STEPS: Final[Mapping[CaseState, frozenset[CaseState]]] = {
    CaseState.OPENED: _ENDS | {CaseState.SUBMITTED},
    CaseState.SUBMITTED: _ENDS | {CaseState.APPROVED_ONCE},
    CaseState.APPROVED_ONCE: _ENDS | {CaseState.WAITING},
    CaseState.WAITING: (_ENDS | {CaseState.READY}) - {CaseState.EXPIRED},
    CaseState.READY: _ENDS | {CaseState.USED},
    CaseState.USED: frozenset({CaseState.CANCELLED}),
    CaseState.CANCELLED: frozenset(),
    CaseState.REFUSED: frozenset(),
    CaseState.EXPIRED: frozenset(),
}

LIVE: Final = frozenset(
    {CaseState.OPENED, CaseState.SUBMITTED, CaseState.APPROVED_ONCE, CaseState.WAITING, CaseState.READY}
)
PERISHABLE: Final = LIVE - {CaseState.WAITING}  # what waits for its day does not run out meanwhile


def may_step(before: CaseState, after: CaseState) -> bool:
    """Whether the machine above has this step."""
    return after in STEPS[before]


class DocumentKind(StrEnum):
    """What a document is brought as. A case needs one of each before it can be looked at (M20)."""

    IDENTITY = "identity"
    OWNERSHIP = "ownership"


class PictureType(StrEnum):
    """What a document is, told by its own first bytes and not by its sender."""

    JPEG = "image/jpeg"
    PNG = "image/png"


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document; its bytes lie outside the database, encrypted under its case's own key."""

    account_id: str
    case_id: str
    document_id: str
    kind: DocumentKind
    type: PictureType
    size: int
    nonce: bytes
    added_by: str
    added_at: int


@dataclass(frozen=True, slots=True)
class RecoveryCase:
    """A stored case. Times are server milliseconds, 0 for what has not happened.

    `opened_by` is who opened it: the owner's session, or an operator. `first_by` and `second_by` are the accounts of
    the agents who approved. `data_key` is the sealed key of its documents, None once they are destroyed.
    """

    account_id: str
    case_id: str
    environments: tuple[Environment, ...]
    statement: str
    state: CaseState
    opened_by: str
    opened_at: int
    expires_at: int
    data_key: SealedSecret | None
    first_by: str = ""
    second_by: str = ""
    ready_at: int = 0
    link_number: int = 0
    link_hash: bytes | None = None
    link_expires_at: int = 0
    used_at: int = 0
    session_id: str = ""
    closed_at: int = 0
    closed_by: str = ""
    closed_because: str = ""

    @property
    def seal_context(self) -> str:
        return case_context(self.account_id, self.case_id)

    @property
    def stored(self) -> StoredSecret | None:
        """The key of its documents in its place; None once it is destroyed."""
        if self.data_key is None:
            return None
        return StoredSecret(self.account_id, "recovery_case", self.case_id, self.seal_context, self.data_key)

    def state_at(self, now_ms: int) -> CaseState:
        """The state as of now: time ends what nobody has swept yet, and a day that is over is over."""
        if self.state in PERISHABLE and now_ms >= self.expires_at:
            return CaseState.EXPIRED
        if self.state is CaseState.WAITING and now_ms >= self.ready_at:
            return CaseState.READY if now_ms < self.expires_at else CaseState.EXPIRED
        return self.state

    def must_be(self, *wanted: CaseState, now_ms: int) -> None:
        """Raises Refused(CASE_STATE), with the state it has, unless it is in one of these."""
        state = self.state_at(now_ms)
        if state not in wanted:
            raise Refused(Reason.CASE_STATE, f"the case is {state}", facts={"state": state.value})

    def must_not_be_handled_by(self, account_id: str, principal: str) -> None:
        """Raises Refused unless this agent may decide about it: he is not its subject, and he did not open it (B36)."""
        if account_id == self.account_id:
            raise Refused(Reason.NOT_PERMITTED, "an agent does not handle his own case")
        if principal == self.opened_by:
            raise Refused(Reason.NOT_PERMITTED, "who opened a case does not approve it")

    def must_not_be_approved_twice_by(self, account_id: str) -> None:
        """Raises Refused(NOT_PERMITTED): the second approval is another agent's (B36)."""
        if account_id == self.first_by:
            raise Refused(Reason.NOT_PERMITTED, "the second approval is another agent's")


def case_context(account_id: str, case_id: str) -> str:
    """The associated data of the sealed key of a case's documents."""
    return f"case|{account_id}|{case_id}"
