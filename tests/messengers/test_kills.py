"""`kill -9` at the two points where a message could be lost or doubled (B39, C7)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from aiohttp import web

from leverlock.domain.messages import Channel
from leverlock.store.host import SystemClock
from world import Deployment

from .delivering import delivering, mail, waiting, webhooks
from .receivers import HttpReceiver, MailReceiver, until

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
MAILBOX = "alice@example.com"


async def mortal(folder: Path, where: str, *targets: str) -> asyncio.subprocess.Process:
    """A server in a process of its own, which has committed a change of factor."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "messengers.mortal",
        str(folder),
        where,
        *targets,
        stdout=asyncio.subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    said = await asyncio.wait_for(process.stdout.readline(), 60)
    assert said == b"committed\n"
    return process


@pytest.mark.bar("B39")
def test_killed_between_commit_and_send_both_addresses_are_told_after_the_restart(tmp_path: Path) -> None:
    async def run() -> None:
        with MailReceiver() as post:
            async with HttpReceiver() as receiver:
                dead = await mortal(tmp_path, "commit", receiver.url(), MAILBOX)
                assert await asyncio.wait_for(dead.wait(), 30) == -signal.SIGKILL
                assert not receiver.calls
                assert not post.mails
                with Deployment.open(tmp_path, clock=SystemClock()) as restarted:
                    told = {message.channel: message for message in waiting(restarted)}
                    assert {message.kind for message in told.values()} == {"authenticator.bound"}
                    both = {Channel.WEBHOOK: webhooks(restarted), Channel.EMAIL: mail(post.port)}
                    async with delivering(restarted, both):
                        await until(lambda: not waiting(restarted))
                    assert [call.id for call in receiver.calls] == [told[Channel.WEBHOOK].message_id]
                    assert [letter["Message-ID"] for letter in post.mails] == [
                        f"<{told[Channel.EMAIL].message_id}@venue.example>"
                    ]

    asyncio.run(run())


@pytest.mark.bar("B39")
def test_killed_between_send_and_mark_it_is_sent_again_under_the_same_id(tmp_path: Path) -> None:
    async def run() -> None:
        victim: list[int] = []
        alive = asyncio.Event()

        async def kill(_request: web.Request) -> web.Response:
            await alive.wait()
            if len(receiver.calls) == 1:
                os.kill(victim[0], signal.SIGKILL)
            return web.Response(status=204)

        receiver = HttpReceiver({"/hook": kill})
        async with receiver:
            process = await mortal(tmp_path, "send", receiver.url())
            victim.append(process.pid)
            alive.set()
            assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
            with Deployment.open(tmp_path, clock=SystemClock()) as restarted:
                [message] = waiting(restarted)
                async with delivering(restarted):
                    await until(lambda: not waiting(restarted))
            assert [call.id for call in receiver.calls] == [message.message_id] * 2
            assert receiver.calls[0].body == receiver.calls[1].body

    asyncio.run(run())
