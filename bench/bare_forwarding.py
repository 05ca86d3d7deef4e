"""The floors of P3: plain uvicorn that forwards every call through an HTTP client, with no check at all.

python -m bench.bare_forwarding VENUE_URL aiohttp
python -m bench.bare_forwarding VENUE_URL ours
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import uvicorn
import uvloop
from yarl import URL

from bench.processes import say_ready
from leverlock.gateway.upstream import Answered, Upstream

# Method, target, key, body; status, media type, body.
Forward = Callable[[str, str, str, bytes], Awaitable[tuple[int, str, bytes]]]


class Forwarding:
    """The whole application."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        target = scope["raw_path"].decode("ascii")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("ascii")
        key = next((value for name, value in scope["headers"] if name == b"x-mbx-apikey"), b"")
        status, kind, read = await self._forward(scope["method"], target, key.decode("ascii"), body)
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(read))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": read})


@asynccontextmanager
async def through_aiohttp(base: str) -> AsyncIterator[Forward]:
    """What Python's usual client takes."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=100),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as session:

        async def forward(method: str, target: str, key: str, body: bytes) -> tuple[int, str, bytes]:
            headers = {"X-MBX-APIKEY": key, "Content-Type": "application/x-www-form-urlencoded"}
            url = URL(base + target, encoded=True)
            async with session.request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                read = await answer.read()
                return answer.status, answer.headers.get("Content-Type", ""), read

        yield forward


@asynccontextmanager
async def through_ours(base: str) -> AsyncIterator[Forward]:
    """What the product's own client takes."""
    async with Upstream([base]) as client:

        async def forward(method: str, target: str, key: str, body: bytes) -> tuple[int, str, bytes]:
            answer = await client.send(base, method, target, body=body, headers={"X-MBX-APIKEY": key})
            assert isinstance(answer, Answered), answer
            return answer.status, dict(answer.headers).get("content-type", ""), answer.body

        yield forward


CLIENTS = {"aiohttp": through_aiohttp, "ours": through_ours}


async def serve(base: str, client: str) -> None:
    async with CLIENTS[client](base) as forward:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        config = uvicorn.Config(
            Forwarding(forward), http="httptools", ws="none", lifespan="off", log_level="warning", access_log=False
        )
        say_ready(port=listener.getsockname()[1])
        await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], sys.argv[2]))
