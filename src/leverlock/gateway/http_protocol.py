"""HTTP/1.1 as this server speaks it: one strict form, everything else is 400 and the end of the connection.

Request smuggling lives on messages that two parsers cut differently. This protocol, a subclass of uvicorn's
httptools one, therefore cuts every message itself before the parser sees it: a head must match one pattern
byte for byte, a body is exactly `Content-Length` bytes, and the parser has to arrive at the same end (B72).

What that leaves out, on purpose: chunked requests (every client we know sends a length), upgrades, HTTP/1.0,
absolute-form targets, fragments, folded headers, bare LF, and pipelining: bytes that arrive before the answer
to a request are never read as another request, they only end the connection after the answer (RFC 9112
section 9.3.2 has a client send such requests again on a new one).
"""

import asyncio
import re
import socket
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

_HEAD: Final = re.compile(
    rb"(?:GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH) /[\x21\x22\x24-\x7e]*+ HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e]*+\r\n)++\r\n"
)
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]++|\[[0-9A-Fa-f:.]++\])(?::[0-9]{1,5})?")
_LENGTH: Final = re.compile(rb"0|[1-9][0-9]{0,8}")
_HEAD_END: Final = b"\r\n\r\n"

# Headers of which a second one would let two readers pick different values.
_SINGLE: Final = frozenset(
    {
        b"host",
        b"content-length",
        b"content-type",
        b"authorization",
        b"cookie",
        b"origin",
        b"expect",
        b"idempotency-key",
        b"x-mbx-apikey",
        b"leverlock-code",
    }
)
_REFUSED: Final = frozenset({b"transfer-encoding", b"upgrade", b"trailer"})

# Headers by which a client could claim to be somebody else, or another request (B71). The product takes the
# peer's address from the socket and the method from the request line, so these never reach an application;
# names with `_` go too, because software behind us might read them as `-`.
_CLAIMS: Final = (
    b"x-forwarded",
    b"forwarded",
    b"x-user",
    b"x-remote",
    b"x-real-ip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"client-ip",
    b"true-client-ip",
    b"cf-connecting-ip",
    b"x-http-method",
    b"x-method-override",
    b"x-original-",
    b"x-rewrite-",
    b"proxy",
)


