"""Operations on legacy keys: the date on which their sparing ends, and what would break if it were today (M21)."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from leverlock.admin.desk import Desk, account_named
from leverlock.app import legacy_keys
from leverlock.domain.errors import Reason, Refused
from leverlock.ports import Transaction

PAGE = 200


class LegacyEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`at`: server milliseconds; None takes the date away. Without `account` it is for all, those to come included."""

    at: int | None
    account: str | None = None


async def end_legacy(desk: Desk, wanted: LegacyEnd) -> dict[str, Any]:
    """Set the date. Whoever is interrupted gives the command again: an account that has the date is left alone."""
    if wanted.account is not None:
        name = wanted.account
        account_id = await desk.store.read(lambda tx: account_named(tx, name))
        return {"at": wanted.at, "accounts": 1, "keys": await _date(desk, account_id, wanted.at)}
    await desk.store.run(partial(legacy_keys.set_date_for_all, ends_at=wanted.at, by=desk.by))
    accounts, keys, after = 0, 0, ""
    while page := await desk.store.read(partial(_page, after=after)):
        for account_id in page:
            dated = await _date(desk, account_id, wanted.at)
            accounts, keys = accounts + bool(dated), keys + dated
        after = page[-1]
    return {"at": wanted.at, "accounts": accounts, "keys": keys}


async def _date(desk: Desk, account_id: str, ends_at: int | None) -> int:
    """How many keys it concerns. An account without legacy keys costs a look and no commit."""

    def concerned(tx: Transaction) -> bool:
        return any(k.legacy and k.live and k.legacy_ends_at != ends_at for k in tx.keys(account_id))

    if not await desk.store.read(concerned):
        return 0
    date = partial(legacy_keys.set_date, world=desk.world, account_id=account_id, ends_at=ends_at, by=desk.by)
    return len(await desk.store.run(date))


def _page(tx: Transaction, *, after: str) -> list[str]:
    return [account.account_id for account in tx.accounts(after=after, limit=PAGE)]


class LegacyReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one account, or a page of all behind the id `after`."""

    days: int = 30
    account: str | None = None
    after: str = ""


async def legacy_report(desk: Desk, wanted: LegacyReport) -> dict[str, Any]:
    """Which legacy keys did, in the last days, what they would be challenged for if the sparing ended."""
    if not 1 <= wanted.days <= 90:
        raise Refused(Reason.MALFORMED, "days are counted from 1 to 90", field="days")

    def found(tx: Transaction) -> tuple[list[dict[str, Any]], str | None]:
        if wanted.account is not None:
            names, following = [account_named(tx, wanted.account)], None
        else:
            names = _page(tx, after=wanted.after)
            following = names[-1] if len(names) == PAGE else None
        return [told for name in names for told in _told(tx, name, wanted.days)], following

    keys, following = await desk.store.read(found)
    return {"days": wanted.days, "keys": keys, "next": following}


def _told(tx: Transaction, account_id: str, days: int) -> list[dict[str, Any]]:
    return [
        {
            "account": account_id,
            "key": key.key_id,
            "label": key.label,
            "legacy_ends_at": key.legacy_ends_at,
            "uses": [{"action": use.action, "uses": use.uses, "last_at": use.last_at} for use in uses],
        }
        for key, uses in legacy_keys.report(tx, account_id=account_id, days=days)
    ]
