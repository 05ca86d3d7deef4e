"""What legacy keys were spared, counted in memory: an order that nobody is asked about touches no database (B88).

The counts are written now and then, for the report of what would break if the sparing ended. Nothing is decided by
them; what a process had not written yet when it was killed is lost.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from leverlock.domain.api_key import ApiKey, LegacyUse
from leverlock.domain.errors import Refused
from leverlock.ports import Store

KEEP_SECONDS: Final = 30.0
ENTRIES: Final = 10_000  # keys and actions between two writings; more are not counted, and that is said

_log = structlog.get_logger("leverlock.gateway")


class LegacyUses:
    """Counts by key and action."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], tuple[int, int]] = {}
        self._missed = 0

    def note(self, key: ApiKey, action: str, *, now_ms: int) -> None:
        """One action that a key of today's making would have been challenged for."""
        name = (key.account_id, key.key_id, action)
        if name not in self._counts and len(self._counts) >= ENTRIES:
            self._missed += 1
            return
        uses, last_at = self._counts.get(name, (0, 0))
        self._counts[name] = (uses + 1, max(last_at, now_ms))

    async def keep(self, store: Store) -> None:
        """Write what was counted, every so often until cancelled, and at the end once more."""
        try:
            while True:
                await asyncio.sleep(KEEP_SECONDS)
                await self.write(store)
        finally:
            await self.write(store)

    async def write(self, store: Store) -> None:
        """Write what was counted. What cannot be written now is counted on."""
        counts, self._counts = self._counts, {}
        missed, self._missed = self._missed, 0
        if missed:
            _log.warning("legacy_uses_not_counted", uses=missed)
        for (account_id, key_id, action), (uses, last_at) in counts.items():
            use = LegacyUse(account_id, key_id, action, uses, last_at)
            try:
                await store.run(lambda tx, use=use: tx.add_legacy_use(use))  # type: ignore[misc]
            except Refused:
                before, at = self._counts.get((account_id, key_id, action), (0, 0))
                self._counts[account_id, key_id, action] = (before + uses, max(at, last_at))
