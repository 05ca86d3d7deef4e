"""The outbox of a test's deployment, run as a server runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from leverlock.app import accounts
from leverlock.background import Background, Chore
from leverlock.domain.messages import Channel, Message
from leverlock.messengers.destinations import Destinations
from leverlock.messengers.email import EmailMessenger, EmailSettings, Tls
from leverlock.messengers.outbox import POLL_SECONDS, Outbox
from leverlock.messengers.webhook import WebhookMessenger
from leverlock.messengers.webhook_secret import webhook_secret
from leverlock.ports import Messenger
from world import Deployment, Owner

LOOPBACK = Destinations(allow_private=True)


def webhooks(deployment: Deployment, *, destinations: Destinations = LOOPBACK, timeout: float = 10) -> WebhookMessenger:
    return WebhookMessenger(
        destinations=destinations,
        secret_of=lambda account_id: webhook_secret(deployment.sealer, account_id),
        clock=deployment.clock,
        timeout=timeout,
    )


def mail(port: int) -> EmailMessenger:
    settings = EmailSettings(host="127.0.0.1", port=port, sender="security@venue.example", tls=Tls.UNSAFE_NONE)
    return EmailMessenger(settings, issuer="Leverlock")


@asynccontextmanager
async def delivering(
    deployment: Deployment, messengers: Mapping[Channel, Messenger] | None = None
) -> AsyncIterator[Outbox]:
    """Run an outbox; without `messengers`, with webhooks alone."""
    chosen = {Channel.WEBHOOK: webhooks(deployment)} if messengers is None else messengers
    outbox = Outbox(deployment.store, chosen, clock=deployment.clock)
    chore = Chore("outbox", POLL_SECONDS, outbox.look, woken=outbox.woken, close=outbox.close)
    background = Background([chore], clock=deployment.clock, lock_file=deployment.path.with_suffix(".lock"))
    background.start()
    try:
        yield outbox
    finally:
        await background.stop()
        for messenger in chosen.values():
            if isinstance(messenger, WebhookMessenger):
                await messenger.close()


def reach(owner: Owner, channel: Channel, target: str) -> None:
    """Give the owner an address on a channel."""
    deployment = owner.deployment
    deployment.run(
        lambda tx: accounts.set_address(
            tx, deployment.world, account_id=owner.account_id, channel=channel, target=target, by="test:"
        )
    )


def waiting(deployment: Deployment) -> list[Message]:
    """What is due and not delivered yet."""
    return deployment.read(lambda tx: tx.due_messages(limit=10_000))
