"""Messages to the owner: rings for a waiting challenge and notices of security events (semantics 13, B39)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from leverlock.domain.errors import Reason, Refused

_MAIL: Final = re.compile(r"[^\s@:<>]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII)
_CHAT = re.compile(r"[a-z][a-z0-9+.-]{1,31}://[!-~]{1,2000}")


class Channel(StrEnum):
    """A way to reach the owner. Each has one messenger."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    CHAT = "chat"  # a service that Apprise knows
    SMS = "sms"  # codes and notices to an enrolled number; it takes no address


class Language(StrEnum):
    """A language in which owners are written to."""

    ENGLISH = "en"
    CHINESE = "zh"


def must_be_target(channel: Channel, target: str) -> None:
    """Raises Refused(MALFORMED) for what is no address of this channel; whether it may be called is judged later."""
    if channel is Channel.SMS:
        raise Refused(Reason.MALFORMED, "a phone is enrolled as a number, not as an address", field="channel")
    if channel is Channel.EMAIL and _MAIL.fullmatch(target) is None:
        raise Refused(Reason.MALFORMED, "expected a mail address such as owner@example.com", field="target")
    if channel is Channel.CHAT and _CHAT.fullmatch(target) is None:
        raise Refused(Reason.MALFORMED, "expected the address of a chat service, such as tgram://…", field="target")
    if channel is Channel.WEBHOOK and not _is_webhook(target):
        raise Refused(Reason.MALFORMED, "expected an https address without user or password", field="target")


def _is_webhook(target: str) -> bool:
    try:
        parts = urlsplit(target)
        host = parts.hostname
    except ValueError:
        return False
    plain = parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost")
    whole = target.isascii() and target.isprintable() and " " not in target
    return whole and bool(host) and "@" not in parts.netloc and (parts.scheme == "https" or plain)


class AddressState(StrEnum):
    """named ──► serving ──► leaving

    NAMED: the owner wants it and it has not answered yet; it is sent its own code and nothing else.
    LEAVING: another took its place; it is told of security events for a week more, and rung for nothing.
    """

    NAMED = "named"
    SERVING = "serving"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a channel reaches one account: a mail address, a URL, or the address of a chat service.

    `until`: when a named or leaving one is over. `replaces`: the address that leaves once a named one serves.
    """

    account_id: str
    address_id: str
    channel: Channel
    target: str
    state: AddressState = AddressState.SERVING
    until: int = 0
    replaces: str = ""

    def is_told_at(self, now_ms: int) -> bool:
        """Whether it is told of security events."""
        return self.state is AddressState.SERVING or (self.state is AddressState.LEAVING and now_ms < self.until)


@dataclass(frozen=True, slots=True)
class Message:
    """A committed message. `message_id` stays the same over every retry, so that a receiver can drop doubles (C7).

    `body` is what happened, as JSON bytes; each messenger puts it into its own form. It never holds a code. An SMS is
    the exception in both: its `target` is the authenticator, and number and text are sealed in its body (B17, B85).
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
