"""The outbox: what was committed is delivered, at least once, under one id, whoever is slow, down or killed."""

from __future__ import annotations

import asyncio
import sqlite3
import time

import pytest
from aiohttp import web

from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.messages import Channel, Message
from leverlock.messengers.outbox import BACK_OFF, BEHIND_MS, LANE_MOST
from leverlock.ports import DeliveryFailed
from world import Deployment, Owner, order

from .delivering import delivering, mail, reach, waiting, webhooks
from .receivers import HttpReceiver, MailReceiver, until


def put(deployment: Deployment, name: str, target: str, *, life_ms: int = 300_000) -> Message:
    """A committed message."""

    def use_case(tx: object) -> Message:
        now = tx.now  # type: ignore[attr-defined]
        message = Message(
            "acc_x", name, Channel.WEBHOOK, target, "key.created", b'{"type":"key.created"}', now, now + life_ms
        )
        tx.put_message(message)  # type: ignore[attr-defined]
        return message

    return deployment.run(use_case)


def rows(deployment: Deployment) -> list[tuple[str, int, int | None, str]]:
    """(id, attempts, next try, reason) of everything that is not delivered."""
    with sqlite3.connect(deployment.path) as raw:
        return raw.execute("SELECT message_id, attempts, next_at, reason FROM outbox ORDER BY message_id").fetchall()


def ids(receiver: HttpReceiver, path: str = "/hook") -> list[str]:
    return [call.id for call in receiver.at(path)]


# -- the ring --------------------------------------------------------------------------------------------------------
def ringing(live: Deployment, receiver: HttpReceiver) -> Owner:
    alice = live.owner(enrolled=[Environment.FUTURES])
    reach(alice, Channel.WEBHOOK, receiver.url())
    return alice


@pytest.mark.parametrize("woken", [True, False])
def test_a_challenge_rings_within_two_seconds_of_its_commit(live: Deployment, woken: bool) -> None:
    """Also when another process committed it and nobody wakes this one."""

    async def run() -> float:
        async with HttpReceiver() as receiver, delivering(live) as outbox:
            alice = await asyncio.to_thread(ringing, live, receiver)
            await asyncio.to_thread(alice.asked, order(leverage=75))
            if woken:
                outbox.wake()
            return await until(lambda: len(receiver.calls) == 1)

    assert asyncio.run(run()) < (0.4 if woken else 2.0)


def test_one_intent_rings_once_on_every_channel(live: Deployment) -> None:
    async def run() -> None:
        with MailReceiver() as post:
            async with HttpReceiver() as receiver:
                both = {Channel.WEBHOOK: webhooks(live), Channel.EMAIL: mail(post.port)}
                async with delivering(live, both) as outbox:
                    alice = await asyncio.to_thread(ringing, live, receiver)
                    reach(alice, Channel.EMAIL, "alice@example.com")
                    for _ in range(5):
                        await asyncio.to_thread(alice.asked, order(leverage=75))
                    await asyncio.to_thread(alice.asked, order(quantity="2"))
                    outbox.wake()
                    await until(lambda: len(receiver.calls) >= 2 and len(post.mails) >= 2)
                    await until(lambda: not rows(live))
                assert len(receiver.calls) == 2
                assert len(post.mails) == 2
                assert len({call.id for call in receiver.calls} | {m["Message-ID"] for m in post.mails}) == 4

    asyncio.run(run())


# -- receivers that are down, slow, broken or gone -------------------------------------------------------------------
def test_what_fails_is_tried_again_with_growing_pauses_under_one_id(deployment: Deployment) -> None:
    async def run() -> None:
        async with HttpReceiver({"/hook": 500}) as receiver, delivering(deployment) as outbox:
            put(deployment, "msg_1", receiver.url(), life_ms=86_400_000)
            for tries, pause in enumerate(BACK_OFF, start=1):
                outbox.wake()
                await until(lambda tries=tries: rows(deployment)[0][1] == tries)
                [(_, _, next_at, reason)] = rows(deployment)
                assert next_at == deployment.clock.now_ms() + pause
                assert reason == "HTTP 500"
                deployment.clock.tick(pause - 1)
                outbox.wake()
                assert not await asyncio.to_thread(waiting, deployment)
                deployment.clock.tick(1)
            receiver.answers["/hook"] = 204
            outbox.wake()
            await until(lambda: not rows(deployment))
            assert ids(receiver) == ["msg_1"] * (len(BACK_OFF) + 1)

    asyncio.run(run())


