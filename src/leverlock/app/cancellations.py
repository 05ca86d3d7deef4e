"""What a cancel link stops, by the prefix of the id it names: one table. Whoever holds the link may stop, no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from leverlock.app.cancel_link import read_cancel_link
from leverlock.app.pending import cancel_change
from leverlock.app.recovery_cases import cancel as cancel_case
from leverlock.app.security_keys import disown
from leverlock.app.sms_approval import stop_sms
from leverlock.app.sms_proof import STOP as STOP_SMS
from leverlock.domain.errors import Reason, Refused
from leverlock.ports import Transaction, World

LINK: Final = "link:"  # the principal behind a cancel link

Stop = Callable[[Transaction, World, str, str], object]


def cancel_by_link(tx: Transaction, world: World, *, token: str) -> str:
    """Stop what the link names; the prefix of what it was. Raises Refused: UNKNOWN_ID, CONFLICT."""
    account_id, target = read_cancel_link(world, token)
    prefix = target.partition("_")[0]
    stop = STOPS.get(prefix)
    if stop is None:
        raise Refused(Reason.UNKNOWN_ID)
    stop(tx, world, account_id, target)
    return prefix


def _change(tx: Transaction, world: World, account_id: str, target: str) -> None:
    cancel_change(tx, world, account_id=account_id, change_id=target, by=LINK)


def _case(tx: Transaction, world: World, account_id: str, target: str) -> None:
    cancel_case(tx, world, account_id=account_id, case_id=target, by=LINK)


def _sms(tx: Transaction, world: World, account_id: str, target: str) -> None:
    stop_sms(tx, world, account_id, target, by=LINK)


def _security_key(tx: Transaction, world: World, account_id: str, target: str) -> None:
    disown(tx, world, account_id=account_id, key_id=target, by=LINK)


STOPS: Final[dict[str, Stop]] = {"chg": _change, "case": _case, STOP_SMS: _sms, "sk": _security_key}
