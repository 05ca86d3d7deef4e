"""A database that is older than the checkpoint file: a restored backup, taken into use behind a fence (B96).

What the file sealed and the database no longer holds is lost, and is said to be: a record names the checkpoints and
the events, and `audit verify` tells it for ever as a note. What the database does hold beyond the last checkpoint that
it has whole is numbered anew, above everything that was ever sealed, so that the next checkpoint seals it again.
"""

from __future__ import annotations

from dataclasses import dataclass

from leverlock.app.trail import NOTED
from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.checkpoint import Checkpoint
from leverlock.ports import Transaction


@dataclass(frozen=True, slots=True)
class Lost:
    """`whole` is the newest checkpoint that the database has noted, `last` the newest of the file."""

    whole: Checkpoint
    last: Checkpoint


def note_lost(tx: Transaction, lost: Lost, *, by: str) -> None:
    """Record what is lost. Its own number is set right by `adopt`."""
    tx.lock_account(SYSTEM_ACCOUNT)
    details = {
        "checkpoints": [lost.whole.number + 1, lost.last.number],
        "events": [lost.whole.last_event + 1, lost.last.last_event],
    }
    tx.record(AuditEvent(EventKind.HISTORY_LOST, by, details))


def adopt(tx: Transaction, lost: Lost) -> None:
    """Go on behind the file's last checkpoint: from this commit on database and file belong together again."""
    tx.lock_account(SYSTEM_ACCOUNT)
    newest, _ = tx.changed_heads(after=lost.whole.last_event)
    tx.lift_events(above=lost.whole.last_event, by=max(lost.last.last_event, newest) - lost.whole.last_event)
    tx.set_setting(NOTED, f"{lost.last.number}:{lost.last.hash.hex()}")
