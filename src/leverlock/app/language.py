"""In which language an owner is written to."""

from __future__ import annotations

from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.messages import Language
from leverlock.ports import Transaction


def set_language(tx: Transaction, *, account_id: str, language: Language, by: str) -> bool:
    """Write to this owner in `language` from now on. Whether that is a change. Raises Refused(UNKNOWN_ID)."""
    tx.lock_account(account_id)
    if not tx.set_language(account_id, language):
        return False
    tx.record(AuditEvent(EventKind.LANGUAGE_SET, by, {"language": language.value}))
    return True
