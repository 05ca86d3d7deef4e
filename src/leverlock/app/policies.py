"""Policies: which one is in force, written down where every transaction compares it (semantics 9)."""

from __future__ import annotations

from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.policy import Policy
from leverlock.ports import Transaction

IN_FORCE = "policy_version"


def put_in_force(tx: Transaction, *, policy: Policy, by: str) -> str | None:
    """Make `policy` the one in force; the version it replaces, None where it was in force already.

    From this commit on a process that still holds another version refuses what is gated (`decide.judge`). Raises
    Refused(CLOCK_BEHIND) where the clock cannot be trusted.
    """
    tx.lock_account(SYSTEM_ACCOUNT)
    before = tx.setting(IN_FORCE)
    if before == policy.version:
        return None
    tx.set_setting(IN_FORCE, policy.version)
    details = {
        "policy": policy.name,
        "version": policy.version,
        "before": before,
        "rules": len(policy.rules),
        "require_enrolment": policy.require_enrolment,
        "unsafe_allow": sorted(policy.unsafe_allow),
    }
    tx.record(AuditEvent(EventKind.POLICY_LOADED, by, details))
    return before or ""
