"""Joins the settings of the channels to their messengers; a part of `bootstrap`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from leverlock.app.case_link import completed
from leverlock.app.mailed_secrets import with_secret
from leverlock.config import Settings
from leverlock.domain.messages import Channel, Message
from leverlock.messengers.chat import ChatMessenger
from leverlock.messengers.completing import Completing
from leverlock.messengers.destinations import Destinations
from leverlock.messengers.email import EmailMessenger, EmailSettings, Tls
from leverlock.messengers.webhook import WebhookMessenger
from leverlock.messengers.webhook_secret import webhook_secret
from leverlock.ports import Clock, Messenger, Sealer, Store, World
from leverlock.sms_section import SmsSection
from leverlock.sms_setup import SmsSetupError, sms_messenger


class CannotDeliver(Exception):
    """A channel cannot be used with these settings; the message says why."""


async def open_messengers(
    settings: Settings, world: World, clock: Clock, stack: AsyncExitStack, *, store: Store, api_url: str
) -> dict[Channel, Messenger]:
    """A messenger for every channel that the settings can reach; `stack` closes them. Raises CannotDeliver."""

    smtp, hooks = settings.smtp, settings.webhook
    sealer = world.sealer
    webhook = WebhookMessenger(
        destinations=Destinations(frozenset(hooks.hosts), hooks.allow_private),
        secret_of=lambda account_id: webhook_secret(sealer, account_id),
        clock=clock,
        connect_timeout=hooks.connect_seconds,
        timeout=hooks.timeout_seconds,
    )
    stack.push_async_callback(webhook.close)
    found: dict[Channel, Messenger] = {Channel.WEBHOOK: webhook}
    chat = settings.chat
    if chat.services:
        talker = ChatMessenger(services=frozenset(chat.services), issuer=world.issuer, timeout=chat.timeout_seconds)
        stack.push_async_callback(talker.close)
        found[Channel.CHAT] = talker
    if smtp.host is not None and smtp.sender is not None:
        mail = EmailSettings(
            host=smtp.host,
            port=smtp.port,
            sender=smtp.sender,
            tls=Tls(smtp.tls),
            username=smtp.username,
            password=None if smtp.password is None else smtp.password.get_secret_value(),
            ca_file=smtp.ca_file,
            timeout=smtp.timeout_seconds,
        )
        try:
            found[Channel.EMAIL] = EmailMessenger(mail, issuer=world.issuer)
        except (ValueError, OSError) as problem:
            raise CannotDeliver(f"mail cannot be sent with these settings: {problem}") from None
    completing = {channel: Completing(messenger, partial(_whole, sealer)) for channel, messenger in found.items()}
    return {**completing, **_sms(settings.sms, sealer, stack, store=store, api_url=api_url)}


def _sms(
    settings: SmsSection, sealer: Sealer, stack: AsyncExitStack, *, store: Store, api_url: str
) -> dict[Channel, Messenger]:
    """What an SMS says is sealed and whole: nothing is completed in it."""
    if not settings.enabled:
        return {}
    try:
        messenger = sms_messenger(settings, store=store, sealer=sealer, api_url=api_url)
    except SmsSetupError as problem:
        raise CannotDeliver(str(problem)) from None
    stack.push_async_callback(messenger.close)
    return {Channel.SMS: messenger}


def _whole(sealer: Sealer, message: Message) -> Message:
    """A message with what only its reader may have."""
    return with_secret(sealer, completed(sealer, message))
