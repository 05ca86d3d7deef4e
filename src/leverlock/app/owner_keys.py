"""An owner's keys: made, changed and ended by himself (M18, B63).

Making and changing is asked for with full re-authentication, bound to every term; the same call again, once he has
answered, does it. Ending is free of a code: it can only make things safer.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from leverlock.app.api_keys import CreatedKey, create_key, revoke_key, told
from leverlock.app.closing import revoke_live
from leverlock.app.consent import consent
from leverlock.app.decide import Asked
from leverlock.app.notices import notify
from leverlock.domain.account import Session
from leverlock.domain.action import ActionType
from leverlock.domain.api_key import ApiKey, KeyAlgorithm, KeyState
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.hold import HoldScope
from leverlock.domain.key_actions import KEY_CREATE, KEY_EDIT, bound_terms, voucher_of
from leverlock.domain.key_terms import KeyTerms, Scope
from leverlock.ports import Transaction, World

MAX_KEYS: Final = 100  # that may be used, of one account


@dataclass(frozen=True, slots=True)
class TermsChange:
    """What is to be another; None leaves it as it is."""

    label: str | None = None
    scopes: frozenset[Scope] | None = None
    ips: tuple[str, ...] | None = None
    otp_allowed: bool | None = None

    def applied(self, terms: KeyTerms) -> KeyTerms:
        given = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}
        return replace(terms, **given)


def make_key(
    tx: Transaction,
    world: World,
    *,
    session: Session,
    terms: KeyTerms,
    upstream_id: str | None = None,
    public_key: bytes | None = None,
) -> CreatedKey | Asked:
    """Make a key for one of the account's venue accounts; `upstream_id` may be left out where there is one.

    Raises Refused: MALFORMED, UNKNOWN_ID, CONFLICT for one key too many, ACCOUNT_LOCKED, and what `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    terms.must_hold_together()
    upstream_id = _reached(tx, account_id, upstream_id)
    if sum(key.live for key in tx.keys(account_id)) >= MAX_KEYS:
        raise Refused(Reason.CONFLICT, f"an account has at most {MAX_KEYS} keys; end one first")
    algorithm = KeyAlgorithm.HMAC_SHA256 if public_key is None else KeyAlgorithm.ED25519
    fields = {**bound_terms(terms), "venue": upstream_id, "algorithm": algorithm.value}
    if public_key is not None:
        fields["public_key"] = base64.b64encode(public_key).decode()
    action = _voucher(tx, account_id, KEY_CREATE, terms.scopes)
    asked = consent(tx, world, session=session, action=action, fields=fields)
    if asked is not None:
        return asked
    return create_key(
        tx,
        world,
        account_id=account_id,
        upstream_id=upstream_id,
        terms=terms,
        by=session.principal,
        public_key=public_key,
    )


def change_key(tx: Transaction, world: World, *, session: Session, key_id: str, change: TermsChange) -> ApiKey | Asked:
    """Give a key other terms. It is legacy no more, and what it has asked for under the old ones is void (B52).

    The owner agrees to the terms as they will stand, so an edit that came between asks him anew.
    Raises Refused: UNKNOWN_ID, KEY_FROZEN, MALFORMED, CONFLICT, ACCOUNT_LOCKED, and what `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    key = _live(tx, account_id, key_id)
    if key.state is KeyState.FROZEN:
        raise Refused(Reason.KEY_FROZEN)
    terms = change.applied(key.terms)
    terms.must_hold_together()
    action = _voucher(tx, account_id, KEY_EDIT, key.scopes | terms.scopes)
    asked = consent(tx, world, session=session, action=action, fields={"key": key_id, **bound_terms(terms)})
    if asked is not None:
        return asked
    if not tx.edit_key(key, terms):
        raise Refused(Reason.CONFLICT)
    tx.record(AuditEvent(EventKind.KEY_EDITED, session.principal, {"key": key_id, **told(terms)}))
    revoke_live(tx, account_id, because="key_changed", by=session.principal, asked_by=key.principal)
    tx.note_change(account_id)
    scopes = " ".join(sorted(terms.scopes))
    notify(tx, world, account_id, kind="key.edited", key=key_id, label=terms.label, scopes=scopes)
    return _live(tx, account_id, key_id)


def end_keys(tx: Transaction, world: World, *, account_id: str, key_ids: Sequence[str], by: str) -> None:
    """End all of these, or none where one is not the account's. Raises Refused: MALFORMED, UNKNOWN_ID."""
    must_be_live(tx, account_id, key_ids)
    for key_id in key_ids:
        revoke_key(tx, world, account_id=account_id, key_id=key_id, by=by)


def must_be_live(tx: Transaction, account_id: str, key_ids: Sequence[str]) -> None:
    """Raises Refused: MALFORMED for one named twice, UNKNOWN_ID for one that is not there to be ended."""
    if len(set(key_ids)) != len(key_ids):
        raise Refused(Reason.MALFORMED, "each key is named once", field="$.end_keys")
    for key_id in key_ids:
        _live(tx, account_id, key_id)


def _voucher(
    tx: Transaction, account_id: str, rows: Mapping[Environment, ActionType], scopes: frozenset[Scope]
) -> ActionType:
    new = {hold.environment for hold in tx.holds(account_id) if hold.scope is HoldScope.VOUCHING}
    return voucher_of(rows, scopes, on=tx.protections(account_id), new=new)


def _live(tx: Transaction, account_id: str, key_id: str) -> ApiKey:
    key = tx.key(account_id, key_id)
    if key is None or not key.live:
        raise Refused(Reason.UNKNOWN_ID, "no such key")
    return key


def _reached(tx: Transaction, account_id: str, named: str | None) -> str:
    found = [upstream.upstream_id for upstream in tx.upstreams(account_id) if not upstream.removed]
    if named is not None:
        if named not in found:
            raise Refused(Reason.UNKNOWN_ID, "no such venue account")
        return named
    if len(found) != 1:
        what = "no venue account yet" if not found else "several venue accounts; name one"
        raise Refused(Reason.MALFORMED, f"the account has {what}", field="$.venue")
    return found[0]
