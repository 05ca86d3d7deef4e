"""Links that stop something: in every notice of what a thief could have asked for, good without signing in.

A link names its account and what it stops, and carries a keyed hash of both; nothing is stored. It can only ever stop.
"""

from __future__ import annotations

import hmac

from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import is_id
from leverlock.ports import World

_FORM = "cancel-link-1"


def cancel_link(world: World, account_id: str, target: str) -> str:
    """The token of a link: `<account>.<what it stops>.<hash>`."""
    return f"{account_id}.{target}.{_hash(world, account_id, target)}"


def read_cancel_link(world: World, token: str) -> tuple[str, str]:
    """(account, what it stops). Raises Refused(UNKNOWN_ID) for anything that this deployment did not make."""
    account_id, _, rest = token.partition(".")
    target, _, given = rest.partition(".")
    if not token.isascii() or not is_id("acc", account_id):
        raise Refused(Reason.UNKNOWN_ID)
    if not hmac.compare_digest(_hash(world, account_id, target), given):
        raise Refused(Reason.UNKNOWN_ID)
    return account_id, target


def _hash(world: World, account_id: str, target: str) -> str:
    return world.sealer.mac("cancel-link", f"{_FORM}|{account_id}|{target}".encode()).hex()
