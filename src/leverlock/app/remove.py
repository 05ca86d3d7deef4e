"""Remove: the owner takes an authenticator away. The environment stays on, so only recovery brings one back."""

from __future__ import annotations

from leverlock.app.consent import consent
from leverlock.app.decide import Asked
from leverlock.app.enrol import settle_factor_change
from leverlock.app.holds import place
from leverlock.domain.account import Session
from leverlock.domain.account_actions import AUTHENTICATOR_REMOVE
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.authenticator import AuthenticatorState, may_step
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.hold import HoldScope
from leverlock.ports import Transaction, World


def remove_authenticator(
    tx: Transaction, world: World, *, session: Session, environment: Environment, authenticator_id: str
) -> Asked | None:
    """Take the bound authenticator of an environment away, once its owner agreed with its code and his password.

    While no recovery code is left it stays: nothing but a support case would bring the owner back (B30).
    Raises Refused: ACCOUNT_LOCKED, UNKNOWN_ID, CONFLICT, and whatever `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    bound = tx.bound_authenticator(account_id, environment)
    if bound is None or bound.authenticator_id != authenticator_id:
        raise Refused(Reason.UNKNOWN_ID)
    if not tx.recovery_codes_left(account_id).get(environment):
        raise Refused(Reason.CONFLICT, "no recovery code is left: make a new set first, or nothing leads back")
    asked = consent(tx, world, session=session, action=AUTHENTICATOR_REMOVE[environment])
    if asked is not None:
        return asked
    removable = may_step(bound.state, AuthenticatorState.REMOVED)
    if not removable or not tx.remove_authenticator(account_id, authenticator_id):
        raise Refused(Reason.CONFLICT)
    details = {"authenticator": authenticator_id, "environment": environment.value}
    tx.record(AuditEvent(EventKind.AUTHENTICATOR_REMOVED, session.principal, details))
    tx.close_wallets(account_id, environment)
    settle_factor_change(tx, world, session, environment, told="authenticator.removed")
    place(
        tx,
        world,
        account_id=account_id,
        environment=environment,
        scopes=(HoldScope.MOVEMENTS, HoldScope.KEYS),
        because="authenticator_removed",
        by=session.principal,
    )
    return None
