"""What time it is for a transaction: never before what the database has seen, and no time at all while in doubt (B11).

The file keeps a high-water mark, raised once a second. A wall clock a step behind it is tolerated: time stands still.
One further behind, or a fence that is being raised, leaves transactions without a time, and whatever needs one is
refused. The mark falls only behind a fence, whose number says so; every process notices with its next look at the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from leverlock.domain.errors import Reason
from leverlock.domain.fence import NUMBER, RISING
from leverlock.domain.limits import Limits
from leverlock.ports import Clock

HIGH_WATER: Final = "high_water_ms"
HIGH_WATER_EVERY_MS: Final = 1_000


class ServerTime:
    """Of one process on one file. Safe from any thread: each field is one number, and none decides alone."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._back_ms = limits.clock_back_ms
        self._seen = 0  # the latest time that this process has told or the file holds
        self._marked = 0  # what the file holds
        self._fence = 0  # the last fence that stands
        self._rising = False

    def learn(self, marks: Mapping[str, str]) -> None:
        """Take in what the file says. A look that was begun before the last fence stood says nothing any more."""
        marked, fence = int(marks.get(HIGH_WATER, "0")), int(marks.get(NUMBER, "0"))
        if fence < self._fence:
            return
        self._rising = RISING in marks
        self._seen = marked if fence > self._fence else max(self._seen, marked)
        self._fence, self._marked = fence, marked

    def now(self) -> int | Reason:
        """Server time, or why there is none."""
        wall = self._clock.now_ms()
        if self._rising:
            return Reason.STORE_UNAVAILABLE
        if wall < self._seen - self._back_ms:
            return Reason.CLOCK_BEHIND
        return max(wall, self._seen)

    def at_mark(self) -> int:
        """The time of what has to be written even so: it stands still where the clock is behind."""
        return max(self._clock.now_ms(), self._seen)

    def told(self, now: int) -> bool:
        """Note that transactions were given this time; whether the mark in the file is due to be raised."""
        self._seen = now
        return now >= self._marked + HIGH_WATER_EVERY_MS

    def marked(self, now: int) -> None:
        """The file holds this mark now."""
        self._marked = now
