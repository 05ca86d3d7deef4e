"""Changes that wait a day: asked for, told to every address with a link that stops them, cancelled (semantics 3)."""

from __future__ import annotations

from typing import Final

from leverlock.app.cancel_link import cancel_link
from leverlock.app.notices import notify
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.pending_change import ChangeKind, ChangeState, PendingChange
from leverlock.ports import Transaction, World

AGREED_BY_FACTOR: Final = frozenset({ChangeKind.PROTECTION_OFF})  # whose subject is the factor's environment


def hold_back(
    tx: Transaction, world: World, *, account_id: str, kind: ChangeKind, subject: str, by: str, **details: str
) -> PendingChange:
    """Write a change down that takes effect in a day, and tell the owner. One that waits already is found again."""
    waiting = [one for one in tx.waiting_changes(account_id) if (one.kind, one.subject) == (kind, subject)]
    if waiting:
        return waiting[0]
    change = PendingChange(
        account_id=account_id,
        change_id=make_id("chg", world.entropy.bytes(ID_BYTES)),
        kind=kind,
        subject=subject,
        details=details,
        state=ChangeState.WAITING,
        asked_by=by,
        asked_at=tx.now,
        due_at=tx.now + world.limits.change_wait_ms,
    )
    if not tx.ask_change(change):
        raise Refused(Reason.CONFLICT)
    told: dict[str, str | int] = {"change": change.change_id, "change_kind": kind.value, "subject": subject}
    told["due_at"] = change.due_at
    tx.record(AuditEvent(EventKind.CHANGE_ASKED, by, told))
    link = cancel_link(world, account_id, change.change_id)
    notify(tx, world, account_id, kind="change.waiting", **told, cancel=link)
    return change


def cancel_change(tx: Transaction, world: World, *, account_id: str, change_id: str, by: str) -> PendingChange:
    """Stop a change for good. Stopping it twice is the same as once; what is done cannot be stopped.

    Raises Refused: UNKNOWN_ID, CONFLICT.
    """
    tx.lock_account(account_id)
    change = tx.pending_change(account_id, change_id)
    if change is None:
        raise Refused(Reason.UNKNOWN_ID, "no such change")
    if change.state is ChangeState.CANCELLED:
        return change
    if not tx.cancel_change(change):
        raise Refused(Reason.CONFLICT, "this change has taken effect already")
    told = {"change": change_id, "change_kind": change.kind.value, "subject": change.subject}
    tx.record(AuditEvent(EventKind.CHANGE_CANCELLED, by, told))
    notify(tx, world, account_id, kind="change.cancelled", **told)
    return change


def cancel_asked_before(
    tx: Transaction, world: World, *, account_id: str, by: str, environment: Environment | None = None
) -> None:
    """The factor that agreed to it, or the password, is another now: switching protection off is asked for anew (B52).

    Of all environments, or of one. A thief who agreed with what he had got hold of would else outwait its exchange.
    """
    for change in tx.waiting_changes(account_id):
        concerned = environment is None or change.subject == environment.value
        if concerned and change.kind in AGREED_BY_FACTOR:
            cancel_change(tx, world, account_id=account_id, change_id=change.change_id, by=by)
