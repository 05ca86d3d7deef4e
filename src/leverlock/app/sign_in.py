"""Getting in: password first, then the login challenge where the account has one (M1).

To a caller who has not passed the first factor all failures look alike: the edge hashes a password even for a login
that does not exist, and every refusal here is SIGN_IN_FAILED (B62). Tries are counted per login name and the
network they come from, so that a stranger cannot spend the owner's own budget (B79).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from leverlock.app.ceremonies import Asking, open_ceremony, take, verify_assertion
from leverlock.app.closing import revoke_live
from leverlock.app.proofs import answered_right, charge_answer, verify_code
from leverlock.domain.account import SYSTEM_ACCOUNT, AccountState, Session, SessionState, network_of
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import TOKEN_BYTES, text_of
from leverlock.domain.requirement import ProofKind
from leverlock.domain.security_key import Purpose
from leverlock.ports import PasswordFinding, Transaction, World
from leverlock.ports_security_keys import Assertion

TOUCH_MS = 60_000  # a session's last use is written at most once a minute


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session. `token` is shown once, the store keeps its hash; it names its account, which saves a directory."""

    session: Session
    token: str


def sign_in(tx: Transaction, world: World, *, login: str, source: str, finding: PasswordFinding | None) -> SignedIn:
    """Open a session after the password; it opens nothing but the login challenge where one is active.

    Raises Refused: SIGN_IN_THROTTLED, SIGN_IN_FAILED.
    """
    subject = hashlib.sha256(f"{login}\0{network_of(source)}".encode()).digest()
    account_id = tx.account_of_login(login)
    account = tx.lock_account(account_id or SYSTEM_ACCOUNT)
    tx.if_refused(EventKind.SIGN_IN_REFUSED, f"login:{login}", source=source)
    tx.charge_sign_in(subject, limits=world.limits)
    if account_id is None or finding is None or not finding.matched or account.state is not AccountState.ACTIVE:
        raise Refused(Reason.SIGN_IN_FAILED)
    if finding.account_id != account_id or finding.checked_hash != account.password_hash:
        raise Refused(Reason.SIGN_IN_FAILED)
    tx.clear_sign_in(subject)
    if finding.rehashed is not None:
        tx.set_password_hash(account_id, before=finding.checked_hash, after=finding.rehashed)

    challenged = bool(login_challenge(tx, account_id))
    token = f"{account_id}.{text_of(world.entropy.bytes(TOKEN_BYTES))}"
    session = Session(
        account_id=account_id,
        session_id=session_id_of(token),
        state=SessionState.LOGIN_CHALLENGE if challenged else SessionState.FULL,
        created_at=tx.now,
        last_seen_at=tx.now,
        password_at=tx.now,
    )
    open_session(tx, session, source=source)
    return SignedIn(session, token)


def session_by_mail(tx: Transaction, world: World, account_id: str) -> SignedIn:
    """A session for who followed a link in a mail, not opened yet: it will be able to do nothing but recover."""
    token = f"{account_id}.{text_of(world.entropy.bytes(TOKEN_BYTES))}"
    session = Session(
        account_id=account_id,
        session_id=session_id_of(token),
        state=SessionState.RECOVERY,
        created_at=tx.now,
        last_seen_at=tx.now,
        password_at=0,
        by_mail=True,
    )
    return SignedIn(session, token)


def open_session(tx: Transaction, session: Session, **details: Any) -> None:
    """Write a new session down, with its record."""
    tx.insert_session(session)
    told = {"session": session.session_id, "state": session.state.value, **details}
    tx.record(AuditEvent(EventKind.SESSION_OPENED, session.principal, told))


def complete_login(tx: Transaction, world: World, *, token: str, code: str) -> Session:
    """Answer the login challenge with a code of the account's login authenticator, and of no other.

    Raises Refused: NOT_AUTHENTICATED, CONFLICT, WRONG_CODE, CODE_ALREADY_USED and the limits of `charge_answer`.
    """
    account_id = account_id_of(token)
    account = tx.lock_account(account_id)
    session = live_session(tx, world, token=token)
    tx.if_refused(EventKind.ANSWER_REFUSED, session.principal, purpose="login")
    if session.state is not SessionState.LOGIN_CHALLENGE:
        raise Refused(Reason.CONFLICT, "the login challenge is not open")
    authenticator = tx.bound_authenticator(account_id, Environment.LOGIN)
    charge = charge_answer(tx, world, account, authenticator)
    step = verify_code(tx, world, authenticator, code)
    assert authenticator is not None
    if not tx.advance_totp_step(account_id, authenticator.authenticator_id, step=step):
        raise Refused(Reason.CODE_ALREADY_USED)
    if not tx.complete_session(account_id, session.session_id):
        raise Refused(Reason.CONFLICT)
    answered_right(tx, world, charge, account)
    details = {"session": session.session_id, "authenticator": authenticator.authenticator_id, "step": step}
    tx.record(AuditEvent(EventKind.SESSION_COMPLETED, session.principal, details))
    return session


