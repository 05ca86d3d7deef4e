"""Holds: placed where a factor changed, and looked at where the owner would be asked (semantics 3, B34)."""

from __future__ import annotations

from collections.abc import Sequence

from leverlock.domain.action import Action
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.hold import HoldScope
from leverlock.ports import Transaction, World


def place(
    tx: Transaction,
    world: World,
    *,
    account_id: str,
    environment: Environment,
    scopes: Sequence[HoldScope],
    because: str,
    by: str,
    at_least_until: int = 0,
) -> int:
    """Refuse these for a day from now, or longer; when it ends, in server milliseconds."""
    until = max(at_least_until, tx.now + world.limits.hold_ms)
    for scope in scopes:
        tx.place_hold(account_id, environment, scope, until=until)
    details = {
        "environment": environment.value,
        "scopes": sorted(scope.value for scope in scopes),
        "until": until,
        "because": because,
    }
    tx.record(AuditEvent(EventKind.HOLD_PLACED, by, details))
    return until


def must_not_be_held(tx: Transaction, account_id: str, action: Action) -> None:
    """Raises Refused(ON_HOLD) for what a hold stops. What reduces risk needs its proof and waits for nothing."""
    scope, environment = action.type.held_by, action.type.environment
    if scope is None or (scope is HoldScope.OPENING and action.reduces_risk):
        return
    stopping = [hold.until for hold in tx.holds(account_id) if hold.stops(scope, environment, tx.now)]
    if stopping:
        until = max(stopping)
        raise Refused(
            Reason.ON_HOLD,
            "held for a day after a change of the account's factors",
            retry_after_ms=until - tx.now,
            facts={"environment": environment.value, "until": until},
        )
