"""The account's own audit chain."""

from __future__ import annotations

from leverlock.api.endpoint import Call, Caller
from leverlock.api.views import AuditTrail, audit_record
from leverlock.ports import Transaction, World


def list_audit(tx: Transaction, _world: World, caller: Caller, call: Call) -> AuditTrail:
    """Records in order. A full piece names where the next one begins."""
    limit = call.query.limit
    events = tx.events(caller.account_id, after_seq=call.query.after, limit=limit)
    trail = AuditTrail([audit_record(event) for event in events])
    if len(events) == limit:
        trail.next = events[-1].seq
    return trail
