"""Accounts and integrators, created by whoever runs the deployment."""

from __future__ import annotations

import hashlib

from leverlock.app.closing import revoke_live
from leverlock.app.notice_addresses import retire
from leverlock.app.notices import notify
from leverlock.domain.account import SYSTEM_ACCOUNT, AccountState
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.host_statement import Algorithm, IntegratorKey
from leverlock.domain.ids import ID_BYTES, TOKEN_BYTES, make_id, text_of
from leverlock.domain.messages import Address, AddressState, Channel
from leverlock.ports import Transaction, World


def create_account(tx: Transaction, world: World, *, login: str, password_hash: str, by: str) -> str:
    """A new account under a canonical login name. Raises Refused(NAME_TAKEN)."""
    account_id = make_id("acc", world.entropy.bytes(ID_BYTES))
    if not tx.insert_account(account_id=account_id, login=login, password_hash=password_hash):
        raise Refused(Reason.NAME_TAKEN, "this login name is taken", field="login")
    tx.lock_account(account_id)
    tx.record(AuditEvent(EventKind.ACCOUNT_CREATED, by, {"login": login}))
    return account_id


def lock(tx: Transaction, world: World, *, account_id: str, by: str, reason: str = "") -> None:
    """Stop an account: its sessions end, and every challenge and grant is void with this commit (B52).

    What was begun before the lock cannot be finished after it; cancels still pass.
    Raises Refused: UNKNOWN_ID, CONFLICT.
    """
    tx.lock_account(account_id)
    if account_id == SYSTEM_ACCOUNT or not tx.set_account_state(account_id, AccountState.LOCKED):
        raise Refused(Reason.CONFLICT, "the account is locked already")
    tx.record(AuditEvent(EventKind.ACCOUNT_LOCKED, by, _why(reason)))
    revoke_live(tx, account_id, because="account_locked", by=by)
    for ended in tx.end_other_sessions(account_id, keep=""):
        tx.record(AuditEvent(EventKind.SESSION_ENDED, by, {"session": ended, "because": "account_locked"}))
    tx.note_change(account_id)
    notify(tx, world, account_id, kind="account.locked")


def unlock(tx: Transaction, world: World, *, account_id: str, by: str, reason: str = "") -> None:
    """Let an account go on; what the lock voided stays void. Raises Refused: UNKNOWN_ID, CONFLICT."""
    tx.lock_account(account_id)
    if account_id == SYSTEM_ACCOUNT or not tx.set_account_state(account_id, AccountState.ACTIVE):
        raise Refused(Reason.CONFLICT, "the account is not locked")
    tx.record(AuditEvent(EventKind.ACCOUNT_UNLOCKED, by, _why(reason)))
    tx.note_change(account_id)
    notify(tx, world, account_id, kind="account.unlocked")


def _why(reason: str) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def set_address(tx: Transaction, world: World, *, account_id: str, channel: Channel, target: str, by: str) -> str:
    """Where the owner is rung and told. On the word of whoever runs this machine it serves at once and replaces what
    served on the channel, which is told of it and of every security event for a week more."""
    tx.lock_account(account_id)
    before = [a for a in tx.addresses(account_id) if a.channel is channel and a.state is AddressState.SERVING]
    same = next((one for one in before if one.target == target), None)
    if same is not None:
        return same.address_id
    if before:
        notify(tx, world, account_id, kind="address.serves", channel=channel.value, target=target)
    for replaced in before:
        retire(tx, world, account_id, replaced.address_id, by=by)
    address = Address(account_id, make_id("adr", world.entropy.bytes(ID_BYTES)), channel, target)
    tx.set_address(address)
    told = {"address": address.address_id, "channel": channel.value}
    tx.record(AuditEvent(EventKind.NOTICE_ADDRESS_SET, by, told))
    return address.address_id


def create_integrator(tx: Transaction, world: World, *, name: str, by: str) -> tuple[str, str]:
    """A venue's back end that may ask for decisions about its accounts. Its token is shown once."""
    integrator_id = make_id("int", world.entropy.bytes(ID_BYTES))
    token = "lvi_" + text_of(world.entropy.bytes(TOKEN_BYTES))
    tx.lock_account(SYSTEM_ACCOUNT)
    if not tx.insert_integrator(integrator_id, name=name, token_hash=integrator_hash(token)):
        raise Refused(Reason.NAME_TAKEN, "this integrator name is taken", field="name")
    tx.record(AuditEvent(EventKind.INTEGRATOR_CREATED, by, {"integrator": integrator_id, "name": name}))
    return integrator_id, token


def revoke_integrator(tx: Transaction, *, integrator_id: str, by: str) -> None:
    """End an integrator's access at once. Raises Refused(UNKNOWN_ID)."""
    tx.lock_account(SYSTEM_ACCOUNT)
    if not tx.revoke_integrator(integrator_id):
        raise Refused(Reason.UNKNOWN_ID, "no such integrator")
    tx.note_change(SYSTEM_ACCOUNT)
    tx.record(AuditEvent(EventKind.INTEGRATOR_REVOKED, by, {"integrator": integrator_id}))


def add_integrator_key(
    tx: Transaction, world: World, *, integrator_id: str, algorithm: Algorithm, public_key: bytes, by: str
) -> IntegratorKey:
    """Let a host sign statements about its users with this key. Raises Refused(UNKNOWN_ID)."""
    key_id = make_id("ik", world.entropy.bytes(ID_BYTES))
    tx.lock_account(SYSTEM_ACCOUNT)
    key = IntegratorKey(key_id, integrator_id, algorithm, public_key, tx.now)
    if not tx.insert_integrator_key(key):
        raise Refused(Reason.UNKNOWN_ID, "no such integrator")
    details = {"integrator": integrator_id, "key": key_id, "algorithm": algorithm.value}
    tx.record(AuditEvent(EventKind.INTEGRATOR_KEY_ADDED, by, details))
    return key


def remove_integrator_key(tx: Transaction, *, key_id: str, by: str) -> None:
    """Accept nothing more that is signed with this key. Raises Refused(UNKNOWN_ID)."""
    tx.lock_account(SYSTEM_ACCOUNT)
    if not tx.remove_integrator_key(key_id):
        raise Refused(Reason.UNKNOWN_ID, "no such key")
    tx.record(AuditEvent(EventKind.INTEGRATOR_KEY_REMOVED, by, {"key": key_id}))


def integrator(tx: Transaction, *, token: str) -> str:
    """The principal behind an integrator's token. Raises Refused(NOT_AUTHENTICATED)."""
    found = tx.integrator_of_token(integrator_hash(token))
    if found is None:
        raise Refused(Reason.NOT_AUTHENTICATED)
    return f"integrator:{found}"


def integrator_hash(token: str) -> bytes:
    """256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
