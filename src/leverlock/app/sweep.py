"""Sweep: write down what time has ended already, and carry out what has waited its day. No refusal waits for it; it
keeps the tables small and the trail complete."""

from __future__ import annotations

from leverlock.app.closing import close
from leverlock.app.due import carry_out
from leverlock.domain.audit import SWEEPER
from leverlock.domain.challenge import State
from leverlock.ports import Transaction, World


def sweep_account(tx: Transaction, world: World, *, account_id: str) -> int:
    """Expire the overdue challenges and grants of one account and carry out its due changes; how many there were."""
    tx.lock_account(account_id)
    overdue = [c for c in tx.live_challenges(account_id) if c.state_at(tx.now) is State.EXPIRED]
    for challenge in overdue:
        close(tx, challenge, to=State.EXPIRED, because="overdue", principal=SWEEPER)
    return len(overdue) + carry_out(tx, world, account_id=account_id)
