"""Operations on the keyring: how it stands, a new key with every secret sealed anew under it, the end of the old."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from leverlock.admin.accounts import Nothing
from leverlock.admin.desk import Desk
from leverlock.app import reseal
from leverlock.app.reseal import Resealed
from leverlock.domain.authenticator import StoredSecret
from leverlock.domain.errors import Reason, Refused
from leverlock.ports import SealBroken, Transaction
from leverlock.store.sealing import KeyringError

PAGE: Final = 100  # accounts whose transactions wait for one commit together

_log = structlog.get_logger("leverlock.admin")


async def show(desk: Desk, _wanted: Nothing) -> dict[str, Any]:
    counts = await desk.store.read(lambda tx: tx.sealed_versions())
    return {
        "current": desk.keyring.current,
        "versions": [{"version": version, "secrets": counts.get(version, 0)} for version in desk.keyring.versions],
        # A key that is gone: nothing can open these any more.
        "lost": sum(count for version, count in counts.items() if version not in desk.keyring.versions),
    }


async def rotate(desk: Desk, _wanted: Nothing) -> dict[str, Any]:
    """Make a new key, unless an earlier rotation is not finished yet: then that one goes on."""
    current, counts = desk.keyring.current, await desk.store.read(lambda tx: tx.sealed_versions())
    unfinished = sum(count for version, count in counts.items() if version != current)
    if unfinished and len(desk.keyring.versions) > 1:
        return {"version": current, "new": False, "secrets": unfinished}
    await desk.store.run(partial(reseal.note_rotation, version=current + 1, by=desk.by))
    try:
        version = desk.keyring.add_key()
    except KeyringError as problem:
        raise Refused(Reason.CONFLICT, str(problem)) from None
    _log.warning("keyring_rotated", version=version, by=desk.by)
    return {"version": version, "new": True, "secrets": sum(counts.values())}


class Reseal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of the rotation: the accounts behind the id `after`."""

    after: str = ""


async def reseal_some(desk: Desk, wanted: Reseal) -> dict[str, Any]:
    """Seal a page of accounts anew. `next` is where to go on; None once the last account is done."""
    page = await desk.store.read(
        lambda tx: [account.account_id for account in tx.accounts(after=wanted.after, limit=PAGE)]
    )
    done = await asyncio.gather(*(_reseal(desk, account_id) for account_id in page))
    told: dict[str, Any] = {
        "accounts": len(page),
        "resealed": sum(one.count for one in done),
        "broken": [name for one in done for name in one.broken],
        "next": page[-1] if len(page) == PAGE else None,
    }
    if told["next"] is None:
        left = await _left(desk)
        told["left"] = left.openable
        if not left.openable:
            await desk.store.run(partial(reseal.note_done, version=desk.keyring.current))
    return told


@dataclass(frozen=True, slots=True)
class Left:
    """Secrets under an older key: those that still open, and those that no key opens."""

    openable: int
    broken: int


async def _left(desk: Desk) -> Left:
    """What is left behind. Only where something is does every account have to be looked at."""
    current = desk.keyring.current
    counts = await desk.store.read(lambda tx: tx.sealed_versions())
    if set(counts) <= {current}:
        return Left(0, 0)
    opens, after = Counter[bool](), ""
    while page := await desk.store.read(partial(_left_behind, after=after, current=current)):
        for stored in (one for _, found in page for one in found):
            opens[_opens(desk, stored)] += 1
        after = page[-1][0]
    return Left(opens[True], opens[False])


def _left_behind(tx: Transaction, *, after: str, current: int) -> list[tuple[str, list[StoredSecret]]]:
    names = [account.account_id for account in tx.accounts(after=after, limit=PAGE)]
    return [(name, tx.sealed_secrets(name, other_than=current)) for name in names]


def _opens(desk: Desk, stored: StoredSecret) -> bool:
    try:
        desk.world.sealer.open(stored.secret, context=stored.context)
    except SealBroken:
        return False
    return True


async def _reseal(desk: Desk, account_id: str) -> Resealed:
    """Most accounts of a rotation that goes on are done: they cost a look and no commit."""
    current = desk.keyring.current
    if not await desk.store.read(lambda tx: tx.sealed_secrets(account_id, other_than=current)):
        return Resealed(0, ())

    def work(tx: Transaction) -> Resealed:
        return reseal.reseal_account(tx, desk.world, account_id=account_id, by=desk.by)

    return await desk.store.run(work)


async def retire(desk: Desk, _wanted: Nothing) -> dict[str, Any]:
    """Forget every key but the current one. A backup of the database from before it can then not be opened any more."""
    current = desk.keyring.current
    older = [version for version in desk.keyring.versions if version != current]
    if not older:
        raise Refused(Reason.CONFLICT, "there is no older key")
    left = await _left(desk)
    if left.openable:
        raise Refused(Reason.CONFLICT, f"{left.openable} secrets still need an older key; rotate first")
    begin = partial(reseal.begin_retirement, version=current, retired=older, broken=left.broken, by=desk.by)
    await desk.store.run(begin)
    try:
        desk.keyring.drop_older_keys()
    except KeyringError as problem:
        raise Refused(Reason.CONFLICT, str(problem)) from None
    _log.warning("keyring_retired", current=current, retired=older, by=desk.by)
    return {"current": current, "retired": older}
