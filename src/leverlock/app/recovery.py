"""Coming back with a recovery code, when an authenticator is lost (M1, M20).

A code approves nothing (B34). Together with the password it opens one thing: for ten minutes this session may bind a
new authenticator to that environment, without the present one. The present one answers until the new one is confirmed;
what a thief would do next is held for a day from either moment, and every address is told.

Wrong answers are charged to a reserve of the account's own, before anything is compared (B33, B74).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leverlock.app.closing import revoke_live
from leverlock.app.holds import place
from leverlock.app.notices import notices, notify
from leverlock.app.proofs import verify_password
from leverlock.app.recovery_codes import code_hash
from leverlock.app.sign_in import account_id_of, live_session
from leverlock.app.sms_settings import distrust
from leverlock.domain import recovery_code
from leverlock.domain.account import Account, Session, SessionState
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.hold import ALL_SCOPES
from leverlock.ports import Charge, PasswordFinding, Transaction, World


@dataclass(frozen=True, slots=True)
class Recovered:
    """The right to bind anew to this environment until `expires_at`; what is held is held until `held_until`."""

    environment: Environment
    expires_at: int
    held_until: int


def begin(tx: Transaction, world: World, *, token: str) -> Session:
    """*I lost my authenticator*: a session at the login challenge becomes one that can do nothing but recover (M1).

    Raises Refused: NOT_AUTHENTICATED, ACCOUNT_LOCKED, CONFLICT.
    """
    account_id = account_id_of(token)
    tx.lock_account(account_id).must_be_active()
    session = live_session(tx, world, token=token)
    if session.state is not SessionState.LOGIN_CHALLENGE or not tx.begin_recovery(account_id, session.session_id):
        raise Refused(Reason.CONFLICT, "the login challenge is not open")
    tx.record(AuditEvent(EventKind.SESSION_RECOVERING, session.principal, {"session": session.session_id}))
    return session


def recover(
    tx: Transaction,
    world: World,
    *,
    session: Session,
    environment: Environment,
    code: str,
    password: PasswordFinding | None = None,
) -> Recovered:
    """Open the re-enrolment of one environment with one of its codes, which is used up, and its set with it (B32).

    Raises Refused: LOGIN_CHALLENGE_OPEN, PASSWORD_TOO_OLD, PROOF_MISSING, ACCOUNT_LOCKED, RECOVERY_BUDGET_SPENT,
    WRONG_CODE. *Wrong*, *other environment*, *used*, *no such set* and a wrong password are one answer (B62).
    """
    account_id = session.account_id
    account = tx.lock_account(account_id)
    tx.if_refused(EventKind.RECOVERY_REFUSED, session.principal, environment=environment.value)
    session.must_be_recovering()
    if password is None:
        _must_have_typed_it(session, tx.now, world)
    charge = charge_reserve(tx, world, account)
    if password is not None:
        verify_password(account, password)
    stored = code_hash(world, account_id, environment, recovery_code.canonical(code))
    if not tx.use_recovery_code(account_id, environment, code_hash=stored):
        raise Refused(Reason.WRONG_CODE)
    tx.take_back(charge, account=account.budget)
    return open_enrolment(tx, world, session=session, environment=environment, because="recovery_code")


def open_enrolment(
    tx: Transaction, world: World, *, session: Session, environment: Environment, because: str
) -> Recovered:
    """Somebody proved his way back: he may bind anew. What is live in this environment is void, and so are its codes; a
    day is held, and a number that may have been lost with the phone waits as a new one would."""
    account_id = session.account_id
    void = tx.drop_recovery_codes(account_id, environment)
    expires_at = tx.now + world.limits.enrolment_right_ms
    tx.grant_enrolment(account_id, session.session_id, environment, expires_at=expires_at)
    details = {
        "environment": environment.value,
        "session": session.session_id,
        "expires_at": expires_at,
        "because": because,
        "codes_void": void,
    }
    tx.record(AuditEvent(EventKind.RECOVERY_OPENED, session.principal, details))
    held_until = hold_all(tx, world, account_id, environment, because=because, by=session.principal)
    concerned = None if environment is Environment.LOGIN else environment
    revoke_live(tx, account_id, because=because, by=session.principal, environment=concerned)
    distrust(tx, world, account_id=account_id, because=because, by=session.principal, environment=concerned)
    notify(
        tx, world, account_id, kind="recovery.opened", environment=environment.value, by=because, held_until=held_until
    )
    return Recovered(environment, expires_at, held_until)


def hold_all(tx: Transaction, world: World, account_id: str, environment: Environment, *, because: str, by: str) -> int:
    """What a thief who came back as the owner would do next is refused for a day (B34); until when."""
    return place(tx, world, account_id=account_id, environment=environment, scopes=ALL_SCOPES, because=because, by=by)


def must_be_his_to_answer(tx: Transaction, session: Session, challenge_ids: Sequence[str]) -> None:
    """A session that can only recover answers what it asked itself, and nothing that anybody else did (B34, B61).

    Raises Refused(UNKNOWN_ID).
    """
    if session.state is SessionState.FULL:
        return
    for challenge_id in challenge_ids:
        challenge = tx.challenge(session.account_id, challenge_id)
        if challenge is None or challenge.principal != session.principal:
            raise Refused(Reason.UNKNOWN_ID)


def charge_reserve(tx: Transaction, world: World, account: Account) -> Charge:
    """Count one wrong recovery answer before it is looked at; the owner is told of the last one that he has.

    Raises Refused: ACCOUNT_LOCKED, RECOVERY_BUDGET_SPENT.
    """
    account.must_be_active()
    after = account.reserve.charged(tx.now, world.limits)
    used_up = len(after.wrong_at_ms) >= world.limits.recovery_tries
    told = notices(tx, world, account.account_id, kind="recovery.failures") if used_up else ()
    charge = Charge(None, reserve=after, told=tuple(told))
    tx.charge(charge)
    return charge


def _must_have_typed_it(session: Session, now_ms: int, world: World) -> None:
    """The password of the sign-in counts for five minutes in a session that can only recover; else it is typed anew."""
    if session.state is not SessionState.RECOVERY or session.by_mail:
        raise Refused(Reason.PROOF_MISSING, "also needed: password", field="password")
    if now_ms >= session.password_at + world.limits.password_fresh_ms:
        raise Refused(Reason.PASSWORD_TOO_OLD, "type the password with the recovery code, or sign in again")
