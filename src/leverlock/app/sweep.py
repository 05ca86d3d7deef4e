"""Sweep: write down what time has ended already. Correctness never waits for it; it keeps the tables small and the
trail complete."""

from __future__ import annotations

from leverlock.app.closing import close
from leverlock.domain.challenge import State
from leverlock.ports import Transaction

SWEEPER = "sweeper:"


def sweep_account(tx: Transaction, *, account_id: str) -> int:
    """Expire the overdue challenges and grants of one account; how many there were."""
    tx.lock_account(account_id)
    overdue = [c for c in tx.live_challenges(account_id) if c.state_at(tx.now) is State.EXPIRED]
    for challenge in overdue:
        close(tx, challenge, to=State.EXPIRED, because="overdue", principal=SWEEPER)
    return len(overdue)
