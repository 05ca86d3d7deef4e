"""Closing challenges: the one way a challenge ends without being executed, each with its record (B52, B88)."""

from __future__ import annotations

from leverlock.domain.account import Session
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.challenge import Challenge, State, may_step
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.ports import Transaction

_RECORDS = {
    State.DENIED: EventKind.CHALLENGE_DENIED,
    State.EXPIRED: EventKind.CHALLENGE_EXPIRED,
    State.CANCELLED: EventKind.CHALLENGE_CANCELLED,
    State.FAILED: EventKind.CHALLENGE_FAILED,
}


def close(tx: Transaction, challenge: Challenge, *, to: State, because: str, principal: str) -> None:
    """End a pending or approved challenge; its grant, if it had one, is void from this commit on.

    Raises Refused(CHALLENGE_NOT_PENDING) when somebody else was quicker or the machine has no such step.
    """
    if not may_step(challenge.state, to) or not tx.close_challenge(challenge, to=to, because=because):
        raise Refused(Reason.CHALLENGE_NOT_PENDING, facts={"state": challenge.state.value})
    details = {"challenge": challenge.challenge_id, "was": challenge.state.value, "because": str(because)}
    tx.record(AuditEvent(_RECORDS[to], principal, details))


def revoke_live(
    tx: Transaction,
    account_id: str,
    *,
    because: str,
    by: str,
    asked_by: str | None = None,
    environment: Environment | None = None,
) -> int:
    """Void every live challenge and grant of an account: all, those of one asker, or those of one environment."""
    doomed = [
        challenge
        for challenge in tx.live_challenges(account_id, principal=asked_by)
        if environment is None or challenge.environment is environment
    ]
    for challenge in doomed:
        close(tx, challenge, to=State.CANCELLED, because=because, principal=by)
    return len(doomed)


def end_others(tx: Transaction, session: Session, *, because: str) -> None:
    """End the account's other sessions, with what they asked for (B52, B60)."""
    for ended in tx.end_other_sessions(session.account_id, keep=session.session_id):
        revoke_live(tx, session.account_id, because=because, by=session.principal, asked_by=f"session:{ended}")
        details = {"session": ended, "because": because}
        tx.record(AuditEvent(EventKind.SESSION_ENDED, session.principal, details))
