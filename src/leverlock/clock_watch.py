"""Watching the clock: an alarm and a record when it is found behind, once in each episode (B11).

The alarm is an error in the log, which names how far behind, and the gauge `leverlock_clock_behind_seconds`. No message
is put into the outbox: while there is no time nothing can be sent, and who is told is the operator, by his monitoring.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import structlog

from leverlock.app.clock import note_behind, note_right, standing
from leverlock.metrics import CLOCK_BEHIND
from leverlock.ports import Clock, Store

LOOK_SECONDS: Final = 1.0

_log = structlog.get_logger("leverlock.clock")


class ClockWatch:
    """One look a second costs one read; it writes only where an episode begins or ends."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._behind = False

    async def look(self) -> bool:
        """Compare the clock with the mark. Never more to do at once."""
        now_ms = self._clock.now_ms()
        found = await self._store.read(partial(standing, now_ms=now_ms))
        CLOCK_BEHIND.set(found.behind_ms / 1000 if found.behind else 0)
        if found.behind:
            if not found.noted:
                await self._store.run_at_mark(partial(note_behind, now_ms=now_ms))
            if not self._behind:
                _log.error("clock_behind", seconds=found.behind_ms // 1000, effect="nothing is verified")
        elif found.noted and found.fence is None:
            await self._store.run_at_mark(note_right)
            _log.warning("clock_right_again")
        self._behind = found.behind
        return False
