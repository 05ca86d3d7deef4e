"""The master password: changed by its owner, or set anew by a link in a mail and one live code (semantics 3).

To whoever asks for a link all answers are alike, and tries are counted as those of signing in are (B62, B79). A link
opens a session that can do nothing but recover; the code that it still needs keeps a mailbox from being enough.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from leverlock.app.closing import revoke_live
from leverlock.app.consent import consent, voucher
from leverlock.app.decide import Asked
from leverlock.app.mailed_secrets import RESET_LINK, reset_token
from leverlock.app.notices import notify, send
from leverlock.app.pending import cancel_asked_before
from leverlock.app.recovery import hold_all
from leverlock.app.sign_in import SignedIn, open_session, session_by_mail
from leverlock.domain.account import SYSTEM_ACCOUNT, AccountState, Session, network_of
from leverlock.domain.account_actions import PASSWORD_CHANGE, PASSWORD_RESET
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import ID_BYTES, is_id, text_of
from leverlock.domain.messages import AddressState, Channel
from leverlock.ports import Transaction, World
from leverlock.ports_recovery import NewPassword


@dataclass(frozen=True, slots=True)
class PasswordSet:
    """The password is another. `by_mail`: the session that set it has ended too; the owner signs in anew."""

    by_mail: bool
    held_until: int | None


def set_password(
    tx: Transaction,
    world: World,
    *,
    session: Session,
    new: NewPassword,
    environment: Environment | None = None,
) -> PasswordSet | Asked:
    """Set a new password: in a full session with the old one and a code, in one opened by mail with a code.

    All other sessions end, and all that was asked and granted is void, with this commit (B52, B60).
    Raises Refused: ACCOUNT_LOCKED, LOGIN_CHALLENGE_OPEN, RECOVERY_ONLY, NO_USABLE_FACTOR, CONFLICT, and whatever
    `consent` raises.
    """
    account_id = session.account_id
    account = tx.lock_account(account_id)
    account.must_be_active()
    if not session.by_mail:
        session.must_be_full()
    elif not tx.protections(account_id):
        # A mailbox alone never opens an account: without a factor that is on, only a case does.
        raise Refused(Reason.NO_USABLE_FACTOR, facts={"environment": Environment.LOGIN.value})
    rows = PASSWORD_RESET if session.by_mail else PASSWORD_CHANGE
    action = voucher(tx, account_id, rows, chosen=environment)
    asked = consent(tx, world, session=session, action=action, fields={"fingerprint": new.fingerprint})
    if asked is not None:
        return asked
    if not tx.set_password_hash(account_id, before=account.password_hash, after=new.stored_hash):
        raise Refused(Reason.CONFLICT)
    tx.record(AuditEvent(EventKind.PASSWORD_CHANGED, session.principal, {"by_mail": session.by_mail}))
    _settle(tx, world, session)
    held_until = None
    if session.by_mail:
        held_until = hold_all(tx, world, account_id, Environment.LOGIN, because="password_reset", by=session.principal)
    notify(tx, world, account_id, kind="password.changed", by="mail" if session.by_mail else "owner")
    return PasswordSet(session.by_mail, held_until)


def _settle(tx: Transaction, world: World, session: Session) -> None:
    """What was begun under the old password is over."""
    account_id = session.account_id
    tx.void_reset_links(account_id)
    cancel_asked_before(tx, world, account_id=account_id, by=session.principal)
    revoke_live(tx, account_id, because="password_changed", by=session.principal)
    for ended in tx.end_other_sessions(account_id, keep="" if session.by_mail else session.session_id):
        details = {"session": ended, "because": "password_changed"}
        tx.record(AuditEvent(EventKind.SESSION_ENDED, session.principal, details))
    tx.note_change(account_id)


def ask_reset(tx: Transaction, world: World, *, login: str, source: str) -> None:
    """Mail a link to the addresses of this login, if it is anybody's; who asked is told the same either way.

    Raises Refused(SIGN_IN_THROTTLED), for known and unknown logins alike.
    """
    subject = hashlib.sha256(f"reset\0{login}\0{network_of(source)}".encode()).digest()
    account_id = tx.account_of_login(login)
    account = tx.lock_account(account_id or SYSTEM_ACCOUNT)
    by = f"login:{login}"
    tx.if_refused(EventKind.RESET_REFUSED, by, source=source)
    tx.charge_sign_in(subject, limits=world.limits)
    owner_id = account.account_id
    link_id = text_of(world.entropy.bytes(ID_BYTES))
    token = reset_token(world.sealer, owner_id, link_id)
    mails = [
        address
        for address in tx.addresses(owner_id)
        if address.channel is Channel.EMAIL and address.state is AddressState.SERVING
    ]
    asked_before = tx.reset_links_since(owner_id, since=tx.now - world.limits.reset_mails_window_ms)
    enough = owner_id != SYSTEM_ACCOUNT and asked_before >= world.limits.reset_mails
    sent = bool(mails) and account.state is AccountState.ACTIVE and not enough
    tx.record(AuditEvent(EventKind.RESET_ASKED, by, {"source": source, "sent": sent}))
    if not sent:
        return
    expires_at = tx.now + world.limits.reset_link_ms
    tx.insert_reset_link(owner_id, token_hash=reset_hash(token), expires_at=expires_at)
    for address in mails:
        send(tx, world, address, kind=RESET_LINK, expires_at=expires_at, details={"link": link_id, "source": source})
    notify(tx, world, owner_id, kind="password_reset.asked", source=source)


def open_reset(tx: Transaction, world: World, *, token: str) -> SignedIn:
    """Follow the link, once: a session that can do nothing but recover. Raises Refused(UNKNOWN_ID) for any other."""
    account_id = token.partition(".")[0]
    known = token.isascii() and is_id("acc", account_id) and tx.account(account_id) is not None
    account = tx.lock_account(account_id if known else SYSTEM_ACCOUNT)
    if account.state is not AccountState.ACTIVE or not tx.open_reset_link(account_id, token_hash=reset_hash(token)):
        raise Refused(Reason.UNKNOWN_ID)
    signed_in = session_by_mail(tx, world, account_id)
    open_session(tx, signed_in.session, by_mail=True)
    notify(tx, world, account_id, kind="password_reset.opened")
    return signed_in


def reset_hash(token: str) -> bytes:
    """256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