def test_a_receiver_that_was_down_gets_it_when_it_is_back(deployment: Deployment) -> None:
    async def run() -> None:
        async with HttpReceiver() as first:
            port = first.port
        put(deployment, "msg_1", first.url())
        async with delivering(deployment) as outbox:
            await until(lambda: rows(deployment)[0][1] == 1)
            async with HttpReceiver(port=port) as again:
                deployment.clock.tick(BACK_OFF[0])
                outbox.wake()
                await until(lambda: not rows(deployment))
                assert ids(again) == ["msg_1"]

    asyncio.run(run())


def test_a_receiver_that_wants_no_more_is_not_called_again(deployment: Deployment) -> None:
    async def run() -> None:
        async with HttpReceiver({"/hook": 410}) as receiver, delivering(deployment) as outbox:
            put(deployment, "msg_1", receiver.url())
            outbox.wake()
            await until(lambda: rows(deployment)[0][1] == 1)
            assert rows(deployment) == [("msg_1", 1, None, "HTTP 410")]
            deployment.clock.tick(200_000)
            outbox.wake()
            put(deployment, "msg_2", receiver.url("/other"))
            outbox.wake()
            await until(lambda: len(receiver.at("/other")) == 1)
            assert ids(receiver) == ["msg_1"]

    asyncio.run(run())


def test_nothing_is_sent_after_it_expired(deployment: Deployment) -> None:
    async def run() -> None:
        async with HttpReceiver({"/hook": 503}) as receiver, delivering(deployment) as outbox:
            put(deployment, "msg_short", receiver.url(), life_ms=BACK_OFF[0] + BACK_OFF[1] - 1)
            put(deployment, "msg_stale", receiver.url("/stale"), life_ms=0)
            outbox.wake()
            await until(lambda: [row[1] for row in rows(deployment)] == [1, 1])
            deployment.clock.tick(BACK_OFF[0])
            outbox.wake()
            await until(lambda: [row[2] for row in rows(deployment)] == [None, None])
            assert ids(receiver) == ["msg_short"] * 2
            assert not receiver.at("/stale")
            assert [row[3] for row in rows(deployment)] == ["expired; last: HTTP 503", "expired"]

    asyncio.run(run())


@pytest.mark.bar("B98")
def test_receivers_that_hang_do_not_delay_the_others(deployment: Deployment) -> None:
    """Many messages for one that hangs, and many that hang: a good receiver is still reached at once."""

    async def run() -> float:
        release = asyncio.Event()

        async def hang(_request: web.Request) -> web.Response:
            await release.wait()
            return web.Response(status=204)

        async with HttpReceiver({f"/hang{n}": hang for n in range(20)}) as receiver, delivering(deployment) as outbox:
            for number in range(LANE_MOST * 2):
                put(deployment, f"msg_a{number:03}", receiver.url("/hang0"))
            for number in range(1, 20):
                put(deployment, f"msg_b{number:03}", receiver.url(f"/hang{number}"))
            outbox.wake()
            await until(lambda: {call.path for call in receiver.calls} == {f"/hang{n}" for n in range(20)})
            began = time.monotonic()
            put(deployment, "msg_good", receiver.url("/good"))
            outbox.wake()
            await until(lambda: bool(receiver.at("/good")))
            took = time.monotonic() - began
            assert len(receiver.at("/hang0")) == 2
            release.set()
            await until(lambda: len(rows(deployment)) == LANE_MOST)
            late = rows(deployment)
            assert {row[2] for row in late} == {deployment.clock.now_ms() + BEHIND_MS}
            deployment.clock.tick(BEHIND_MS)
            outbox.wake()
            await until(lambda: not rows(deployment))
            assert sorted(ids(receiver, "/hang0")) == [f"msg_a{n:03}" for n in range(LANE_MOST * 2)]
            return took

    assert asyncio.run(run()) < 2.0


def test_many_messages_for_many_receivers_all_arrive_once(deployment: Deployment) -> None:
    async def run() -> None:
        async with HttpReceiver() as receiver, delivering(deployment) as outbox:
            for number in range(300):
                put(deployment, f"msg_{number:03}", receiver.url(f"/r{number % 30}"))
            outbox.wake()
            await until(lambda: not rows(deployment))
            assert sorted(call.id for call in receiver.calls) == [f"msg_{n:03}" for n in range(300)]
            assert outbox.tally.delivered == 300

    asyncio.run(run())


