"""Operations on the server's clock: how it stands, and the reset of its mark, which raises a fence (B11)."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from leverlock.admin.accounts import Nothing
from leverlock.admin.desk import Desk
from leverlock.app import clock, fence
from leverlock.domain.fence import Fence
from leverlock.ports import Store, Transaction, World

AT_ONCE: Final = 200  # accounts whose transactions wait for one commit together

_log = structlog.get_logger("leverlock.admin")


async def show_clock(desk: Desk, _wanted: Nothing) -> dict[str, Any]:
    now_ms = desk.clock.now_ms()
    found = await desk.store.read(lambda tx: clock.standing(tx, now_ms=now_ms))
    return {
        "now": found.now_ms,
        "mark": found.mark_ms,
        "behind_ms": found.behind_ms,
        "verifies": not found.behind and found.fence is None,
        "fence": None if found.fence is None else found.fence.number,
    }


class ResetClock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`mark` is the high-water mark that the operator was shown."""

    mark: int


async def reset_clock(desk: Desk, wanted: ResetClock) -> dict[str, Any]:
    now_ms, limits = desk.clock.now_ms(), desk.world.limits
    raised = await desk.store.run_at_mark(
        lambda tx: clock.begin_reset(tx, now_ms=now_ms, mark_ms=wanted.mark, limits=limits, by=desk.by)
    )
    accounts = await carry_on(desk.store, desk.world, raised, by=desk.by)
    await desk.store.run_at_mark(clock.note_right)
    return {"fence": raised.number, "accounts": accounts, "now": raised.now_ms, "step": raised.step}


async def carry_on(store: Store, world: World, raised: Fence, *, by: str) -> int:
    """Raise a fence that was begun, from its first account; how many there are. Interrupted, it is called again."""
    _log.error("fence_rising", fence=raised.number, because=raised.because.value, by=by)
    done, after = 0, ""
    while page := await store.read(partial(_page, after=after)):
        await asyncio.gather(
            *(store.run_at_mark(partial(_one, world=world, raised=raised, account_id=name, by=by)) for name in page)
        )
        done, after = done + len(page), page[-1]
    await store.run_at_mark(lambda tx: fence.finish(tx, raised, accounts=done, by=by))
    _log.error("fence_stands", fence=raised.number, accounts=done)
    return done


def _page(tx: Transaction, *, after: str) -> list[str]:
    return [account.account_id for account in tx.accounts(after=after, limit=AT_ONCE)]


def _one(tx: Transaction, *, world: World, raised: Fence, account_id: str, by: str) -> None:
    fence.fence_account(tx, world, raised, account_id=account_id, by=by)
