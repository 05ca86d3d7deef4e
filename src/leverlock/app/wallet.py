"""Layer 1 of a movement: a code opens a wallet, for the session that gave it and for five minutes (M17)."""

from __future__ import annotations

from dataclasses import dataclass

from leverlock.app.consent import consent
from leverlock.app.decide import Asked
from leverlock.domain.account import Session
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.movement_actions import WALLET_OPEN
from leverlock.ports import Transaction, World


@dataclass(frozen=True, slots=True)
class OpenWallet:
    """A wallet that is open to one session. `expires_at` is in server milliseconds."""

    environment: Environment
    expires_at: int


def open_wallet(tx: Transaction, world: World, *, session: Session, environment: Environment) -> OpenWallet | Asked:
    """Open the wallet of a market to this session; the challenge for it where no code was given yet.

    Raises Refused: ACCOUNT_LOCKED and whatever `consent` raises.
    """
    tx.lock_account(session.account_id).must_be_active()
    asked = consent(tx, world, session=session, action=WALLET_OPEN[environment])
    if asked is not None:
        return asked
    expires_at = tx.now + world.limits.wallet_access_ms
    tx.open_wallet(session.account_id, session.session_id, environment, expires_at=expires_at)
    details = {"environment": environment.value, "session": session.session_id, "expires_at": expires_at}
    tx.record(AuditEvent(EventKind.WALLET_OPENED, session.principal, details))
    return OpenWallet(environment, expires_at)