class Faulty:
    """A messenger with a fault of its own."""

    async def deliver(self, message: Message) -> None:
        if message.message_id == "msg_bad":
            raise ZeroDivisionError
        raise DeliveryFailed("x" * 5_000)


def test_a_fault_in_a_messenger_costs_a_try_and_not_the_outbox(deployment: Deployment) -> None:
    async def run() -> None:
        put(deployment, "msg_bad", "http://x.example")
        put(deployment, "msg_long", "http://y.example")
        async with delivering(deployment, {Channel.WEBHOOK: Faulty()}):
            await until(lambda: [row[1] for row in rows(deployment)] == [1, 1])
        assert [row[3] for row in rows(deployment)] == ["ZeroDivisionError", "x" * 200]

    asyncio.run(run())


def test_a_channel_that_is_not_set_up_keeps_its_messages(deployment: Deployment) -> None:
    async def run() -> None:
        async with HttpReceiver() as receiver:
            put(deployment, "msg_1", receiver.url())
            async with delivering(deployment, {}):
                await until(lambda: rows(deployment)[0][1] == 1)
            deployment.clock.tick(BACK_OFF[0])
            async with delivering(deployment):
                await until(lambda: not rows(deployment))
            assert ids(receiver) == ["msg_1"]

    asyncio.run(run())


# -- our own troubles ------------------------------------------------------------------------------------------------
def test_a_database_that_is_away_costs_no_message_and_doubles_none(deployment: Deployment) -> None:
    """The file is locked after the receiver has taken the message and before it could be marked."""

    async def run() -> None:
        blocker = sqlite3.connect(deployment.path, isolation_level=None, check_same_thread=False)

        async def take(_request: web.Request) -> web.Response:
            blocker.execute("BEGIN IMMEDIATE")
            return web.Response(status=204)

        async with HttpReceiver({"/hook": take}) as receiver, delivering(deployment) as outbox:
            put(deployment, "msg_1", receiver.url())
            outbox.wake()
            await until(lambda: len(receiver.calls) == 1)
            with pytest.raises(Refused) as refused:
                await deployment.store.run(lambda tx: tx.set_setting("x", "y"))
            assert refused.value.reason is Reason.STORE_UNAVAILABLE
            outbox.wake()
            blocker.execute("ROLLBACK")
            await until(lambda: not rows(deployment))
            put(deployment, "msg_2", receiver.url("/other"))
            outbox.wake()
            await until(lambda: len(receiver.at("/other")) == 1)
            assert ids(receiver) == ["msg_1"]
        blocker.close()

    asyncio.run(run())


def test_a_clock_that_runs_behind_stops_the_outbox_only_while_it_does(deployment: Deployment) -> None:
    async def run() -> None:
        async with HttpReceiver() as receiver, delivering(deployment) as outbox:
            deployment.run(lambda tx: tx.now)
            deployment.clock.tick(2_000)
            put(deployment, "msg_1", receiver.url("/first"))
            await until(lambda: not rows(deployment))
            put(deployment, "msg_2", receiver.url())
            deployment.clock.tick(-600_000)
            with pytest.raises(Refused):
                await outbox.look()
            deployment.clock.tick(600_000)
            await until(lambda: "msg_2" in ids(receiver))

    asyncio.run(run())


def test_it_stops_within_a_second_while_a_receiver_hangs_and_sends_it_again_later(deployment: Deployment) -> None:
    async def run() -> None:
        release = asyncio.Event()

        async def hang(_request: web.Request) -> web.Response:
            await release.wait()
            return web.Response(status=204)

        async with HttpReceiver({"/hook": hang}) as receiver:
            async with delivering(deployment) as outbox:
                put(deployment, "msg_1", receiver.url())
                outbox.wake()
                await until(lambda: len(receiver.calls) == 1)
                began = time.monotonic()
            assert time.monotonic() - began < 1.0
            release.set()
            assert len(rows(deployment)) == 1
            async with delivering(deployment):
                await until(lambda: not rows(deployment))
            assert ids(receiver) == ["msg_1", "msg_1"]

    asyncio.run(run())
