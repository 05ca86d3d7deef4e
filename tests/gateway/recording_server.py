"""A real uvicorn server on a free loopback port, with an application that records what reaches it."""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from leverlock.gateway.http_protocol import StrictHttpProtocol

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class Recording:
    """`begun`: requests whose head reached the application. `whole`: those whose body was complete too."""

    address: tuple[str, int] = ("", 0)
    begun: list[dict[str, Any]] = field(default_factory=list)
    whole: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)  # `/slow` answers when it is set

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.begun.append(scope)
        if scope["path"] == "/early":  # answers without waiting for the body
            await self._answer(send, b"early")
            return
        body = b""
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event["body"]
            if not event["more_body"]:
                break
        if scope["path"] == "/slow":
            await asyncio.to_thread(self.gate.wait, 10)
        self.whole.append((scope["method"], scope["raw_path"] + b"?" + scope["query_string"], body))
        seen = {
            "client": scope["client"][0],
            "scheme": scope["scheme"],
            "method": scope["method"],
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        }
        await self._answer(send, json.dumps(seen).encode())

    async def _answer(self, send: Send, body: bytes) -> None:
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def recording_server(
    protocol: type[StrictHttpProtocol] = StrictHttpProtocol, loop: str = "uvloop"
) -> Iterator[Recording]:
    recording = Recording()
    listener = socket.create_server(("127.0.0.1", 0))
    recording.address = listener.getsockname()
    config = uvicorn.Config(
        recording, http=protocol, loop=loop, lifespan="off", log_level="warning", proxy_headers=False, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield recording
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive()


def exchange(address: tuple[str, int], *parts: bytes, seconds: float = 5.0) -> bytes:
    """Send `parts` (each in a write of its own) and read until the server closes; the bytes it answered.

    Raises TimeoutError when the server keeps the connection open.
    """
    with socket.create_connection(address, timeout=seconds) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer
