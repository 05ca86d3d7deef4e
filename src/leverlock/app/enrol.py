"""Enrol: bind an authenticator app to one environment (M4-M10).

The first authenticator of an environment needs a password (and login challenge) of the last five minutes. Where the
environment is on already, the present authenticator has to agree, by a challenge like any other; the old secret works
until the new one is confirmed (B10). Who came back with a recovery code binds anew without the present one, and gets
new codes. Recovery codes are shown once, with the first confirmation (M9).
"""

from __future__ import annotations

from dataclasses import dataclass

from leverlock.app import recovery_codes
from leverlock.app.closing import end_others, revoke_live
from leverlock.app.consent import consent, voucher
from leverlock.app.decide import Asked
from leverlock.app.holds import place
from leverlock.app.legacy_keys import note_legacy_keys
from leverlock.app.notices import notify
from leverlock.app.pending import cancel_asked_before
from leverlock.app.proofs import answered_right, charge_answer, verify_code
from leverlock.domain.account import Session
from leverlock.domain.account_actions import AUTHENTICATOR_REPLACE, LOGIN_BIND
from leverlock.domain.action import ActionType
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.authenticator import Authenticator, AuthenticatorKind, AuthenticatorState, may_step, seal_context
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.hold import ALL_SCOPES, HoldScope
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.totp import SEED_BYTES
from leverlock.ports import Transaction, World


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A pending authenticator. `seed` leaves the process once, as QR and key text, in a no-store answer (B58)."""

    authenticator_id: str
    environment: Environment
    seed: bytes
    expires_at: int


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What confirming did. `recovery_codes` are there at the first set-up of an environment and after a recovery."""

    authenticator_id: str
    environment: Environment
    recovery_codes: tuple[str, ...]
    legacy_keys: tuple[str, ...]


def start(tx: Transaction, world: World, *, session: Session, environment: Environment) -> Enrolment | Asked:
    """Begin binding an app: a fresh secret of this account and environment alone (B2).

    Answers `Asked` where a proof is demanded first; the same call again, once it is given, begins. What a
    recovery opened needs no further proof, while it lasts.
    Raises Refused: ACCOUNT_LOCKED, LOGIN_CHALLENGE_OPEN, RECOVERY_ONLY, PASSWORD_TOO_OLD, NO_USABLE_FACTOR and
    whatever `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    right = tx.enrolment_right(account_id, session.session_id, environment)
    if right is None:
        session.must_be_full()
        asked = _vouched(tx, world, session, environment)
        if asked is not None:
            return asked
    for dropped in tx.drop_pending_enrolments(account_id, environment):
        tx.record(AuditEvent(EventKind.ENROLMENT_EXPIRED, session.principal, {"authenticator": dropped}))
    latest = tx.now + world.limits.pending_enrolment_ms
    return _begin(tx, world, session, environment, expires_at=latest if right is None else min(latest, right))


def _vouched(tx: Transaction, world: World, session: Session, environment: Environment) -> Asked | None:
    """None where the session may bind: by a fresh password for a first one, else by the owner's consent."""
    action = _action(tx, session.account_id, environment)
    if action is not None:
        return consent(tx, world, session=session, action=action)
    if tx.now >= session.password_at + world.limits.password_fresh_ms:
        raise Refused(Reason.PASSWORD_TOO_OLD, "sign in again, then enable within five minutes")
    return None


def _action(tx: Transaction, account_id: str, environment: Environment) -> ActionType | None:
    """The action that has to be approved before binding, or None where password and login challenge suffice."""
    on = tx.protections(account_id)
    if environment in on:
        return AUTHENTICATOR_REPLACE[environment]
    if environment is Environment.LOGIN:
        return voucher(tx, account_id, LOGIN_BIND) if on else None
    return None


def _begin(tx: Transaction, world: World, session: Session, environment: Environment, *, expires_at: int) -> Enrolment:
    generation = tx.next_generation(session.account_id, environment)
    authenticator_id = make_id("au", world.entropy.bytes(ID_BYTES))
    seed = world.entropy.bytes(SEED_BYTES)
    context = seal_context(session.account_id, environment, authenticator_id, generation)
    pending = Authenticator(
        account_id=session.account_id,
        authenticator_id=authenticator_id,
        environment=environment,
        kind=AuthenticatorKind.TOTP,
        state=AuthenticatorState.PENDING,
        generation=generation,
        secret=world.sealer.seal(seed, context=context),
        created_at=tx.now,
        expires_at=expires_at,
        session_id=session.session_id,
    )
    tx.insert_authenticator(pending)
    details = {"authenticator": authenticator_id, "environment": environment.value, "generation": generation}
    tx.record(AuditEvent(EventKind.ENROLMENT_STARTED, session.principal, details))
    return Enrolment(authenticator_id, environment, seed, pending.expires_at)


