"""Recovery cases as agents see them: looked at, approved by two of them, refused (B36, B38).

An agent is never the case's subject, and none approves what he opened or has approved already. He never sees a secret:
the outcome is a link that is sent to the owner's addresses and to nobody else.
"""

from __future__ import annotations

from leverlock.app.alarms import seal_broken
from leverlock.app.case_link import issue_link
from leverlock.app.recovery_cases import close, known_case, tell
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.recovery_case import CaseState, Document, RecoveryCase
from leverlock.domain.roles import operator_principal
from leverlock.ports import SealBroken, Transaction, World


def seen_case(tx: Transaction, *, agent: str, account_id: str, case_id: str) -> RecoveryCase:
    """A case that this agent may look at: any but his own. Raises Refused: UNKNOWN_ID, NOT_PERMITTED."""
    if agent == account_id:
        raise Refused(Reason.NOT_PERMITTED, "an agent does not handle his own case")
    return known_case(tx, account_id, case_id)


def approve(tx: Transaction, world: World, *, agent: str, account_id: str, case_id: str) -> RecoveryCase:
    """The first approval, or the second, after which the case waits for its day.

    Raises Refused: UNKNOWN_ID, NOT_PERMITTED, CASE_STATE, ACCOUNT_LOCKED.
    """
    by = operator_principal(agent)
    account = tx.lock_account(account_id)
    tx.if_refused(EventKind.ACTION_REFUSED, by, action="recovery_case.approve", case=case_id[:64])
    case = known_case(tx, account_id, case_id)
    case.must_not_be_handled_by(agent, by)
    account.must_be_active()
    case.must_be(CaseState.SUBMITTED, CaseState.APPROVED_ONCE, now_ms=tx.now)
    if case.state is CaseState.SUBMITTED:
        if not tx.approve_case_once(case, by=agent):
            raise Refused(Reason.CASE_STATE)
        tx.record(AuditEvent(EventKind.CASE_APPROVED, by, {"case": case_id, "approval": 1}))
        return known_case(tx, account_id, case_id)
    case.must_not_be_approved_twice_by(agent)
    ready_at = tx.now + world.limits.case_wait_ms
    expires_at = ready_at + world.limits.case_ready_ms
    if not tx.approve_case_twice(case, by=agent, ready_at=ready_at, expires_at=expires_at):
        raise Refused(Reason.CASE_STATE)
    tx.record(AuditEvent(EventKind.CASE_APPROVED, by, {"case": case_id, "approval": 2, "ready_at": ready_at}))
    tell(tx, world, case, "approved", ready_at=ready_at)
    return known_case(tx, account_id, case_id)


def refuse(tx: Transaction, world: World, *, agent: str, account_id: str, case_id: str, reason: str) -> RecoveryCase:
    """Say no, from any state in which there is something left to refuse. Raises Refused: as `approve`."""
    by = operator_principal(agent)
    tx.lock_account(account_id)
    tx.if_refused(EventKind.ACTION_REFUSED, by, action="recovery_case.refuse", case=case_id[:64])
    case = seen_case(tx, agent=agent, account_id=account_id, case_id=case_id)
    close(tx, world, case, to=CaseState.REFUSED, by=by, because=reason)
    return known_case(tx, account_id, case_id)


def send_link(tx: Transaction, world: World, *, agent: str, account_id: str, case_id: str) -> int:
    """Have a new link sent to the owner's addresses, within the case's life; when it runs out.

    Raises Refused: UNKNOWN_ID, NOT_PERMITTED, CASE_STATE before its day is over, ACCOUNT_LOCKED.
    """
    by = operator_principal(agent)
    account = tx.lock_account(account_id)
    tx.if_refused(EventKind.ACTION_REFUSED, by, action="recovery_case.link", case=case_id[:64])
    case = seen_case(tx, agent=agent, account_id=account_id, case_id=case_id)
    account.must_be_active()
    case.must_be(CaseState.READY, now_ms=tx.now)
    return issue_link(tx, world, made_ready(tx, world, case), by=by)


def made_ready(tx: Transaction, world: World, case: RecoveryCase) -> RecoveryCase:
    """The case once its day is over and that is written down; who comes first writes it, the sweeper or an agent."""
    if case.state is not CaseState.WAITING or not tx.ready_case(case):
        return case
    tx.record(AuditEvent(EventKind.CASE_READY, "", {"case": case.case_id}))
    tell(tx, world, case, "ready")
    return known_case(tx, case.account_id, case.case_id)


def view_document(
    tx: Transaction, world: World, *, agent: str, account_id: str, case_id: str, document_id: str, reason: str
) -> tuple[Document, bytes]:
    """A document and the key that opens it, for one look whose reason is on record before the first byte leaves.

    Raises Refused: UNKNOWN_ID, NOT_PERMITTED.
    """
    by = operator_principal(agent)
    tx.lock_account(account_id)
    tx.if_refused(EventKind.ACTION_REFUSED, by, action="recovery_case.view", case=case_id[:64])
    case = seen_case(tx, agent=agent, account_id=account_id, case_id=case_id)
    found = [one for one in tx.documents(account_id, case_id) if one.document_id == document_id]
    if not found:
        raise Refused(Reason.UNKNOWN_ID, "no such document")
    key = document_key(tx, world, case)
    details = {"case": case_id, "document": document_id, "reason": reason}
    tx.record(AuditEvent(EventKind.CASE_DOCUMENT_VIEWED, by, details))
    return found[0], key


def document_key(tx: Transaction, world: World, case: RecoveryCase) -> bytes:
    """The key of a case's documents. Raises Refused(UNKNOWN_ID) once it is destroyed, or where it does not open."""
    stored = case.stored
    if stored is None:
        raise Refused(Reason.UNKNOWN_ID, "the documents of this case are destroyed")
    try:
        return world.sealer.open(stored.secret, context=stored.context)
    except SealBroken:
        seal_broken(tx, world, stored, by="desk:documents")
        raise Refused(Reason.UNKNOWN_ID, "the key of this case does not open") from None
