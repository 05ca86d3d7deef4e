"""Chat services: what Apprise is given, what it may call, and what a failure comes to. Apprise itself, nothing in its
place: its `json` scheme posts to a server on loopback."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from leverlock.domain.environment import Environment
from leverlock.domain.messages import Channel, Message
from leverlock.messengers.chat import ChatMessenger
from leverlock.ports import DeliveryFailed
from world import NOW_MS, Deployment, order

from .delivering import delivering, reach
from .receivers import HttpReceiver, until

SERVICES = frozenset({"json", "tgram"})


def message(target: str) -> Message:
    body = json.dumps({"type": "key.revoked", "at": NOW_MS, "key": "key_1"}).encode()
    return Message("acc_a", "msg_1", Channel.CHAT, target, "key.revoked", body, NOW_MS, NOW_MS + 60_000)


def attempt(
    receiver: HttpReceiver, target: str | None = None, *, services: frozenset[str] = SERVICES, timeout: float = 10
) -> DeliveryFailed | None:
    """One delivery; None when it went well."""

    async def run() -> DeliveryFailed | None:
        async with receiver:
            messenger = ChatMessenger(services=services, issuer="Leverlock", timeout=timeout)
            try:
                await messenger.deliver(message(target or f"json://127.0.0.1:{receiver.port}/hook"))
            except DeliveryFailed as failure:
                return failure
            finally:
                await messenger.close()
        return None

    return asyncio.run(run())


@pytest.mark.bar("B39")
def test_a_waiting_challenge_rings_in_a_chat_within_two_seconds(live: Deployment) -> None:
    receiver = HttpReceiver()
    owner = live.owner(enrolled=[Environment.FUTURES])

    async def run() -> float:
        async with receiver:
            reach(owner, Channel.CHAT, f"json://127.0.0.1:{receiver.port}/chat")
            messenger = ChatMessenger(services=SERVICES, issuer="Leverlock")
            async with delivering(live, {Channel.CHAT: messenger}):
                asked = await asyncio.to_thread(owner.asked, order())
                took = await until(lambda: bool(receiver.at("/chat")))
                said = json.loads(receiver.at("/chat")[-1].body)
                assert "approve?" in said["title"]
                assert asked.challenge_id in said["message"]
            await messenger.close()
            return took

    assert asyncio.run(run()) < 2


def test_the_letter_is_what_a_mail_would_say() -> None:
    receiver = HttpReceiver()
    assert attempt(receiver) is None
    [call] = receiver.calls
    said = json.loads(call.body)
    assert said["title"] == "Leverlock: An API key of your account was revoked"
    assert "key: key_1" in said["message"]
    assert "never contains a code" in said["message"]


@pytest.mark.bar("B98")
@pytest.mark.parametrize(
    "target", ["xml://127.0.0.1:{port}/hook", "jsons", "", "http://127.0.0.1:{port}/", "file:///etc/passwd", "json:/x"]
)
def test_a_scheme_that_the_deployment_does_not_use_is_never_called(target: str) -> None:
    receiver = HttpReceiver()

    async def run() -> DeliveryFailed:
        async with receiver:
            messenger = ChatMessenger(services=SERVICES, issuer="Leverlock")
            with pytest.raises(DeliveryFailed) as failed:
                await messenger.deliver(message(target.format(port=receiver.port)))
            await messenger.close()
            return failed.value

    failure = asyncio.run(run())
    assert failure.final
    assert "127.0.0.1" not in str(failure)
    assert receiver.calls == []


def test_what_is_no_address_of_its_service_is_final() -> None:
    failure = attempt(HttpReceiver(), "tgram://")
    assert failure is not None
    assert failure.final


@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_a_refusal_is_tried_again(status: int) -> None:
    failure = attempt(HttpReceiver({"/hook": status}))
    assert failure is not None
    assert not failure.final


def test_a_service_that_hangs_is_left() -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1.5)
        return web.Response()

    failure = attempt(HttpReceiver({"/hook": hang}), timeout=0.2)
    assert failure is not None
    assert not failure.final
