"""The gateway's side of ASGI: a call's headers and whole body, and the answer on its way back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from leverlock.gateway.refusals import Answer

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BODY_LIMIT: Final = 64 * 1024


class BodyTooLarge(Exception):
    """More than any call of the dialect needs. The protocol below refuses it first; this one does not rely on that."""


def header(scope: Scope, name: bytes) -> str:
    """The value of a header by its lower-case name, empty where it was not sent. The protocol lets one pass, once."""
    for sent, value in scope["headers"]:
        if sent == name:
            return str(value.decode("latin-1"))
    return ""


def peer(scope: Scope) -> str:
    """The address at the other end of the connection; whatever headers say about it is nobody's word (B71)."""
    client = scope.get("client")
    return str(client[0]) if client else ""


async def whole_body(receive: Receive) -> bytes | None:
    """The body, None when the client went away. Raises BodyTooLarge."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > BODY_LIMIT:
            raise BodyTooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def send_answer(send: Send, answer: Answer) -> None:
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def lifespan(receive: Receive, send: Send) -> None:
    """Nothing is started or stopped here: bootstrap opens what the gateway is joined to."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
