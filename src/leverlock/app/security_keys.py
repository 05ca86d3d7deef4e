"""Security keys added, renamed and removed by their owner (M22, B28-B30).

Adding is asked for like any other change of the account's protection, and the key that is added serves logins at once
and everything else after a day. Removing takes a key at once, or the password and a code and a day. The last strong
factor is not removed at all: without any, only recovery helps.
"""

from __future__ import annotations

from typing import Final

from leverlock.app.cancel_link import cancel_link
from leverlock.app.ceremonies import (
    Asking,
    deny,
    keys_that_authorise,
    take,
    void_what_asks_for_a_key,
)
from leverlock.app.closing import end_others, revoke_live
from leverlock.app.consent import consent, voucher
from leverlock.app.decide import Asked
from leverlock.app.holds import place
from leverlock.app.notices import notify
from leverlock.app.pending import hold_back
from leverlock.domain.account import Session
from leverlock.domain.account_actions import SECURITY_KEY_ADD, SECURITY_KEY_GIVE_UP, SECURITY_KEY_REMOVE
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.hold import HoldScope
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.pending_change import ChangeKind, PendingChange
from leverlock.domain.security_key import (
    MAX_KEYS,
    NONCE_BYTES,
    Ceremony,
    Purpose,
    SecurityKey,
    SecurityKeyState,
    signed_challenge,
)
from leverlock.ports import Transaction, World
from leverlock.ports_security_keys import Attestation, KeyDenied, NewCredential

PREFIX: Final = "sk"


def begin_registration(tx: Transaction, world: World, *, session: Session, label: str) -> Asking | Asked:
    """Options for a new key, once the owner has agreed to add one of this name; the keys are those there already.

    Raises Refused: ACCOUNT_LOCKED, PASSWORD_TOO_OLD, CONFLICT for one too many, and what `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    keys = tuple(tx.security_keys(account_id))
    if len(keys) >= MAX_KEYS:
        raise Refused(Reason.CONFLICT, f"an account has at most {MAX_KEYS} security keys; remove one first")
    _must_have_met_its_login_challenge(tx, world, session, keys)
    # Not for a voucher to choose: where Futures is on its code is needed, however new its authenticator is.
    guarded = Environment.FUTURES in tx.protections(account_id)
    action = SECURITY_KEY_ADD[Environment.FUTURES if guarded else Environment.LOGIN]
    asked = consent(tx, world, session=session, action=action, fields={"label": label})
    if asked is not None:
        return asked
    ceremony = Ceremony(
        account_id,
        session.session_id,
        Purpose.REGISTER,
        "",
        signed_challenge(world.entropy.bytes(NONCE_BYTES)),
        tx.now + world.limits.ceremony_life_ms,
        label,
    )
    tx.open_ceremony(ceremony)
    return Asking(ceremony, keys)


def _must_have_met_its_login_challenge(
    tx: Transaction, world: World, session: Session, keys: tuple[SecurityKey, ...]
) -> None:
    """Where the account has a login challenge, the session met it within the last five minutes (semantics 3)."""
    challenged = bool(keys) or Environment.LOGIN in tx.protections(session.account_id)
    if challenged and tx.now >= session.password_at + world.limits.password_fresh_ms:
        raise Refused(Reason.PASSWORD_TOO_OLD, "sign in again, then add a key within five minutes")


def register(tx: Transaction, world: World, *, session: Session, attestation: Attestation) -> SecurityKey:
    """Keep the key that answered the options of this session.

    Raises Refused: ACCOUNT_LOCKED, CEREMONY_OVER, SECURITY_KEY_REFUSED.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    tx.if_refused(EventKind.ANSWER_REFUSED, session.principal, purpose=Purpose.REGISTER.value)
    ceremony = take(tx, account_id=account_id, session_id=session.session_id, purpose=Purpose.REGISTER)
    made = _verified(tx, world, ceremony, attestation)
    key = SecurityKey(
        account_id=account_id,
        key_id=make_id(PREFIX, world.entropy.bytes(ID_BYTES)),
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        synced=made.synced,
        label=ceremony.label,
        transports=attestation.transports,
        created_at=tx.now,
        serves_movements_at=tx.now + world.limits.security_key_wait_ms,
    )
    if not tx.insert_security_key(key):
        tx.note_refusal(step="known")
        raise Refused(Reason.SECURITY_KEY_REFUSED, "this key is registered already")
    details = {**_fields_told(key), "synced": key.synced, "sign_count": key.sign_count}
    tx.record(AuditEvent(EventKind.SECURITY_KEY_ADDED, session.principal, details))
    _settle_change(tx, session)
    link = cancel_link(world, account_id, key.key_id)
    notify(tx, world, account_id, kind="security_key.added", **_fields_told(key), cancel=link)
    return key


def _verified(tx: Transaction, world: World, ceremony: Ceremony, attestation: Attestation) -> NewCredential:
    try:
        made = world.security_keys.verify_registration(attestation, expected_challenge=ceremony.challenge)
    except KeyDenied as denied:
        tx.note_refusal(step=denied.step)
        raise Refused(Reason.SECURITY_KEY_REFUSED, f"the answer does not hold: {denied.step}") from None
    if not isinstance(made, NewCredential):
        raise deny(tx, "verifier")
    return made


def rename(tx: Transaction, *, session: Session, key_id: str, label: str) -> SecurityKey:
    """Call a key something else. Raises Refused(UNKNOWN_ID)."""
    tx.lock_account(session.account_id).must_be_active()
    _known(tx, session.account_id, key_id)
    tx.rename_security_key(session.account_id, key_id, label=label)
    details = {"security_key": key_id, "label": label}
    tx.record(AuditEvent(EventKind.SECURITY_KEY_RENAMED, session.principal, details))
    return _known(tx, session.account_id, key_id)


