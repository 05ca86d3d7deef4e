"""The server's clock: what is written down when it ran back, and the operator's way out (B11).

A clock that stands behind what the database has seen by more than a step stops every verification. Usually it is set
right and things go on. Where it was wrong *before*, ahead of the world, and is right now, only an operator can say so:
he resets the mark, and a fence makes worthless what was in use under the wrong time.
"""

from __future__ import annotations

from dataclasses import dataclass

from leverlock.app import fence
from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.fence import Because, Fence
from leverlock.domain.limits import Limits
from leverlock.ports import Transaction

HIGH_WATER = "high_water_ms"  # the setting that holds the latest time the database has seen
EPISODE = "clock_behind_since"  # the setting that is there while the clock is known to be behind


@dataclass(frozen=True, slots=True)
class Standing:
    """How the clock stands. `mark_ms` is the latest time seen; `noted` whether an episode was recorded already."""

    now_ms: int
    mark_ms: int
    behind: bool
    noted: bool
    fence: Fence | None

    @property
    def behind_ms(self) -> int:
        return max(self.mark_ms - self.now_ms, 0)


def standing(tx: Transaction, *, now_ms: int) -> Standing:
    """What a wall clock that says `now_ms` is worth, by the store's own judgement of it; to be read, not run."""
    try:
        behind = tx.now < 0
    except Refused as problem:
        behind = problem.reason is Reason.CLOCK_BEHIND
    mark, noted = int(tx.setting(HIGH_WATER) or "0"), tx.setting(EPISODE) is not None
    return Standing(now_ms, mark, behind, noted, fence.rising(tx))


def note_behind(tx: Transaction, *, now_ms: int) -> bool:
    """Record that the clock is behind, once in each episode, dated with the latest time seen. Whether it was new."""
    tx.lock_account(SYSTEM_ACCOUNT)
    if tx.setting(EPISODE) is not None:
        return False
    tx.set_setting(EPISODE, str(tx.now))
    details = {"mark": tx.now, "clock": now_ms, "behind_ms": tx.now - now_ms}
    tx.record(AuditEvent(EventKind.CLOCK_BEHIND, "server:clock", details))
    return True


def note_right(tx: Transaction) -> bool:
    """Record that an episode is over. Whether there was one."""
    tx.lock_account(SYSTEM_ACCOUNT)
    since = tx.setting(EPISODE)
    if since is None:
        return False
    tx.drop_setting(EPISODE)
    tx.record(AuditEvent(EventKind.CLOCK_RIGHT, "server:clock", {"since": int(since)}))
    return True


def begin_reset(tx: Transaction, *, now_ms: int, mark_ms: int, limits: Limits, by: str) -> Fence:
    """Begin the fence that sets the mark back to `now_ms`; one that was interrupted goes on instead.

    `mark_ms` is the mark that the operator was shown: another one means that somebody came first.
    Raises Refused(CONFLICT) for that, and where the clock is not behind.
    """
    begun = fence.rising(tx)
    if begun is not None:
        return begun
    if tx.now - now_ms <= limits.clock_back_ms:
        raise Refused(Reason.CONFLICT, "the clock is not behind; there is nothing to reset")
    if int(tx.setting(HIGH_WATER) or "0") != mark_ms:
        raise Refused(Reason.CONFLICT, "the mark is another than was shown", field="mark")
    return fence.begin(tx, because=Because.CLOCK_RESET, now_ms=now_ms, by=by)