class StrictHttpProtocol(HttpToolsProtocol):
    """uvicorn's `http=` class for every door of the product; limits are class attributes.

    A refused connection gets one `400` (`408` for a message that does not arrive in time), is read and
    discarded for `linger_seconds` so that the answer is not lost to a reset, and is closed.
    """

    head_limit = 16 * 1024  # bytes of request line and headers, terminator included
    body_limit = 64 * 1024  # bytes; the largest documented call, a batch of five orders, has under 4 KB
    head_seconds = 10.0  # from connection or first byte to the end of the head
    body_seconds = 10.0  # from the end of the head to the end of the body
    linger_seconds = 1.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # A query string holds signatures and codes; the product writes its own access log without it.
        self.access_log = False
        self._head = bytearray()  # the part of a head that has arrived
        self._body_left = 0
        self._single: dict[bytes, bytes] = {}  # of the current head, those that may stand once
        self._length = 0
        self._fault = "Malformed request."
        self._deadline: asyncio.TimerHandle | None = None
        self._ending = False  # nothing that arrives now is read any more

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Head and body of an answer are two writes. asyncio leaves Nagle's algorithm on for a listener that was made
        # with `socket.create_server`, and the second write would wait 40 ms for the client's acknowledgement.
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._set_deadline(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        self._unset_keepalive_if_required()
        if self._body_left:
            self._take_body(data)
        elif self._answer_due():
            self._end_after_answer()
        else:
            self._take_head(data)

    def _answer_due(self) -> bool:
        cycle = self.cycle
        if cycle is None:  # uvicorn sets it with the first request
            return False
        return not cycle.response_complete

    def _take_head(self, data: bytes) -> None:
        if self._head:
            searched = max(len(self._head) - len(_HEAD_END), 0)
            self._head += data
            data = bytes(self._head) if self._head.find(_HEAD_END, searched) >= 0 else b""
            arrived = len(self._head)
        else:
            arrived = len(data)
        end = data.find(_HEAD_END, 0, self.head_limit)
        if end < 0:
            if arrived >= self.head_limit:
                self._refuse("The request head is too large.")
                return
            if not self._head:
                self._head += data
            # What can no longer become a head is refused now, not when its time is over.
            if not self._head[:1].isupper() or self._head.count(b"\n") != self._head.count(b"\r\n"):
                self._refuse("Malformed request head.")
            elif self._deadline is None:
                self._set_deadline(self.head_seconds)
            return
        self._head.clear()
        self._clear_deadline()
        end += len(_HEAD_END)
        self._read_head(data[:end])
        if self._ending:
            return
        if self._body_left:
            self._take_body(data[end:])
        elif len(data) > end:
            self._end_after_answer()

    def _read_head(self, head: bytes) -> None:
        if _HEAD.fullmatch(head) is None:
            self._refuse("Malformed request head.")
            return
        self._single.clear()
        self._length = 0
        self._fault = "Malformed request."
        try:
            self.parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(self._fault)
            return
        self._body_left = self._length
        if (self._length == 0) == self.cycle.more_body:
            # Our cut and the parser's must agree on whether a body follows.
            self._refuse("Malformed request.")

    def _take_body(self, data: bytes) -> None:
        piece = data[: self._body_left]
        if piece:
            self.parser.feed_data(piece)
        self._body_left -= len(piece)
        if self._body_left:
            if self._deadline is None:
                self._set_deadline(self.body_seconds)
            return
        self._clear_deadline()
        if len(data) > len(piece):
            self._end_after_answer()

    # Callbacks of the parser. An exception raised in one ends the parse with HttpParserError.

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        value = value.rstrip(b" \t")
        if name in _SINGLE:
            if name in self._single:
                self._reject("A header that must stand once was sent twice.")
            self._single[name] = value
        elif name in _REFUSED:
            self._reject("Transfer codings, trailers and upgrades are not taken; send Content-Length.")
        elif name.startswith(_CLAIMS) or b"_" in name:
            return
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        single = self._single
        if _HOST.fullmatch(single.get(b"host", b"")) is None:
            self._reject("Exactly one valid Host is needed.")
        expect = single.get(b"expect")
        if expect is not None:
            if expect.lower() != b"100-continue":
                self._reject("Unknown expectation.")
            self.expect_100_continue = True
        length = single.get(b"content-length")
        if length is not None:
            if _LENGTH.fullmatch(length) is None:
                self._reject("Content-Length is not a plain number.")
            self._length = int(length)
            if self._length > self.body_limit:
                self._reject("The request body is too large.")
        super().on_headers_complete()

    def _reject(self, reason: str) -> None:
        self._fault = reason
        raise ValueError(reason)

    # The end of a connection.

    def _end_after_answer(self) -> None:
        # The bytes that came too early are dropped. Reading them as a request would make this server's
        # view of the connection depend on timing.
        self._ending = True
        if self._answer_due():
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _refuse(self, reason: str, status: bytes = b"400 Bad Request") -> None:
        self._ending = True
        self._clear_deadline()
        answerable = True
        if self._answer_due():
            # The application never sees the rest; what it still sends goes nowhere.
            answerable = not self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif self._body_left:
            answerable = False  # it was answered already, ahead of its body
        if not answerable or self.transport.is_closing():
            self.transport.close()
            return
        self.logger.info("Refused a connection: %s", reason)
        body = reason.encode("ascii")
        self.transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (status, len(body), body)
        )
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._deadline = self.loop.call_later(self.linger_seconds, self.transport.close)

    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self._head or self._body_left:
            self._refuse("The request did not arrive in time.", b"408 Request Timeout")
        else:
            self.transport.close()


class UploadHttpProtocol(StrictHttpProtocol):
    """The API's: a path that takes a document has room and time for one. What its caller may send there is judged
    before the body is read, so that what nobody reads piles up at the caller's end."""

    uploads = re.compile(rb"/v1/(?:recovery-cases|operator/accounts/[^/?]+/cases)/[^/?]+/documents(?:\?.*)?", re.DOTALL)
    upload_limit = 16 * 1024 * 1024  # bytes; the door has the limit in force
    upload_seconds = 60.0

    def on_headers_complete(self) -> None:
        takes_document = self.uploads.fullmatch(self.url) is not None
        self.body_limit = self.upload_limit if takes_document else StrictHttpProtocol.body_limit
        self.body_seconds = self.upload_seconds if takes_document else StrictHttpProtocol.body_seconds
        super().on_headers_complete()
