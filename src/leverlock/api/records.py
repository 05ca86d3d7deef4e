"""The owner's gateway keys, and the account's own audit chain."""

from __future__ import annotations

from typing import Any

from leverlock.api.endpoint import Call, Caller, must_be_id
from leverlock.api.views import AuditTrail, KeyList, audit_record, key_view
from leverlock.app.api_keys import revoke_key
from leverlock.ports import Transaction, World


def list_keys(tx: Transaction, _world: World, caller: Caller, _call: Call) -> KeyList:
    return KeyList([key_view(key) for key in tx.keys(caller.account_id)])


def revoke(tx: Transaction, world: World, caller: Caller, call: Call) -> Any:
    key_id = must_be_id("key", call.path["id"])
    revoke_key(tx, world, account_id=caller.account_id, key_id=key_id, by=caller.principal)


def list_audit(tx: Transaction, _world: World, caller: Caller, call: Call) -> AuditTrail:
    """Records in order. A full piece names where the next one begins."""
    limit = call.query.limit
    events = tx.events(caller.account_id, after_seq=call.query.after, limit=limit)
    trail = AuditTrail([audit_record(event) for event in events])
    if len(events) == limit:
        trail.next = events[-1].seq
    return trail
