"""SMS: opens what the outbox holds sealed and hands it to the first provider that takes it (B19).

Every try of a message carries the same text and the same reference. A provider that fails, hangs or answers nonsense is
passed over for the next one in the list; what none of them took stays in the outbox until its code has expired.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from leverlock.domain.authenticator import SealedSecret
from leverlock.domain.messages import Message
from leverlock.domain.sms_code import message_context
from leverlock.domain.sms_text import size_of
from leverlock.ports import DeliveryFailed, SealBroken, Sealer

log = structlog.get_logger("leverlock.sms")


@dataclass(frozen=True, slots=True)
class Sms:
    """One SMS on its way. `reference` is ours and stays the same over every try; `receipt_url` takes its receipt."""

    number: str = field(repr=False)
    text: str = field(repr=False)
    reference: str
    unicode: bool
    receipt_url: str = field(repr=False)


class SmsProvider(Protocol):
    """Somebody who takes SMS."""

    @property
    def name(self) -> str: ...
    async def send(self, sms: Sms) -> str:
        """Hand it over; the provider's own id of it, or nothing. Raises DeliveryFailed."""
        ...

    async def close(self) -> None: ...


ReceiptUrl = Callable[[Message, str], str]
HandedOver = Callable[[Message, str, str], Awaitable[None]]


class SmsMessenger:
    """`ports.Messenger` over a list of providers, tried in order.

    `receipt_url` is where a provider tells what became of a message; `handed_over` is told who took it, under which id.
    """

    def __init__(
        self, providers: Sequence[SmsProvider], *, sealer: Sealer, receipt_url: ReceiptUrl, handed_over: HandedOver
    ) -> None:
        self._providers = tuple(providers)
        self._sealer = sealer
        self._receipt_url = receipt_url
        self._handed_over = handed_over

    async def deliver(self, message: Message) -> None:
        """Raises DeliveryFailed when no provider took it; final when each said that trying again is useless."""
        number, text = self._opened(message)
        failures: list[DeliveryFailed] = []
        for provider in self._providers:
            sms = Sms(
                number, text, message.message_id, size_of(text).unicode, self._receipt_url(message, provider.name)
            )
            try:
                provider_id = await provider.send(sms)
            except DeliveryFailed as failure:
                log.warning("sms_not_taken", message=message.message_id, provider=provider.name, reason=str(failure))
                failures.append(failure)
                continue
            await self._note(message, provider.name, provider_id)
            return
        reasons = "; ".join(
            f"{provider.name}: {failure}" for provider, failure in zip(self._providers, failures, strict=True)
        )
        raise DeliveryFailed(reasons, final=all(failure.final for failure in failures))

    async def close(self) -> None:
        for provider in self._providers:
            await provider.close()

    def _opened(self, message: Message) -> tuple[str, str]:
        try:
            sealed = SealedSecret.from_bytes(message.body)
            opened = json.loads(
                self._sealer.open(sealed, context=message_context(message.account_id, message.message_id))
            )
        except (SealBroken, ValueError, IndexError):
            raise DeliveryFailed("its seal is broken", final=True) from None
        return opened["number"], opened["text"]

    async def _note(self, message: Message, provider: str, provider_id: str) -> None:
        try:
            await self._handed_over(message, provider, provider_id)
        except Exception as trouble:
            # It was sent: failing now would send it a second time, for a note.
            log.warning("sms_not_noted", message=message.message_id, provider=provider, trouble=str(trouble))
