"""Gateway keys and the upstream accounts they reach: created by an operator's command, ended by the owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leverlock.app.closing import revoke_live
from leverlock.app.consent import consent, voucher
from leverlock.app.decide import Asked
from leverlock.app.notices import notify
from leverlock.domain.account import Session
from leverlock.domain.account_actions import KEY_UNFREEZE
from leverlock.domain.api_key import ApiKey, KeyAlgorithm, KeyState, Upstream, key_context, upstream_context
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import ID_BYTES, TOKEN_BYTES, make_id, text_of
from leverlock.domain.key_terms import KeyTerms
from leverlock.ports import Transaction, World


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key. `secret` is shown once; None where the client keeps a private key of his own."""

    key: ApiKey
    secret: str | None


def create_key(
    tx: Transaction,
    world: World,
    *,
    account_id: str,
    upstream_id: str,
    terms: KeyTerms,
    by: str,
    public_key: bytes | None = None,
) -> CreatedKey:
    """Issue a key for one upstream account: Ed25519 when a public key is given, HMAC otherwise.

    Raises Refused: UNKNOWN_ID when the account has no such upstream, MALFORMED for terms that no key may have.
    """
    tx.lock_account(account_id)
    terms.must_hold_together()
    upstream = tx.upstream(account_id, upstream_id)
    if upstream is None or upstream.removed:
        raise Refused(Reason.UNKNOWN_ID, "no such venue account")
    key_id = make_id("key", world.entropy.bytes(ID_BYTES))
    secret = None if public_key is not None else text_of(world.entropy.bytes(TOKEN_BYTES))
    key = ApiKey(
        account_id=account_id,
        key_id=key_id,
        api_key="lk" + text_of(world.entropy.bytes(TOKEN_BYTES)),
        label=terms.label,
        algorithm=KeyAlgorithm.HMAC_SHA256 if secret is not None else KeyAlgorithm.ED25519,
        state=KeyState.ACTIVE,
        upstream_id=upstream_id,
        created_at=tx.now,
        otp_allowed=terms.otp_allowed,
        scopes=terms.scopes,
        ips=terms.ips,
        secret=None if secret is None else world.sealer.seal(secret.encode(), context=key_context(account_id, key_id)),
        public_key=public_key,
    )
    if not tx.insert_key(key):
        raise Refused(Reason.CONFLICT)
    details = {"key": key_id, "algorithm": key.algorithm.value, "upstream": upstream_id, **told(terms)}
    tx.record(AuditEvent(EventKind.KEY_CREATED, by, details))
    notify(tx, world, account_id, kind="key.created", key=key_id)
    return CreatedKey(key, secret)


def told(terms: KeyTerms) -> dict[str, Any]:
    """The terms as the audit trail has them."""
    return {
        "label": terms.label,
        "scopes": sorted(terms.scopes),
        "ips": list(terms.ips),
        "otp_allowed": terms.otp_allowed,
    }


def revoke_key(tx: Transaction, world: World, *, account_id: str, key_id: str, by: str) -> None:
    """End a key, with every challenge and grant it asked for, in one commit (B52). Raises Refused(UNKNOWN_ID)."""
    tx.lock_account(account_id)
    key = tx.key(account_id, key_id)
    if key is None or key.state is KeyState.REVOKED:
        raise Refused(Reason.UNKNOWN_ID, "no such key")
    if not tx.set_key_state(account_id, key_id, before=key.state, after=KeyState.REVOKED):
        raise Refused(Reason.CONFLICT)
    revoke_live(tx, account_id, because=Reason.KEY_REVOKED, by=by, asked_by=key.principal)
    tx.note_change(account_id)
    tx.record(AuditEvent(EventKind.KEY_REVOKED, by, {"key": key_id}))
    notify(tx, world, account_id, kind="key.revoked", key=key_id)


def unfreeze_key(
    tx: Transaction, world: World, *, session: Session, key_id: str, environment: Environment | None = None
) -> Asked | None:
    """Lift *this was not me*: the key may ask again, once its owner agreed (semantics 3).

    Raises Refused: ACCOUNT_LOCKED, UNKNOWN_ID, CONFLICT where it is not frozen, and whatever `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    key = tx.key(account_id, key_id)
    if key is None:
        raise Refused(Reason.UNKNOWN_ID)
    if key.state is not KeyState.FROZEN:
        raise Refused(Reason.CONFLICT, "this key is not frozen")
    action = voucher(tx, account_id, KEY_UNFREEZE, chosen=environment)
    fields = {"key": key_id, **({"label": key.label} if key.label else {})}
    asked = consent(tx, world, session=session, action=action, fields=fields)
    if asked is not None:
        return asked
    if not tx.set_key_state(account_id, key_id, before=KeyState.FROZEN, after=KeyState.ACTIVE):
        raise Refused(Reason.CONFLICT)
    tx.record(AuditEvent(EventKind.KEY_UNFROZEN, session.principal, {"key": key_id}))
    tx.note_change(account_id)
    notify(tx, world, account_id, kind="key.unfrozen", key=key_id)
    return None


def connect_upstream(
    tx: Transaction,
    world: World,
    *,
    account_id: str,
    label: str,
    dialect: str,
    base_urls: dict[str, str],
    api_key: str,
    algorithm: KeyAlgorithm,
    secret: bytes,
    by: str,
) -> Upstream:
    """Take a venue's real key into custody. Clients never see it; it is used to sign what was let through."""
    tx.lock_account(account_id)
    upstream_id = make_id("up", world.entropy.bytes(ID_BYTES))
    upstream = Upstream(
        account_id=account_id,
        upstream_id=upstream_id,
        label=label,
        dialect=dialect,
        base_urls=base_urls,
        api_key=api_key,
        algorithm=algorithm,
        secret=world.sealer.seal(secret, context=upstream_context(account_id, upstream_id)),
        created_at=tx.now,
    )
    tx.insert_upstream(upstream)
    tx.record(AuditEvent(EventKind.UPSTREAM_CONNECTED, by, {"upstream": upstream_id, "dialect": dialect}))
    return upstream


def remove_upstream(tx: Transaction, world: World, *, account_id: str, upstream_id: str, by: str) -> None:
    """Forget a venue's key and end every key of ours that reached it. Raises Refused(UNKNOWN_ID)."""
    tx.lock_account(account_id)
    if not tx.remove_upstream(account_id, upstream_id):
        raise Refused(Reason.UNKNOWN_ID, "no such venue account")
    tx.record(AuditEvent(EventKind.UPSTREAM_REMOVED, by, {"upstream": upstream_id}))
    for key in tx.keys(account_id):
        if key.upstream_id == upstream_id and key.state is not KeyState.REVOKED:
            revoke_key(tx, world, account_id=account_id, key_id=key.key_id, by=by)
