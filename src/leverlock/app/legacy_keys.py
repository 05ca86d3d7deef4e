"""Legacy keys: older than the account's first Futures protection, they go on unchallenged until edited (M21).

An operator may set a date for the end of that, for one account or for all. It holds from that very moment, swept or
not; the owner is told when it is set, a week before, a day before, and when it comes.
"""

from __future__ import annotations

from typing import Final

from leverlock.app.notices import notify
from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.api_key import ApiKey, LegacyUse
from leverlock.domain.audit import SWEEPER, AuditEvent, EventKind
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import DAY
from leverlock.ports import Transaction, World

ENDS_AT: Final = "legacy_ends_at"  # the setting with the date for accounts that have none of their own yet
LEADS_MS: Final = (7 * DAY, 1 * DAY)  # how long before the end the first and the second notice go out


def note_legacy_keys(tx: Transaction, *, account_id: str, by: str) -> tuple[str, ...]:
    """Mark the keys that exist when Futures protection is first enabled; their ids."""
    ends_at = _date(tx.setting(ENDS_AT))
    legacy = tx.mark_keys_legacy(account_id, ends_at=ends_at)
    for key_id in legacy:
        tx.record(AuditEvent(EventKind.KEY_BECAME_LEGACY, by, {"key": key_id, "ends_at": ends_at}))
    return tuple(legacy)


def set_date_for_all(tx: Transaction, *, ends_at: int | None, by: str) -> None:
    """The date for accounts whose keys become legacy from now on. None: there is no date."""
    tx.lock_account(SYSTEM_ACCOUNT)
    _must_lie_ahead(tx, ends_at)
    if ends_at is None:
        tx.drop_setting(ENDS_AT)
    else:
        tx.set_setting(ENDS_AT, str(ends_at))
    tx.record(AuditEvent(EventKind.KEY_LEGACY_DATED, by, {"ends_at": ends_at}))


def set_date(tx: Transaction, world: World, *, account_id: str, ends_at: int | None, by: str) -> list[str]:
    """End the sparing of an account's legacy keys at `ends_at`, or take the date away; the keys it concerns."""
    tx.lock_account(account_id)
    _must_lie_ahead(tx, ends_at)
    dated = tx.date_legacy_keys(account_id, ends_at=ends_at)
    for key_id in dated:
        tx.record(AuditEvent(EventKind.KEY_LEGACY_DATED, by, {"key": key_id, "ends_at": ends_at}))
    if dated:
        tx.note_change(account_id)
        kind = "key.legacy_date_removed" if ends_at is None else "key.legacy_ends"
        notify(tx, world, account_id, kind=kind, keys=" ".join(dated), ends_at=ends_at or 0)
    return dated


def due_accounts(tx: Transaction, *, limit: int) -> list[str]:
    """Accounts for which `sweep_legacy` has something to do."""
    first, second = LEADS_MS
    return tx.legacy_accounts(until=tx.now + first, soon=tx.now + second, limit=limit)


def sweep_legacy(tx: Transaction, world: World, *, account_id: str) -> int:
    """Write down what has ended and tell what will end soon; how many keys it concerned."""
    tx.lock_account(account_id)
    ended = tx.end_legacy_keys(account_id)
    for key_id in ended:
        tx.record(AuditEvent(EventKind.KEY_LEGACY_ENDED, SWEEPER, {"key": key_id}))
    if ended:
        tx.note_change(account_id)
        notify(tx, world, account_id, kind="key.legacy_ended", keys=" ".join(ended))
    touched = len(ended)
    for number in range(len(LEADS_MS), 0, -1):  # the later notice first: it makes the earlier one needless
        ending = tx.tell_legacy_keys(account_id, until=tx.now + LEADS_MS[number - 1], told=number)
        if ending:
            ends_at = min(k.legacy_ends_at or 0 for k in tx.keys(account_id) if k.key_id in ending)
            notify(tx, world, account_id, kind="key.legacy_ends", keys=" ".join(ending), ends_at=ends_at)
        touched += len(ending)
    return touched


def report(tx: Transaction, *, account_id: str, days: int) -> list[tuple[ApiKey, list[LegacyUse]]]:
    """Every live legacy key, with what it did in the last `days` that would have been challenged."""
    uses = tx.legacy_uses(account_id, since=tx.now - days * DAY)
    return [
        (key, [use for use in uses if use.key_id == key.key_id])
        for key in tx.keys(account_id)
        if key.legacy_at(tx.now) and key.live
    ]


def _must_lie_ahead(tx: Transaction, ends_at: int | None) -> None:
    if ends_at is not None and ends_at < tx.now:
        raise Refused(Reason.MALFORMED, "the date lies in the past", field="at")


def _date(stored: str | None) -> int | None:
    return None if stored is None else int(stored)
