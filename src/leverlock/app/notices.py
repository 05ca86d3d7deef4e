"""What the owner is told: rings for waiting challenges and notices of security events (semantics 13, B39).

Both are written in the transaction of the change itself and delivered after its commit, one message per address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from leverlock.domain.challenge import Challenge
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.limits import DAY
from leverlock.domain.messages import Address, AddressState, Message
from leverlock.domain.wording import describe
from leverlock.ports import Transaction, World

NOTICE_LIFE_MS = 7 * DAY  # how long delivery is tried; a notice of a changed factor is worth having late


def ring(tx: Transaction, world: World, challenge: Challenge) -> None:
    """Tell the owner that something waits: the whole action, who asks, its expiry, a link, never a code."""
    described = describe(challenge.intent, challenge.facts)
    body = {
        "type": "challenge.waiting",
        "challenge": challenge.challenge_id,
        "url": world.approval_url.format(challenge=challenge.challenge_id),
        "expires_at": challenge.expires_at,
        "asked_by": challenge.principal,
        "action": challenge.action,
        "headline": described.headline,
        "lines": [list(line) for line in described.lines],
    }
    serving = [one for one in tx.addresses(challenge.account_id) if one.state is AddressState.SERVING]
    for message in _messages(tx, world, serving, body, expires_at=challenge.expires_at):
        tx.put_message(message)


def notify(tx: Transaction, world: World, account_id: str, *, kind: str, **details: str | int) -> None:
    """Tell the owner of a security event, at every address he has and, for a week more, at those he had."""
    notify_until(tx, world, account_id, kind=kind, until=tx.now + NOTICE_LIFE_MS, details=details)


def notify_until(
    tx: Transaction, world: World, account_id: str, *, kind: str, until: int, details: Mapping[str, str | int]
) -> None:
    """The same, for what is worth nothing any more from then on."""
    told = [one for one in tx.addresses(account_id) if one.is_told_at(tx.now)]
    for message in _messages(tx, world, told, {"type": kind, "at": tx.now, **details}, expires_at=until):
        tx.put_message(message)


def notices(tx: Transaction, world: World, account_id: str, *, kind: str, **details: str | int) -> list[Message]:
    """The messages of `notify`, not yet written."""
    told = [one for one in tx.addresses(account_id) if one.is_told_at(tx.now)]
    body = {"type": kind, "at": tx.now, **details}
    return _messages(tx, world, told, body, expires_at=tx.now + NOTICE_LIFE_MS)


def send(
    tx: Transaction,
    world: World,
    address: Address,
    *,
    kind: str,
    expires_at: int,
    details: Mapping[str, str | int],
) -> None:
    """Write to one address alone what is for its reader and nobody else."""
    for message in _messages(tx, world, [address], {"type": kind, "at": tx.now, **details}, expires_at=expires_at):
        tx.put_message(message)


def _messages(
    tx: Transaction, world: World, addresses: Sequence[Address], body: dict[str, Any], *, expires_at: int
) -> list[Message]:
    encoded = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return [
        Message(
            account_id=address.account_id,
            message_id=make_id("msg", world.entropy.bytes(ID_BYTES)),
            channel=address.channel,
            target=address.target,
            kind=body["type"],
            body=encoded,
            created_at=tx.now,
            expires_at=expires_at,
        )
        for address in addresses
    ]
