"""Switching protection off: asked for with full re-authentication, effective after a day (semantics 3, 11)."""

from __future__ import annotations

from leverlock.app.closing import revoke_live
from leverlock.app.consent import consent
from leverlock.app.decide import Asked
from leverlock.app.notices import notify
from leverlock.app.pending import hold_back
from leverlock.app.sms_settings import end_number
from leverlock.domain.account import Session
from leverlock.domain.account_actions import PROTECTION_END
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.authenticator import AuthenticatorKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.pending_change import ChangeKind, PendingChange
from leverlock.ports import Transaction, World


def switch_off(tx: Transaction, world: World, *, session: Session, environment: Environment) -> PendingChange | Asked:
    """Have an environment's protection end in a day. Until then everything is guarded as before.

    Raises Refused: ACCOUNT_LOCKED, CONFLICT where it is not on, and whatever `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    if environment not in tx.protections(account_id):
        raise Refused(Reason.CONFLICT, f"the protection of {environment} is not on")
    asked = consent(tx, world, session=session, action=PROTECTION_END[environment])
    if asked is not None:
        return asked
    kind, subject = ChangeKind.PROTECTION_OFF, environment.value
    return hold_back(tx, world, account_id=account_id, kind=kind, subject=subject, by=session.principal)


def end_protection(tx: Transaction, world: World, change: PendingChange) -> None:
    """The day is over: the factor is removed with its recovery codes, and what was asked under it is void."""
    account_id, environment = change.account_id, Environment(change.subject)
    if not tx.end_protection(account_id, environment):
        return
    removed = None
    bound = tx.bound_authenticator(account_id, environment)
    if bound is not None and tx.remove_authenticator(account_id, bound.authenticator_id):
        removed = bound.authenticator_id
    tx.drop_recovery_codes(account_id, environment)
    tx.close_wallets(account_id, environment)
    details = {"environment": environment.value, "removed": removed}
    tx.record(AuditEvent(EventKind.PROTECTION_ENDED, change.asked_by, details))
    number = tx.bound_authenticator(account_id, environment, kind=AuthenticatorKind.SMS)
    if number is not None:  # it backed up a factor that is gone
        end_number(tx, world, number, because="protection_ended", by=change.asked_by)
    revoke_live(tx, account_id, because="protection_ended", by=change.asked_by, environment=environment)
    tx.note_change(account_id)
    notify(tx, world, account_id, kind="protection.ended", environment=environment.value)
