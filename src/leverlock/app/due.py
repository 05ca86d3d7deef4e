"""Changes whose day is over: what each kind does when nobody stopped it. One table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from leverlock.app.protection import end_protection
from leverlock.app.security_keys import end_given_up
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.pending_change import ChangeKind, PendingChange
from leverlock.ports import Transaction, World

ACTS: Final[dict[ChangeKind, Callable[[Transaction, World, PendingChange], None]]] = {
    ChangeKind.PROTECTION_OFF: end_protection,
    ChangeKind.SECURITY_KEY_REMOVAL: end_given_up,
}


def carry_out(tx: Transaction, world: World, *, account_id: str) -> int:
    """Carry out what is due of one account; how many changes there were. Nothing runs early (B37)."""
    tx.lock_account(account_id)
    done = 0
    for change in tx.waiting_changes(account_id):
        if not tx.finish_change(change):
            continue
        told = {"change": change.change_id, "change_kind": change.kind.value, "subject": change.subject}
        tx.record(AuditEvent(EventKind.CHANGE_DONE, change.asked_by, told))
        ACTS[change.kind](tx, world, change)
        done += 1
    return done
