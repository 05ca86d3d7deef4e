"""Unknown: a grant was spent, the call was sent, and no whole answer came back. Said so, recorded, never repeated."""

from __future__ import annotations

from leverlock.app.notices import notify
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.challenge import Challenge
from leverlock.ports import Transaction, World


def note_unknown(tx: Transaction, world: World, *, challenge: Challenge, reason: str) -> None:
    """Record that nobody knows whether the approved action was executed, and tell the owner to look (B45)."""
    tx.lock_account(challenge.account_id)
    details = {"challenge": challenge.challenge_id, "action": challenge.action, "because": reason}
    tx.record(AuditEvent(EventKind.EXECUTION_UNKNOWN, challenge.principal, details))
    notify(tx, world, challenge.account_id, kind="execution.unknown", challenge=challenge.challenge_id)
