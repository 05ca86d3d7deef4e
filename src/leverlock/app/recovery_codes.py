"""Recovery codes: a set for each environment, made with its first authenticator and anew after every recovery.

They are shown once and kept as keyed hashes (B31). A set is numbered: a code of an older one opens nothing (B32).
"""

from __future__ import annotations

from leverlock.app.consent import consent
from leverlock.app.decide import Asked
from leverlock.app.holds import place
from leverlock.app.notices import notify
from leverlock.domain import recovery_code
from leverlock.domain.account import Session
from leverlock.domain.account_actions import RECOVERY_CODES_REPLACE
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.hold import HoldScope
from leverlock.ports import Transaction, World


def issue(tx: Transaction, world: World, *, session: Session, environment: Environment) -> tuple[str, ...]:
    """A new set, in the form that is shown; it kills the one before."""
    count = world.limits.recovery_codes
    codes = [recovery_code.make(world.entropy.bytes(recovery_code.RANDOM_BYTES)) for _ in range(count)]
    hashes = [code_hash(world, session.account_id, environment, code) for code in codes]
    generation = tx.issue_recovery_codes(session.account_id, environment, hashes=hashes)
    details = {"environment": environment.value, "generation": generation, "count": count}
    tx.record(AuditEvent(EventKind.RECOVERY_CODES_ISSUED, session.principal, details))
    return tuple(recovery_code.shown(code) for code in codes)


def replace(tx: Transaction, world: World, *, session: Session, environment: Environment) -> tuple[str, ...] | Asked:
    """A new set on the owner's wish: full re-authentication, and a day's hold (semantics 3).

    Raises Refused: ACCOUNT_LOCKED, CONFLICT where protection is not on, and whatever `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    if environment not in tx.protections(account_id):
        raise Refused(Reason.CONFLICT, f"the protection of {environment} is not on")
    asked = consent(tx, world, session=session, action=RECOVERY_CODES_REPLACE[environment])
    if asked is not None:
        return asked
    codes = issue(tx, world, session=session, environment=environment)
    place(
        tx,
        world,
        account_id=account_id,
        environment=environment,
        scopes=(HoldScope.MOVEMENTS, HoldScope.KEYS),
        because="recovery_codes_replaced",
        by=session.principal,
    )
    notify(tx, world, account_id, kind="recovery_codes.replaced", environment=environment.value)
    return codes


def code_hash(world: World, account_id: str, environment: Environment, code: str) -> bytes:
    """How a code is stored and looked up: its canonical form, under account and environment."""
    return world.sealer.mac("recovery", f"{account_id}|{environment}|{code}".encode())
