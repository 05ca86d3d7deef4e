"""Recovery cases as their owner sees them: opened, brought documents, submitted, cancelled (M20, B37).

Every step is told to every known address, with a link that stops the case. Stopping wins over everything else, for as
long as there is something left to stop.
"""

from __future__ import annotations

from collections.abc import Sequence

from leverlock.app.accounts import lock
from leverlock.app.cancel_link import cancel_link
from leverlock.app.notices import notify
from leverlock.domain.account import AccountState
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.recovery_case import CaseState, Document, DocumentKind, RecoveryCase, case_context, may_step
from leverlock.ports import Transaction, World

DATA_KEY_BYTES = 32


def open_case(
    tx: Transaction, world: World, *, account_id: str, by: str, environments: Sequence[Environment], statement: str
) -> RecoveryCase:
    """Say what was lost. `by` is the owner's session, or an agent who does it for somebody who cannot sign in.

    Raises Refused: ACCOUNT_LOCKED, NO_NOTICE_ADDRESS, TOO_MANY_CASES, CONFLICT for an environment that is not on, and
    where a case is under way already.
    """
    tx.lock_account(account_id).must_be_active()
    tx.if_refused(EventKind.ACTION_REFUSED, by, action="recovery_case.open")
    on = tx.protections(account_id)
    for environment in environments:
        if environment not in on:
            raise Refused(Reason.CONFLICT, f"{environment} is not on for this account, so it cannot be lost")
    if not any(address.is_told_at(tx.now) for address in tx.addresses(account_id)):
        raise Refused(Reason.NO_NOTICE_ADDRESS)
    _make_room(tx, world, account_id)
    case_id = make_id("case", world.entropy.bytes(ID_BYTES))
    case = RecoveryCase(
        account_id=account_id,
        case_id=case_id,
        environments=tuple(dict.fromkeys(environments)),
        statement=statement,
        state=CaseState.OPENED,
        opened_by=by,
        opened_at=tx.now,
        expires_at=tx.now + world.limits.case_open_ms,
        data_key=world.sealer.seal(world.entropy.bytes(DATA_KEY_BYTES), context=case_context(account_id, case_id)),
    )
    if not tx.insert_case(case):
        raise Refused(Reason.CONFLICT, "a recovery case is under way already; cancel it first")
    details = {
        "case": case_id,
        "environments": [environment.value for environment in case.environments],
        "expires_at": case.expires_at,
    }
    tx.record(AuditEvent(EventKind.CASE_OPENED, by, details))
    tell(tx, world, case, "opened", opened_by=by.partition(":")[0])
    return case


def _make_room(tx: Transaction, world: World, account_id: str) -> None:
    """Close what has run out; a new case rings every address, so there are only a few in a week."""
    cases = tx.recovery_cases(account_id)
    for case in cases:
        if case.state_at(tx.now) is CaseState.EXPIRED and case.state is not CaseState.EXPIRED:
            close(tx, world, case, to=CaseState.EXPIRED, by="", because="overdue")
    recent = [case.opened_at for case in cases if case.opened_at > tx.now - world.limits.cases_new_window_ms]
    if len(recent) >= world.limits.cases_new:
        again = min(recent) + world.limits.cases_new_window_ms
        raise Refused(Reason.TOO_MANY_CASES, retry_after_ms=again - tx.now)


def add_document(tx: Transaction, world: World, *, document: Document) -> Document:
    """Note a document that lies encrypted beside the database. Raises Refused: UNKNOWN_ID, CASE_STATE, and
    TOO_MANY_DOCUMENTS."""
    tx.lock_account(document.account_id)
    case = known_case(tx, document.account_id, document.case_id)
    case.must_be(CaseState.OPENED, now_ms=tx.now)
    if not tx.insert_document(document, most=world.limits.case_documents):
        raise Refused(Reason.TOO_MANY_DOCUMENTS)
    details = {
        "case": case.case_id,
        "document": document.document_id,
        "kind": document.kind.value,
        "type": document.type.value,
        "size": document.size,
    }
    tx.record(AuditEvent(EventKind.CASE_DOCUMENT_ADDED, document.added_by, details))
    return document


def submit(tx: Transaction, world: World, *, account_id: str, case_id: str, by: str) -> RecoveryCase:
    """Hand the case to the desk. Raises Refused: UNKNOWN_ID, CASE_STATE, DOCUMENTS_MISSING."""
    tx.lock_account(account_id).must_be_active()
    tx.if_refused(EventKind.ACTION_REFUSED, by, action="recovery_case.submit", case=case_id[:64])
    case = known_case(tx, account_id, case_id)
    case.must_be(CaseState.OPENED, now_ms=tx.now)
    brought = {document.kind for document in tx.documents(account_id, case_id)}
    missing = sorted(kind.value for kind in DocumentKind if kind not in brought)
    if missing:
        raise Refused(Reason.DOCUMENTS_MISSING, f"still to bring: {', '.join(missing)}")
    if not tx.submit_case(case):
        raise Refused(Reason.CASE_STATE)
    tx.record(AuditEvent(EventKind.CASE_SUBMITTED, by, {"case": case_id}))
    tell(tx, world, case, "submitted")
    return known_case(tx, account_id, case_id)


def cancel(tx: Transaction, world: World, *, account_id: str, case_id: str, by: str) -> RecoveryCase:
    """Stop a case for good, from whatever state. Stopping what is over already changes nothing.

    Where its link was used, the account is locked with it: somebody came back who was not wanted, and while the holds
    of that day stand nothing of worth can have left. After that day it is too late: Refused(CASE_STATE).
    """
    account = tx.lock_account(account_id)
    case = known_case(tx, account_id, case_id)
    if case.state is CaseState.USED and tx.now >= case.used_at + world.limits.hold_ms:
        raise Refused(Reason.CASE_STATE, "the recovery has taken effect", facts={"state": case.state.value})
    if not may_step(case.state, CaseState.CANCELLED):
        return case
    close(tx, world, case, to=CaseState.CANCELLED, by=by, because="cancelled")
    if case.state is CaseState.USED and account.state is AccountState.ACTIVE:
        lock(tx, world, account_id=account_id, by=by)
    return known_case(tx, account_id, case_id)


def close(tx: Transaction, world: World, case: RecoveryCase, *, to: CaseState, by: str, because: str) -> None:
    """End a case; its link is void from this commit on. Raises Refused(CASE_STATE) when somebody was quicker."""
    if not may_step(case.state, to) or not tx.close_case(case, to=to, by=by, because=because):
        raise Refused(Reason.CASE_STATE, facts={"state": case.state.value})
    details = {"case": case.case_id, "was": case.state.value, "state": to.value, "because": because}
    tx.record(AuditEvent(EventKind.CASE_CLOSED, by, details))
    notify(tx, world, case.account_id, kind=f"recovery_case.{to.value}", case=case.case_id)


def tell(tx: Transaction, world: World, case: RecoveryCase, what: str, **details: str | int) -> None:
    """Tell every known address, with the link that stops the case."""
    stop = cancel_link(world, case.account_id, case.case_id)
    lost = ", ".join(environment.label for environment in case.environments)
    notify(
        tx, world, case.account_id, kind=f"recovery_case.{what}", case=case.case_id, lost=lost, **details, cancel=stop
    )


def known_case(tx: Transaction, account_id: str, case_id: str) -> RecoveryCase:
    """Raises Refused(UNKNOWN_ID)."""
    case = tx.recovery_case(account_id, case_id)
    if case is None:
        raise Refused(Reason.UNKNOWN_ID, "no such case")
    return case
