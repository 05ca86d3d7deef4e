"""The floor of P3: plain uvicorn that forwards every call through the same HTTP client, with no check at all.

python -m bench.bare_forwarding VENUE_URL
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import aiohttp
import uvicorn
import uvloop
from yarl import URL

from bench.processes import say_ready


class Forwarding:
    """The whole application."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self._base = base
        self._session = session

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        target = scope["raw_path"].decode("ascii")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("ascii")
        key = next((value for name, value in scope["headers"] if name == b"x-mbx-apikey"), b"")
        headers = {"X-MBX-APIKEY": key.decode("ascii"), "Content-Type": "application/x-www-form-urlencoded"}
        async with self._session.request(
            scope["method"],
            URL(self._base + target, encoded=True),
            data=body or None,
            headers=headers,
            allow_redirects=False,
        ) as answer:
            read = await answer.read()
            kind = answer.headers.get("Content-Type", "")
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(read))],
            }
        )
        await send({"type": "http.response.body", "body": read})


async def serve(base: str) -> None:
    connector = aiohttp.TCPConnector(limit=100)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    ) as session:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        config = uvicorn.Config(
            Forwarding(base, session),
            http="httptools",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
        )
        say_ready(port=listener.getsockname()[1])
        await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1]))
