"""What time does to recovery cases: they run out, become ready, and lose their documents. Nothing runs early (B37)."""

from __future__ import annotations

from leverlock.app.case_desk import made_ready
from leverlock.app.case_link import issue_link
from leverlock.app.recovery_cases import close
from leverlock.domain.account import AccountState
from leverlock.domain.audit import SWEEPER, AuditEvent, EventKind
from leverlock.domain.recovery_case import CaseState
from leverlock.ports import Transaction, World


def settle_cases(tx: Transaction, world: World, *, account_id: str) -> list[str]:
    """Write down what time has done to one account's cases. The cases whose documents are to be removed from disk."""
    account = tx.lock_account(account_id)
    bare = []
    for found in tx.recovery_cases(account_id):
        state = found.state_at(tx.now)
        case = made_ready(tx, world, found)
        if state is CaseState.EXPIRED and case.state is not CaseState.EXPIRED:
            close(tx, world, case, to=CaseState.EXPIRED, by=SWEEPER, because="overdue")
        elif case.state is CaseState.READY and found.state is CaseState.WAITING:
            if account.state is AccountState.ACTIVE:
                issue_link(tx, world, case, by=SWEEPER)
        elif case.data_key is not None:
            forgotten = tx.destroy_documents(case, kept_ms=world.limits.case_kept_ms)
            if forgotten is not None:
                details = {"case": case.case_id, "documents": forgotten}
                tx.record(AuditEvent(EventKind.CASE_DOCUMENTS_DESTROYED, SWEEPER, details))
                bare.append(case.case_id)
    return bare
