"""Messages to the owner: rings for a waiting challenge and notices of security events (semantics 13, B39)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Channel(StrEnum):
    """A way to reach the owner. Each has one messenger."""

    EMAIL = "email"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a channel reaches one account: a mail address or a URL."""

    account_id: str
    address_id: str
    channel: Channel
    target: str


@dataclass(frozen=True, slots=True)
class Message:
    """A committed message. `message_id` stays the same over every retry, so that a receiver can drop doubles (C7).

    `body` is what happened, as JSON bytes; each messenger puts it into its own form. It never holds a code.
    """

    account_id: str
    message_id: str
    channel: Channel
    target: str
    kind: str
    body: bytes
    created_at: int
    expires_at: int
    attempts: int = 0
