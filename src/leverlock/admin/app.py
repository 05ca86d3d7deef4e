"""The admin socket's application: `POST /<operation>` with a JSON body, and `GET /` to ask whether somebody is there.

It stands on a Unix socket of mode 600 and on nothing else: whoever can open it could open the database and the keyring
as well, so the file's mode is the whole permission.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog

from leverlock.admin.desk import Desk
from leverlock.admin.operations import perform
from leverlock.correlation import begin
from leverlock.domain.errors import Reason, Refused

BODY_LIMIT: Final = 64 * 1024
PRODUCT: Final = "leverlock"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = structlog.get_logger("leverlock.admin")


class AdminApp:
    """An ASGI application over the table of operations."""

    def __init__(self, desk: Desk, *, about: dict[str, Any]) -> None:
        """`about`: what `GET /` tells, such as the addresses of the other doors."""
        self._desk = desk
        self._about = about

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begin()
        status, answer = await self._answer(scope["method"], scope["path"].removeprefix("/"), receive)
        body = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, method: str, name: str, receive: Receive) -> tuple[int, dict[str, Any]]:
        if method == "GET" and not name:
            return 200, {"product": PRODUCT, "pid": os.getpid(), **self._about}
        if method != "POST":
            return 405, refusal(Refused(Reason.UNKNOWN_ACTION, "operations are asked for with POST"))
        try:
            return 200, await perform(self._desk, name, await _body(receive))
        except Refused as problem:
            _log.info("refused", operation=name[:64], reason=problem.reason.value)
            return 409, refusal(problem)
        except Exception:
            _log.exception("failed", operation=name[:64])
            return 500, refusal(Refused(Reason.STORE_UNAVAILABLE, "the server failed; its log says how"))


def refusal(problem: Refused) -> dict[str, Any]:
    """A refusal as JSON; the client makes the same exception of it."""
    return {"refused": problem.reason.value, "detail": problem.detail, "field": problem.field}


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(Reason.MALFORMED, "the caller went away")
        body += bytes(message.get("body", b""))
        if len(body) > BODY_LIMIT:
            raise Refused(Reason.MALFORMED, "the request is too large")
        if not message.get("more_body"):
            return body