def login_challenge(tx: Transaction, account_id: str) -> list[ProofKind]:
    """What completes a login of this account beside the password: any one of these, or nothing is asked for (M1)."""
    found = [ProofKind.TOTP] if Environment.LOGIN in tx.protections(account_id) else []
    return [*found, ProofKind.SECURITY_KEY] if tx.security_keys(account_id) else found


def ask_key(tx: Transaction, world: World, *, token: str) -> Asking:
    """Options for completing a login with a security key.

    Raises Refused: NOT_AUTHENTICATED, CONFLICT, ACCOUNT_LOCKED.
    """
    session = _open_login(tx, world, token=token)
    keys = tuple(tx.security_keys(session.account_id))
    if not keys:
        raise Refused(Reason.CONFLICT, "no security key completes this login")
    return open_ceremony(tx, world, session_id=session.session_id, purpose=Purpose.LOGIN, keys=keys)


def complete_login_with_key(tx: Transaction, world: World, *, token: str, assertion: Assertion) -> Session:
    """Answer the login challenge with the signature of one of the account's security keys.

    Raises Refused: NOT_AUTHENTICATED, CONFLICT, CEREMONY_OVER, WRONG_CODE and the limits of `charge_answer`.
    """
    account = tx.lock_account(account_id_of(token))
    session = _open_login(tx, world, token=token)
    account_id, session_id = account.account_id, session.session_id
    tx.if_refused(EventKind.ANSWER_REFUSED, session.principal, purpose=Purpose.LOGIN.value)
    ceremony = take(tx, account_id=account_id, session_id=session_id, purpose=Purpose.LOGIN)
    charge = charge_answer(tx, world, account, None)
    keys = tuple(tx.security_keys(account_id))
    found = verify_assertion(tx, world, ceremony=ceremony, keys=keys, assertion=assertion)
    if not tx.complete_session(account_id, session_id):
        raise Refused(Reason.CONFLICT)
    answered_right(tx, world, charge, account)
    tx.record(AuditEvent(EventKind.SESSION_COMPLETED, session.principal, {"session": session_id, **found}))
    return session


def _open_login(tx: Transaction, world: World, *, token: str) -> Session:
    """The session whose login challenge is open."""
    tx.lock_account(account_id_of(token)).must_be_active()
    session = live_session(tx, world, token=token)
    if session.state is not SessionState.LOGIN_CHALLENGE:
        raise Refused(Reason.CONFLICT, "the login challenge is not open")
    return session


def owner(tx: Transaction, world: World, *, token: str, touch: bool = True) -> Session:
    """The owner behind a token: a live session that has passed everything. Raises Refused."""
    session = live_session(tx, world, token=token)
    session.must_be_full()
    if touch and tx.now >= session.last_seen_at + TOUCH_MS:
        tx.touch_session(session)
    return session


def recoverer(tx: Transaction, world: World, *, token: str, touch: bool = True) -> Session:
    """Who may use a way back: the owner, or who says that he is and has lost something. Raises Refused."""
    session = live_session(tx, world, token=token)
    session.must_be_recovering()
    if touch and tx.now >= session.last_seen_at + TOUCH_MS:
        tx.touch_session(session)
    return session


def live_session(tx: Transaction, world: World, *, token: str) -> Session:
    """The session behind a token, at whatever stage. Raises Refused(NOT_AUTHENTICATED) for anything else (B73)."""
    session = tx.session(account_id_of(token), session_id_of(token))
    if session is None:
        raise Refused(Reason.NOT_AUTHENTICATED)
    session.must_be_live(tx.now, world.limits)
    return session


def sign_out(tx: Transaction, world: World, *, token: str) -> None:
    """End a session, with every challenge and grant it asked for (B52)."""
    tx.lock_account(account_id_of(token))
    session = live_session(tx, world, token=token)
    if not tx.end_session(session.account_id, session.session_id):
        raise Refused(Reason.NOT_AUTHENTICATED)
    revoke_live(tx, session.account_id, because="signed_out", by=session.principal, asked_by=session.principal)
    tx.record(AuditEvent(EventKind.SESSION_ENDED, session.principal, {"session": session.session_id}))


def account_id_of(token: str) -> str:
    """The account that a token names; whether the token is any good is for its hash to say."""
    account_id, dot, secret = token.partition(".")
    if not dot or not secret or not token.isascii() or not account_id.startswith("acc_"):
        raise Refused(Reason.NOT_AUTHENTICATED)
    return account_id


def session_id_of(token: str) -> str:
    """How a session is stored: by the hash of its token."""
    return "ses_" + hashlib.sha256(token.encode()).hexdigest()[:48]
