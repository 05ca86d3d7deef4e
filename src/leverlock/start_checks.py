"""What a start looks at before anything is verified: the clock, a fence that was interrupted, a restored backup."""

from __future__ import annotations

from functools import partial
from typing import Final

import structlog

from leverlock.admin.clock import carry_on
from leverlock.app.fence import begin, rising
from leverlock.app.history import adopt, note_lost
from leverlock.checkpoints import CheckpointMaker
from leverlock.clock_watch import ClockWatch
from leverlock.domain.fence import Because
from leverlock.ports import Clock, Store, World

BY: Final = "server:start"

_log = structlog.get_logger("leverlock.server")


async def settle(store: Store, world: World, clock: Clock, checkpoints: CheckpointMaker) -> None:
    """Leave nothing half done, and nothing alive that an older database has forgotten to be spent (B11, B96).

    The fence shuts everything before the history is taken over: interrupted in between, the next start goes on.
    Raises CheckpointBroken where the checkpoint file is none of this database's, and what the store raises.
    """
    await ClockWatch(store, clock).look()
    lost = await checkpoints.lost()
    raised = await store.read(rising)
    if lost is not None:
        _log.error("database_older_than_checkpoints", whole=lost.whole.number, checkpoints=lost.last.number)
        if raised is None:
            now_ms = clock.now_ms()
            raised = await store.run_at_mark(partial(begin, because=Because.RESTORED, now_ms=now_ms, by=BY))
        await store.run_at_mark(partial(note_lost, lost=lost, by=BY))
        await store.run_at_mark(partial(adopt, lost=lost))
    if raised is not None:
        await carry_on(store, world, raised, by=BY)
