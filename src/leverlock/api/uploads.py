"""Bodies that are documents: read once their caller is known, a few at a time, and never past their limit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from leverlock.api.endpoint import Call
from leverlock.api.problems import Edge, EdgeRefused
from leverlock.api.reading import read_query
from leverlock.domain.errors import Reason, Refused

AT_ONCE: Final = 4  # over all callers: each holds a document's bytes in memory, and its picture while it is cleaned
ANY_BYTES: Final = "application/octet-stream"


class Uploads:
    """The turns of those who send documents."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._senders: set[str] = set()

    @asynccontextmanager
    async def turn(self, sender: str) -> AsyncIterator[None]:
        """One of a few places, and one for each session. Raises EdgeRefused(BUSY) where there is none."""
        if len(self._senders) >= AT_ONCE or sender in self._senders:
            raise EdgeRefused(Edge.BUSY)
        self._senders.add(sender)
        try:
            yield
        finally:
            self._senders.discard(sender)

    async def read(self, call: Call, scope: Any, receive: Any) -> None:
        """Body, type and query of an upload. Raises Refused: MALFORMED, NOT_A_DOCUMENT; EdgeRefused."""
        call.query = read_query(scope["query_string"], call.endpoint.query)
        kinds = [value for name, value in scope["headers"] if name == b"content-type"]
        call.media = kinds[0].decode("latin-1").strip().lower() if len(kinds) == 1 else ""
        if call.media not in (*call.endpoint.takes, ANY_BYTES):
            raise Refused(Reason.NOT_A_DOCUMENT, f"declare it as {' or '.join(call.endpoint.takes)}")
        declared = [value for name, value in scope["headers"] if name == b"content-length"]
        if len(declared) == 1 and declared[0].isdigit() and int(declared[0]) > self._most:
            raise self._too_large()
        call.raw = await self._body(receive)
        if not call.raw:
            raise Refused(Reason.MALFORMED, "the body is empty", field="$")

    async def _body(self, receive: Any) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(Reason.MALFORMED, "the body broke off", field="$")
            body += message.get("body", b"")
            if len(body) > self._most:
                raise self._too_large()
            if not message.get("more_body"):
                return bytes(body)

    def _too_large(self) -> EdgeRefused:
        return EdgeRefused(Edge.DOCUMENT_TOO_LARGE, detail=f"A document has at most {self._most} bytes.")
