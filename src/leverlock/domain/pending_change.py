"""Changes that wait a day, so that whoever did not ask for them can stop them (semantics 3).

waiting ──► done        its time has come
   └──────► cancelled   by the owner, or by whoever holds the link in the notice; it always wins while it waits
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    """What may wait. Each has one act (`app/due.py`)."""

    PROTECTION_OFF = "protection.off"
    SECURITY_KEY_REMOVAL = "security_key.removal"


class ChangeState(StrEnum):
    WAITING = "waiting"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A stored change. At most one of a kind waits for one `subject` (an environment, a key)."""

    account_id: str
    change_id: str
    kind: ChangeKind
    subject: str
    details: Mapping[str, str]
    state: ChangeState
    asked_by: str
    asked_at: int
    due_at: int
