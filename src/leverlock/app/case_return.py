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
from leverlock.app.sign_in import SignedIn, open_session, session_by_mail
from leverlock.domain.account import AccountState
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
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
    signed_in = session_by_mail(tx, world, account_id)
    session = signed_in.session
    if not tx.use_case_link(case, link_hash=hashed, session_id=session.session_id):
        raise Refused(Reason.UNKNOWN_ID)
    tx.record(AuditEvent(EventKind.CASE_USED, session.principal, {"case": case_id, "session": session.session_id}))
    open_session(tx, session, by_mail=True)
    revoke_live(tx, account_id, because="recovery_case", by=session.principal)
    for ended in tx.end_other_sessions(account_id, keep=session.session_id):
        told = {"session": ended, "because": "recovery_case"}
        tx.record(AuditEvent(EventKind.SESSION_ENDED, session.principal, told))
    for environment in case.environments:
        open_enrolment(tx, world, session=session, environment=environment, because="recovery_case")
    tell(tx, world, case, "used")
    return signed_in, case.environments
