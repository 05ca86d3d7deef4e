"""Webhooks: signed as Standard Webhooks say, sent where they may go and nowhere else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from leverlock.domain.messages import Channel, Message
from leverlock.messengers.destinations import Destinations, NotAllowed
from leverlock.messengers.webhook_secret import shown_secret, webhook_secret
from leverlock.ports import DeliveryFailed
from world import Deployment

from .delivering import LOOPBACK, webhooks
from .receivers import HttpReceiver


def ring(target: str, now_ms: int, **body: object) -> Message:
    document = json.dumps({"type": "challenge.waiting", "challenge": "ch_1", **body}, ensure_ascii=False).encode()
    return Message("acc_x", "msg_abc", Channel.WEBHOOK, target, "challenge.waiting", document, now_ms, now_ms + 60_000)


def attempt(
    deployment: Deployment,
    receiver: HttpReceiver,
    *,
    path: str = "/hook",
    destinations: Destinations = LOOPBACK,
    timeout: float = 10,
    make: Callable[[str, int], Message] = ring,
) -> DeliveryFailed | None:
    """Deliver one message; how it failed, or None."""

    async def run() -> DeliveryFailed | None:
        messenger = webhooks(deployment, destinations=destinations, timeout=timeout)
        async with receiver:
            try:
                await messenger.deliver(make(receiver.url(path), deployment.clock.now_ms()))
            except DeliveryFailed as failed:
                return failed
            finally:
                await messenger.close()
        return None

    return asyncio.run(run())


def test_a_receiver_can_verify_it_with_the_secret_it_was_shown(live: Deployment) -> None:
    receiver = HttpReceiver()
    assert attempt(live, receiver) is None
    [call] = receiver.calls
    verified = Webhook(shown_secret(webhook_secret(live.sealer, "acc_x"))).verify(call.body, call.headers)
    assert verified["type"] == "challenge.waiting"
    assert verified["data"] == {"account": "acc_x", "challenge": "ch_1"}
    assert call.id == "msg_abc"
    assert call.headers["content-type"] == "application/json"


def test_no_other_account_secret_and_no_other_text_verifies(live: Deployment) -> None:
    receiver = HttpReceiver()
    attempt(live, receiver)
    [call] = receiver.calls
    with pytest.raises(WebhookVerificationError):
        Webhook(webhook_secret(live.sealer, "acc_y")).verify(call.body, call.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(webhook_secret(live.sealer, "acc_x")).verify(call.body.replace(b"ch_1", b"ch_2"), call.headers)


@pytest.mark.bar("B39")
def test_a_retry_has_the_same_id_and_text_and_the_time_of_its_own_attempt(live: Deployment) -> None:
    receiver = HttpReceiver()
    attempt(live, receiver)
    attempt(live, receiver, make=lambda url, now: replace(ring(url, now), created_at=now, attempts=2))
    first, second = receiver.calls
    assert first.id == second.id
    assert json.loads(first.body)["data"] == json.loads(second.body)["data"]
    assert int(second.headers["webhook-timestamp"]) >= int(first.headers["webhook-timestamp"])


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_2xx_is_delivered(deployment: Deployment, status: int) -> None:
    assert attempt(deployment, HttpReceiver({"/hook": status})) is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_an_answer_that_it_is_not_wanted_is_final(deployment: Deployment, status: int) -> None:
    failed = attempt(deployment, HttpReceiver({"/hook": status}))
    assert failed is not None
    assert failed.final


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_trouble_is_tried_again(deployment: Deployment, status: int) -> None:
    failed = attempt(deployment, HttpReceiver({"/hook": status}))
    assert failed is not None
    assert not failed.final


@pytest.mark.bar("B98")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(deployment: Deployment, status: int) -> None:
    async def redirect(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"location": "/elsewhere"})

    receiver = HttpReceiver({"/hook": redirect})
    failed = attempt(deployment, receiver)
    assert failed is not None
    assert not failed.final
    assert [call.path for call in receiver.calls] == ["/hook"]


@pytest.mark.bar("B98")
def test_a_receiver_that_hangs_is_left_in_time(deployment: Deployment) -> None:
    async def hang(_request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    failed = attempt(deployment, HttpReceiver({"/hook": hang}), timeout=0.3)
    assert failed is not None
    assert not failed.final
    assert "Timeout" in str(failed)


@pytest.mark.bar("B98")
def test_an_endless_answer_is_not_read(deployment: Deployment) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 1024)
            await asyncio.sleep(0.01)

    assert attempt(deployment, HttpReceiver({"/hook": drip}), timeout=5) is None


def test_a_receiver_that_is_down_is_tried_again(deployment: Deployment) -> None:
    async def run() -> DeliveryFailed:
        async with HttpReceiver() as receiver:
            url = receiver.url()
        messenger = webhooks(deployment)
        try:
            with pytest.raises(DeliveryFailed) as failed:
                await messenger.deliver(ring(url, deployment.clock.now_ms()))
        finally:
            await messenger.close()
        return failed.value

    assert not asyncio.run(run()).final


@pytest.mark.bar("B98")
def test_a_proxy_of_the_environment_is_not_used(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert attempt(deployment, HttpReceiver()) is None


# -- where it may go -------------------------------------------------------------------------------------------------
@pytest.mark.bar("B98")
@pytest.mark.parametrize(
    "target",
    [
        "http://hooks.example/x",
        "ftp://hooks.example/x",
        "https://",
        "https:///x",
        "https://user:word@hooks.example/x",
        "https://hooks.example/x#y",
        "https://127.0.0.1/x",
        "https://127.9.9.9:8443/x",
        "https://10.1.2.3/x",
        "https://172.16.0.1/x",
        "https://192.168.1.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/x",
        "https://0.0.0.0/x",
        "https://224.0.0.1/x",
        "https://255.255.255.255/x",
        "https://[::1]/x",
        "https://[::]/x",
        "https://[fe80::1]/x",
        "https://[fd00::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://[2002:7f00:1::]/x",
        "https://[ff02::1]/x",
        "https://hooks.example/x\r\nHost: y",
        "https://hooks.exämple/x",
        "https://hooks.example:99999/x",
        "https://hooks.example/" + "x" * 3000,
        "",
    ],
)
def test_an_address_of_our_own_network_is_refused_as_it_stands(target: str) -> None:
    with pytest.raises(NotAllowed):
        Destinations().judged(target)


def test_a_public_address_over_https_passes() -> None:
    assert Destinations().judged("https://hooks.example:8443/x?y=z").host == "hooks.example"
    assert Destinations().judged("https://93.184.215.14/x").host == "93.184.215.14"
    assert Destinations().judged("https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/x").port == 443


@pytest.mark.bar("B98")
@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1"])
def test_a_name_that_leads_to_our_own_network_is_refused(deployment: Deployment, host: str) -> None:
    """The text is harmless; what it resolves to is not, and nothing is sent there."""

    async def run() -> tuple[DeliveryFailed, int]:
        async with HttpReceiver() as receiver:
            messenger = webhooks(deployment, destinations=Destinations())
            target = f"https://{host}:{receiver.port}/x"
            try:
                with pytest.raises(DeliveryFailed) as failed:
                    await messenger.deliver(ring(target, deployment.clock.now_ms()))
            finally:
                await messenger.close()
            return failed.value, len(receiver.calls)

    failed, calls = asyncio.run(run())
    assert failed.final
    # What looks like a number is refused by the client; what is a name, by the judgement of its addresses.
    assert str(failed) == ("not a webhook address" if host[0].isdigit() and "x" not in host else "private address")
    assert calls == 0


@pytest.mark.bar("B98")
def test_an_allow_list_names_the_only_hosts(deployment: Deployment) -> None:
    listed = Destinations(hosts=frozenset({"127.0.0.1"}), allow_private=True)
    assert attempt(deployment, HttpReceiver(), destinations=listed) is None
    other = Destinations(hosts=frozenset({"hooks.example"}), allow_private=True)
    receiver = HttpReceiver()
    failed = attempt(deployment, receiver, destinations=other)
    assert failed is not None
    assert failed.final
    assert not receiver.calls
    with pytest.raises(NotAllowed):
        other.judged("https://hooks.example.evil.example/x")
    assert other.judged("https://HOOKS.example./x")


def test_the_client_is_aiohttp_with_its_own_redirects_off() -> None:
    """The tests above rest on this: a client that follows would show a second call."""

    async def run() -> int:
        async def redirect(_request: web.Request) -> web.Response:
            return web.Response(status=302, headers={"location": "/elsewhere"})

        async with HttpReceiver({"/hook": redirect}) as receiver, aiohttp.ClientSession() as following:
            async with following.post(receiver.url()):
                pass
            return len(receiver.calls)

    assert asyncio.run(run()) == 2