def remove(tx: Transaction, world: World, *, session: Session, key_id: str) -> SecurityKey | Asked:
    """Remove a key at once: with its own signature, or with that of one that is a day old.

    Raises Refused: ACCOUNT_LOCKED, UNKNOWN_ID, LAST_FACTOR, NO_USABLE_FACTOR, and what `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    key = _known(tx, account_id, key_id)
    _must_leave_a_factor(tx, key)
    if not keys_that_authorise(tx, account_id, or_itself=key_id):
        raise Refused(Reason.NO_USABLE_FACTOR, "no security key can agree to this; it takes a day without one")
    asked = consent(tx, world, session=session, action=SECURITY_KEY_REMOVE, fields=_fields(key))
    if asked is not None:
        return asked
    _end(tx, world, key, by=session.principal, because="owner")
    _settle_change(tx, session)
    return key


def give_up(tx: Transaction, world: World, *, session: Session, key_id: str) -> PendingChange | Asked:
    """Have a key that is not at hand removed in a day; no funds move until then.

    Raises Refused: ACCOUNT_LOCKED, UNKNOWN_ID, LAST_FACTOR, NO_USABLE_FACTOR, and what `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    key = _known(tx, account_id, key_id)
    _must_leave_a_factor(tx, key)
    action = voucher(tx, account_id, SECURITY_KEY_GIVE_UP)
    if action.environment not in tx.protections(account_id):
        raise Refused(Reason.NO_USABLE_FACTOR, "no code can agree to this; another security key can, at once")
    asked = consent(tx, world, session=session, action=action, fields=_fields(key))
    if asked is not None:
        return asked
    kind, by = ChangeKind.SECURITY_KEY_REMOVAL, session.principal
    change = hold_back(tx, world, account_id=account_id, kind=kind, subject=key_id, by=by, label=key.label)
    place(
        tx,
        world,
        account_id=account_id,
        environment=Environment.LOGIN,
        scopes=(HoldScope.MOVEMENTS,),
        because="security_key_given_up",
        by=by,
        at_least_until=change.due_at,
    )
    return change


def end_given_up(tx: Transaction, world: World, change: PendingChange) -> None:
    """The day is over. A key that is the last strong factor by now stays, and the owner is told."""
    key = tx.security_key(change.account_id, change.subject)
    if key is None or not key.here:
        return
    try:
        _must_leave_a_factor(tx, key)
    except Refused:
        notify(tx, world, key.account_id, kind="security_key.kept", **_named(key), label=key.label)
        return
    _end(tx, world, key, by=change.asked_by, because="given_up")


def disown(tx: Transaction, world: World, *, account_id: str, key_id: str, by: str) -> None:
    """Remove a key that was just added, by the link in its notice. Raises Refused: UNKNOWN_ID, CONFLICT once it serves.

    Nothing is taken from the owner: before it was added the account stood as it stands then.
    """
    tx.lock_account(account_id)
    key = tx.security_key(account_id, key_id)
    if key is None:
        raise Refused(Reason.UNKNOWN_ID, "no such key")
    if not key.here:
        return
    if tx.now >= key.serves_movements_at:
        raise Refused(Reason.CONFLICT, "this key is the account's by now")
    _end(tx, world, key, by=by, because="disowned")
    revoke_live(tx, account_id, because="factor_changed", by=by)
    for ended in tx.end_other_sessions(account_id, keep=""):
        tx.record(AuditEvent(EventKind.SESSION_ENDED, by, {"session": ended, "because": "factor_changed"}))


def _known(tx: Transaction, account_id: str, key_id: str) -> SecurityKey:
    key = tx.security_key(account_id, key_id)
    if key is None or not key.here:
        raise Refused(Reason.UNKNOWN_ID, "no such key")
    return key


def _must_leave_a_factor(tx: Transaction, key: SecurityKey) -> None:
    """Raises Refused(LAST_FACTOR) unless another key or an authenticator would be left that can answer (B30)."""
    others = [one for one in tx.security_keys(key.account_id) if one.key_id != key.key_id]
    if any(one.state is SecurityKeyState.ACTIVE for one in others):
        return
    for environment in tx.protections(key.account_id):
        bound = tx.bound_authenticator(key.account_id, environment)
        if bound is not None and not bound.budget.disabled:
            return
    raise Refused(Reason.LAST_FACTOR, "bind an authenticator or add another security key first")


def _end(tx: Transaction, world: World, key: SecurityKey, *, by: str, because: str) -> None:
    if not tx.set_security_key_state(key, to=SecurityKeyState.REMOVED):
        raise Refused(Reason.CONFLICT)
    tx.record(AuditEvent(EventKind.SECURITY_KEY_REMOVED, by, {**_named(key), "because": because}))
    void_what_asks_for_a_key(tx, key.account_id, because="factor_changed", by=by)
    tx.note_change(key.account_id)
    notify(tx, world, key.account_id, kind="security_key.removed", **_named(key), label=key.label, because=because)


def _settle_change(tx: Transaction, session: Session) -> None:
    """A changed factor ends the other sessions, with all they asked for (B52, B60)."""
    account_id, by = session.account_id, session.principal
    revoke_live(tx, account_id, because="factor_changed", by=by, environment=Environment.LOGIN)
    end_others(tx, session, because="factor_changed")
    tx.note_change(account_id)


def _named(key: SecurityKey) -> dict[str, str]:
    return {"security_key": key.key_id}


def _fields_told(key: SecurityKey) -> dict[str, str | int]:
    return {**_named(key), "label": key.label, "serves_movements_at": key.serves_movements_at}


def _fields(key: SecurityKey) -> dict[str, str]:
    return {"key": key.key_id, "label": key.label}
