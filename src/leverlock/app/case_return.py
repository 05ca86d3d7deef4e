"""The end of a recovery case: whoever follows its link may bind anew what was lost, and nothing else (M20, B36).

The link opens a session that can only recover, with the right to bind an authenticator to each environment of the case.
It is good once, for its minutes, and for one case. Everything that was open ends with it, a day of holds begins, and
every address is told with the link that stops it.
"""

from __future__ import annotations

import hmac

from leverlock.app.case_link import case_of_link, link_hash
from leverlock.app.closing import revoke_live
from leverlock.app.recovery import open_enrolment
from leverlock.app.recovery_cases import tell
from leverlock.app.sign_in import SignedIn, session_id_of
from leverlock.domain.account import AccountState, Session, SessionState
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import TOKEN_BYTES, text_of
from leverlock.ports import Transaction, World


def use_link(tx: Transaction, world: World, *, token: str) -> tuple[SignedIn, tuple[Environment, ...]]:
    """Follow the link, once: the session that it opens, and what may be bound anew in it.

    Raises Refused(UNKNOWN_ID) for any other: unknown, used, run out, of a case that was stopped (B62).
    """
    account_id, case_id = case_of_link(token)
    account = tx.lock_account(account_id)
    case = tx.recovery_case(account_id, case_id)
    hashed = link_hash(token)
    if case is None or case.link_hash is None or not hmac.compare_digest(case.link_hash, hashed):
        raise Refused(Reason.UNKNOWN_ID)
    if account.state is not AccountState.ACTIVE:
        raise Refused(Reason.UNKNOWN_ID)
    opened = f"{account_id}.{text_of(world.entropy.bytes(TOKEN_BYTES))}"
    session = Session(
        account_id=account_id,
        session_id=session_id_of(opened),
        state=SessionState.RECOVERY,
        created_at=tx.now,
        last_seen_at=tx.now,
        password_at=0,
        by_mail=True,
    )
    if not tx.use_case_link(case, link_hash=hashed, session_id=session.session_id):
        raise Refused(Reason.UNKNOWN_ID)
    tx.record(AuditEvent(EventKind.CASE_USED, session.principal, {"case": case_id, "session": session.session_id}))
    tx.insert_session(session)
    details = {"session": session.session_id, "state": session.state.value, "by_mail": True}
    tx.record(AuditEvent(EventKind.SESSION_OPENED, session.principal, details))
    revoke_live(tx, account_id, because="recovery_case", by=session.principal)
    for ended in tx.end_other_sessions(account_id, keep=session.session_id):
        told = {"session": ended, "because": "recovery_case"}
        tx.record(AuditEvent(EventKind.SESSION_ENDED, session.principal, told))
    for environment in case.environments:
        open_enrolment(tx, world, session=session, environment=environment, because="recovery_case")
    tell(tx, world, case, "used")
    return SignedIn(session, opened), case.environments
