"""What runs beside the requests: the outbox, the checkpoint of every minute, the sweep and the pruning.

Each is a loop of its own: when one fails it is logged, waits and begins anew, and the others never notice. Of the
processes on one store only one runs them, the one that holds the lock file; the others stand by and take over within a
second when it is gone, however it went.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from leverlock.app.sweep import sweep_account
from leverlock.checkpoints import CheckpointMaker
from leverlock.clock_watch import LOOK_SECONDS, ClockWatch
from leverlock.messengers.outbox import POLL_SECONDS, Outbox
from leverlock.ports import Clock, Store, World

SWEEP_SECONDS: Final = 5.0
SWEEP_ACCOUNTS: Final = 100  # looked at in one pass; the next one follows at once while there are more
PRUNE_SECONDS: Final = 60.0
PRUNE_ROWS: Final = 1_000  # of each table, in one transaction
CHECKPOINT_SECONDS: Final = 60.0  # B90
RETRY_SECONDS: Final = 1.0  # after a failure, before the same work is tried again
TURN_SECONDS: Final = 0.5  # how often a process that stands by looks whether it is its turn
STALE_FACTOR: Final = 3  # a loop that has not come round for this many of its intervals is not well

log = structlog.get_logger("leverlock.background")

Work = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Chore:
    """Recurring work. `work` returns True when there is more to do right now; `every` is in seconds.

    `woken` cuts the pause short; `close` ends what the work has left under way.
    """

    name: str
    every: float
    work: Work
    woken: asyncio.Event | None = None
    close: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How a loop is, for `/readyz`. `trouble` is empty when it is well, `last_ok_ms` is None before the first time."""

    name: str
    well: bool
    last_ok_ms: int | None
    trouble: str


def standard_chores(
    store: Store, world: World, *, outbox: Outbox, checkpoints: CheckpointMaker, watch: ClockWatch
) -> list[Chore]:
    """What every deployment runs."""

    async def seal() -> bool:
        await checkpoints.make()
        return False

    return [
        Chore("outbox", POLL_SECONDS, outbox.look, woken=outbox.woken, close=outbox.close),
        Chore("checkpoint", CHECKPOINT_SECONDS, seal),
        Chore("clock", LOOK_SECONDS, watch.look),
        Chore("sweep", SWEEP_SECONDS, lambda: sweep(store, world)),
        Chore("prune", PRUNE_SECONDS, lambda: prune(store)),
    ]


async def sweep(store: Store, world: World) -> bool:
    """Write down what time has ended, one account per transaction. An account that fails does not stop the rest."""
    accounts = await store.read(lambda tx: tx.overdue_accounts(limit=SWEEP_ACCOUNTS))
    troubles: list[Exception] = []
    for account_id in accounts:
        try:
            await store.run(partial(sweep_account, world=world, account_id=account_id))
        except Exception as trouble:
            log.warning("sweep_failed", account=account_id, trouble=str(trouble))
            troubles.append(trouble)
    if troubles:
        raise troubles[0]
    return len(accounts) == SWEEP_ACCOUNTS


async def prune(store: Store) -> bool:
    """Delete a bounded number of rows that nothing needs any more."""
    return await store.run(lambda tx: tx.prune(limit=PRUNE_ROWS)) >= PRUNE_ROWS


class Background:
    """Runs chores from `start` to `stop`. A chore that hangs is shown as unwell; it is never run twice at once."""

    def __init__(self, chores: Sequence[Chore], *, clock: Clock, lock_file: Path) -> None:
        self._chores = tuple(chores)
        self._clock = clock
        self._lock_file = lock_file
        self._supervisor: asyncio.Task[None] | None = None
        self._standing_by = False
        self._since_ms: int | None = None
        self._ok_ms: dict[str, int] = {}
        self._trouble: dict[str, str] = {}

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._supervisor = asyncio.create_task(self._supervise(), name="leverlock-background")

    async def stop(self) -> None:
        """End every loop; what a delivery has under way gets half a second."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None

    @property
    def standing_by(self) -> bool:
        """Whether another process does the work."""
        return self._standing_by

    def health(self) -> list[Health]:
        """How each loop is. While another process does the work, all are well here."""
        return [self._health_of(chore) for chore in self._chores]

    def _health_of(self, chore: Chore) -> Health:
        last_ok = self._ok_ms.get(chore.name)
        trouble = self._trouble.get(chore.name, "")
        if self._standing_by:
            return Health(chore.name, True, last_ok, "")
        if self._since_ms is None or self._supervisor is None or self._supervisor.done():
            trouble = trouble or "not running"
        elif not trouble:
            late_by = self._clock.now_ms() - max(last_ok or 0, self._since_ms)
            if late_by > STALE_FACTOR * 1000 * max(chore.every, RETRY_SECONDS):
                trouble = "it does not come round any more"
        return Health(chore.name, not trouble, last_ok, trouble)

    async def _supervise(self) -> None:
        with Turn(self._lock_file) as turn:
            while not self._has(turn):  # noqa: ASYNC110 - a lock of another process tells nobody when it is free
                await asyncio.sleep(TURN_SECONDS)
            self._since_ms = self._clock.now_ms()
            async with asyncio.TaskGroup() as group:
                for chore in self._chores:
                    group.create_task(self._repeat(chore), name=f"leverlock-{chore.name}")

    def _has(self, turn: Turn) -> bool:
        try:
            taken = turn.take()
        except OSError as trouble:
            for chore in self._chores:
                self._trouble[chore.name] = f"the lock file: {trouble}"
            return False
        self._standing_by = not taken
        return taken

    async def _repeat(self, chore: Chore) -> None:
        try:
            while True:
                await self._pause(chore, await self._once(chore))
        finally:
            if chore.close is not None:
                try:
                    await chore.close()
                except Exception:
                    log.exception("chore_not_closed", chore=chore.name)

    async def _once(self, chore: Chore) -> float:
        """Do the work once; how many seconds to wait then."""
        if chore.woken is not None:
            chore.woken.clear()
        try:
            more = await chore.work()
        except Exception as trouble:
            told = f"{type(trouble).__name__}: {trouble}"
            anew = self._trouble.get(chore.name) != told
            self._trouble[chore.name] = told
            log.warning("chore_failed", chore=chore.name, trouble=told, exc_info=anew)
            return min(RETRY_SECONDS, chore.every)
        if self._trouble.pop(chore.name, None) is not None:
            log.info("chore_well_again", chore=chore.name)
        self._ok_ms[chore.name] = self._clock.now_ms()
        return 0 if more else chore.every

    async def _pause(self, chore: Chore, seconds: float) -> None:
        if chore.woken is None or not seconds:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(chore.woken.wait(), seconds)


class Turn:
    """A lock file that one process holds at a time; the kernel takes it from one that ended, however."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether it is ours now. Raises OSError when the file cannot be made."""
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
