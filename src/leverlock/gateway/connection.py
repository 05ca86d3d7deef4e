"""One kept connection to the venue: a request goes out in one piece, and one whole answer comes back, or none.

The parser is httptools', which is as strict with answers as with requests. What it leaves open is decided here: an
answer has a certain end and a bounded head and body, and nothing comes before it was asked for or after its end. A
connection that broke any of that is closed and never used again; bytes that came too early would be read as the answer
to the next request, another account's order in the worst case (B72).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

import httptools

from leverlock.gateway.outcome import Answered, Outcome, Unknown

HEAD_LIMIT: Final = 32 * 1024  # bytes of an answer's head, those of interim answers and trailers included
HEADER_LIMIT: Final = 128  # lines of it

_PASSED: Final = frozenset({b"content-type", b"content-encoding", b"retry-after"})
_PASSED_PREFIXES: Final = (b"x-mbx-used-weight", b"x-mbx-order-count", b"x-sapi-used-")
_NO_BODY: Final = (204, 304)

_GARBLED: Final = "The venue's answer is not HTTP."
_HEAD_TOO_LARGE: Final = "The head of the venue's answer is too large."
_TOO_LARGE: Final = "The venue's answer is too large."
_NO_END: Final = "The venue's answer has no certain end."
_TOO_MUCH: Final = "The venue said more than was asked."
_SWITCHED: Final = "The venue switched protocols."
_CLOSED: Final = "The venue closed the connection."
_TIMEOUT: Final = "TimeoutError"


class Connection(asyncio.Protocol):
    """A connection to `base`. `gone` is called once, when it has ended or must not be used again."""

    def __init__(self, base: str, answer_limit: int, gone: Callable[[Connection], None]) -> None:
        self.base: Final = base
        self.idle_since = 0.0
        self._answer_limit: Final = answer_limit
        self._gone: Final = gone
        self._loop: Final = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._ended = False
        self._answer: asyncio.Future[Outcome] | None = None  # of the call under way
        self._parser: Any = None
        self._begin()

    def _begin(self) -> None:
        self._status: int | None = None
        self._arrived = 0  # bytes of a head that has not ended
        self._head_size = 0
        self._lines = 0
        self._headers: list[tuple[str, str]] = []
        self._certain_end = False
        self._in_body = False
        self._chunks: list[bytes] = []
        self._size = 0
        self._whole = False
        self._reusable = False
        self._fault = ""

    # -- the pool's side ---------------------------------------------------------------------------------------------
    @property
    def usable(self) -> bool:
        """Whether a request may be sent on it: it is open, and nothing is awaited or left over."""
        return not self._ended and self._answer is None

    def ask(self, request: bytes) -> asyncio.Future[Outcome]:
        """Send a request; the future is done when it is known what became of it. Only for a usable connection."""
        assert self._transport is not None
        self._begin()
        self._parser = httptools.HttpResponseParser(self)
        self._answer = answer = self._loop.create_future()
        self._transport.write(request)
        return answer

    def give_up(self) -> None:
        """The time for an answer is over."""
        self._settle(Unknown(_TIMEOUT, self._status))

    def close(self) -> None:
        """End it now; what was asked on it is unknown."""
        self._settle(Unknown(_CLOSED, self._status))
        self._end()

    # -- the loop's side ---------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self._end()  # nobody has asked, or nobody waits for it any more
            return
        if not self._in_body:
            self._arrived += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fault = self._fault or _SWITCHED
        except httptools.HttpParserError:
            self._fault = self._fault or (_TOO_MUCH if self._whole else _GARBLED)
        if not self._fault and not self._in_body and self._arrived > HEAD_LIMIT:
            self._fault = _HEAD_TOO_LARGE
        if self._fault:
            self._settle(Unknown(self._fault, self._status))
            self._end()
        elif self._whole:
            assert self._status is not None
            self._settle(Answered(self._status, tuple(self._headers), b"".join(self._chunks)))

    def eof_received(self) -> bool:
        self.close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        reason = _CLOSED if exc is None else type(exc).__name__
        self._settle(Unknown(reason, self._status))
        self._end()

    def _settle(self, outcome: Outcome) -> None:
        answer = self._answer
        if answer is None:
            return
        if not answer.done():
            answer.set_result(outcome)
        if isinstance(outcome, Answered) and self._reusable:
            self._answer = None
        else:
            self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._parser = None  # it holds on to us
        if self._transport is not None:
            self._transport.abort()
        self._gone(self)

    # -- callbacks of the parser; an exception in one ends the parse with HttpParserError -----------------------------
    def on_message_begin(self) -> None:
        if self._whole:
            self._reject(_TOO_MUCH)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines += 1
        self._head_size += len(name) + len(value)
        if self._lines > HEADER_LIMIT or self._head_size > HEAD_LIMIT:
            self._reject(_HEAD_TOO_LARGE)
        if self._in_body:  # a trailer
            return
        name = name.lower()
        if name == b"content-length" or (name == b"transfer-encoding" and value.strip().lower() == b"chunked"):
            self._certain_end = True
        elif name in _PASSED or name.startswith(_PASSED_PREFIXES):
            self._headers.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._status = status = int(self._parser.get_status_code())
        if status == 101:
            self._reject(_SWITCHED)
        if status < 200:
            return
        self._in_body = True
        if not self._certain_end and status not in _NO_BODY:
            # It would end with the connection, and could not be told from an answer that was cut.
            self._reject(_NO_END)

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self._answer_limit:
            self._reject(_TOO_LARGE)
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        if not self._in_body:  # an interim answer; the answer follows
            self._headers.clear()
            self._certain_end = False
            self._status = None
            return
        self._whole = True
        self._reusable = bool(self._parser.should_keep_alive())

    def _reject(self, reason: str) -> None:
        self._fault = self._fault or reason
        raise ValueError(reason)
