"""Alarms: a stored secret that does not open in its place was swapped, damaged, or its key is gone (B83).

Whoever needed it is refused. The record, the notice to the owner, the error in the log and the count stay, even where
the use case takes back everything else.
"""

from __future__ import annotations

from collections.abc import Callable

from leverlock.app.notices import notices
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.authenticator import StoredSecret
from leverlock.ports import Transaction, UseCase, World


def seal_broken(tx: Transaction, world: World, stored: StoredSecret, *, by: str) -> None:
    """Raise the alarm about this row, from within the use case that needed it."""
    tx.lock_account(stored.account_id)
    details = {"table": stored.table, "row": stored.row_id, "key_version": stored.secret.key_version}
    told = notices(tx, world, stored.account_id, kind=EventKind.SEAL_BROKEN.value, what=stored.table, id=stored.row_id)
    tx.alarm(AuditEvent(EventKind.SEAL_BROKEN, by, details), messages=told)


def report_broken(world: World, *, by: str) -> Callable[[StoredSecret], UseCase[None]]:
    """The same as a use case of its own, for who found it outside of one."""

    def report(stored: StoredSecret) -> UseCase[None]:
        return lambda tx: seal_broken(tx, world, stored, by=by)

    return report