def confirm(tx: Transaction, world: World, *, session: Session, authenticator_id: str, code: str) -> Confirmed:
    """Activate a pending authenticator with its first code, which is burned like any other (M8, B7).

    Raises Refused: UNKNOWN_ID, ENROLMENT_NOT_PENDING, ENROLMENT_EXPIRED, WRONG_CODE, and the limits on answers.
    """
    account_id = session.account_id
    account = tx.lock_account(account_id)
    tx.if_refused(EventKind.ANSWER_REFUSED, session.principal, purpose="enrolment", authenticator=authenticator_id[:64])
    pending = tx.authenticator(account_id, authenticator_id)
    if pending is None:
        raise Refused(Reason.UNKNOWN_ID, "no such enrolment")
    pending.must_be_confirmable(session_id=session.session_id, now_ms=tx.now)
    recovered = tx.enrolment_right(account_id, session.session_id, pending.environment) is not None
    charge = charge_answer(tx, world, account, pending, recovering=recovered)
    step = verify_code(tx, world, pending, code)

    old = tx.bound_authenticator(account_id, pending.environment)
    if old is not None:
        _replace(tx, old)
    if not tx.activate_authenticator(account_id, authenticator_id, step=step):
        raise Refused(Reason.ENROLMENT_NOT_PENDING)
    answered_right(tx, world, charge, account)
    known = tx.protection_known(account_id, pending.environment)
    switched_on = tx.enable_protection(account_id, pending.environment)
    details = {
        "authenticator": authenticator_id,
        "environment": pending.environment.value,
        "generation": pending.generation,
        "step": step,
        "replaced": old.authenticator_id if old is not None else None,
    }
    tx.record(AuditEvent(EventKind.ENROLMENT_CONFIRMED, session.principal, details))
    tx.drop_enrolment_rights(account_id, pending.environment)
    settle_factor_change(tx, world, session, pending.environment, told="authenticator.bound")
    _hold(tx, world, session, pending.environment, recovered=recovered, replaced=old is not None)
    fresh = switched_on or recovered
    codes = recovery_codes.issue(tx, world, session=session, environment=pending.environment) if fresh else ()
    new_here = not known and pending.environment is Environment.FUTURES
    legacy = note_legacy_keys(tx, account_id=account_id, by=session.principal) if new_here else ()
    return Confirmed(authenticator_id, pending.environment, codes, legacy)


def _hold(
    tx: Transaction, world: World, session: Session, environment: Environment, *, recovered: bool, replaced: bool
) -> None:
    """After a recovery all is held for a day; after an exchange, movements and keys (semantics 3). A market's first
    factor beside others, which the password alone has bound, does not vouch for the account until then."""
    scopes: tuple[HoldScope, ...]
    if recovered:
        scopes, because = ALL_SCOPES, "recovered"
    elif replaced:
        scopes, because = (HoldScope.MOVEMENTS, HoldScope.KEYS), "authenticator_replaced"
    elif environment is not Environment.LOGIN and set(tx.protections(session.account_id)) != {environment}:
        scopes, because = (HoldScope.VOUCHING,), "bound_beside_others"
    else:
        return
    place(
        tx,
        world,
        account_id=session.account_id,
        environment=environment,
        scopes=scopes,
        because=because,
        by=session.principal,
    )


def _replace(tx: Transaction, old: Authenticator) -> None:
    """The authenticator that was bound makes room. Raises Refused(CONFLICT) when it cannot or did already."""
    replaceable = may_step(old.state, AuthenticatorState.REPLACED)
    if not replaceable or not tx.retire_authenticator(old.account_id, old.authenticator_id):
        raise Refused(Reason.CONFLICT)


def settle_factor_change(
    tx: Transaction, world: World, session: Session, environment: Environment, *, told: str
) -> None:
    """A changed factor voids what was asked under the old one, ends the other sessions and is told (B39, B52, B60)."""
    cancel_asked_before(tx, world, account_id=session.account_id, by=session.principal, environment=environment)
    revoke_live(tx, session.account_id, because="factor_changed", by=session.principal, environment=environment)
    end_others(tx, session, because="factor_changed")
    tx.note_change(session.account_id)
    notify(tx, world, session.account_id, kind=told, environment=environment.value)
