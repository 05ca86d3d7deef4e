"""What bounds the sending of SMS: whoever gets paid by the message must not be able to order any (B18).

Every SMS with a code takes a place under each cap: of its number, its account, the network it was asked from, the
seven digits its number begins with, and the whole deployment. A range to which many are sent and from which few codes
come back is closed until its window has moved on. All of it stands in the database, under keyed hashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leverlock.domain.account import network_of
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits
from leverlock.domain.phone import PhoneNumber
from leverlock.ports import Transaction, World


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` SMS in any window of this length for one `value` of this kind."""

    kind: str
    value: str
    most: int
    window_ms: int


def caps(limits: Limits, *, number: PhoneNumber, account_id: str, source: str) -> Iterator[Cap]:
    """From the narrowest to the widest, so that who has used up his own never reaches those of others."""
    window = limits.sms_window_ms
    yield Cap("pause", number.e164, 1, limits.sms_resend_ms)
    yield Cap("number", number.e164, limits.sms_per_number, window)
    yield Cap("account", account_id, limits.sms_per_account, window)
    yield Cap("source", network_of(source), limits.sms_per_source, window)
    yield Cap("prefix", number.prefix, limits.sms_per_prefix, window)
    yield Cap("deployment", "", limits.sms_per_deployment, window)


def take_place(tx: Transaction, world: World, *, number: PhoneNumber, account_id: str, source: str) -> None:
    """Count one SMS against every cap. Raises Refused(SMS_THROTTLED): then none is counted, because none is sent."""
    limits = world.limits
    for cap in caps(limits, number=number, account_id=account_id, source=source):
        wait = tx.take_sms_slot(_subject(world, cap.kind, cap.value), most=cap.most, window_ms=cap.window_ms)
        if wait is not None:
            raise Refused(Reason.SMS_THROTTLED, retry_after_ms=wait)
    since = tx.now - limits.sms_window_ms
    sent = tx.sms_slots_since(_subject(world, "prefix", number.prefix), since=since)
    verified = tx.sms_slots_since(_subject(world, "verified", number.prefix), since=since)
    if sent > limits.sms_breaker_after and verified * 100 < sent * limits.sms_breaker_percent:
        raise Refused(Reason.SMS_THROTTLED, retry_after_ms=limits.sms_window_ms)


def note_verified(tx: Transaction, world: World, *, number: PhoneNumber) -> None:
    """A code came back from this range. Beyond as many as can be sent to it, it no longer matters."""
    limits = world.limits
    tx.take_sms_slot(
        _subject(world, "verified", number.prefix), most=limits.sms_per_prefix, window_ms=limits.sms_window_ms
    )


def approvals_left(tx: Transaction, world: World, account_id: str) -> int:
    """How many more actions this account may approve by SMS now."""
    limits = world.limits
    used = tx.sms_slots_since(_approvals(world, account_id), since=tx.now - limits.sms_approvals_window_ms)
    return max(limits.sms_approvals - used, 0)


def take_approval(tx: Transaction, world: World, account_id: str) -> None:
    """Count one approval by SMS (semantics 3). Raises Refused(SMS_APPROVALS_SPENT)."""
    limits = world.limits
    wait = tx.take_sms_slot(
        _approvals(world, account_id), most=limits.sms_approvals, window_ms=limits.sms_approvals_window_ms
    )
    if wait is not None:
        raise Refused(Reason.SMS_APPROVALS_SPENT, retry_after_ms=wait)


def _approvals(world: World, account_id: str) -> bytes:
    return _subject(world, "approvals", account_id)


def _subject(world: World, kind: str, value: str) -> bytes:
    """A plain hash of a phone number is undone by trying all of them; this one needs the key."""
    return world.sealer.mac("sms-subject", f"{kind}\0{value}".encode())
