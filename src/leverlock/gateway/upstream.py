"""The client to the venue: sends exactly the bytes it is given, once, and says what is known of the outcome.

An order sent twice is an order executed twice. So nothing here repeats a request, follows a redirect, or writes a
request to a connection before it is sure of it; and the answer is one of three typed outcomes. The caller may say
"not executed" only for NotSent; for Unknown it must say *unknown* and never send again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohappyeyeballs

from leverlock.gateway.connection import Connection
from leverlock.gateway.outcome import ANSWER_LIMIT, Answered, NotSent, Outcome, Unknown, UnreadableAnswer

__all__ = ["ANSWER_LIMIT", "Answered", "NotSent", "Outcome", "Unknown", "UnreadableAnswer", "Upstream"]

METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE"})
IDLE_SECONDS: Final = 15.0  # a venue closes what is idle for long; a request that crosses that is unknown
NEXT_ADDRESS_SECONDS: Final = 0.25  # RFC 8305 section 5: when the next of a host's addresses is tried beside the first

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_PORTS: Final = {"https": 443, "http": 80}

Turn = tuple[str, "asyncio.Future[Connection | None]"]


class Upstream:
    """A pool of kept connections to the venues named at construction, and to nobody else.

    `bases` are origins such as `https://fapi.binance.com`: scheme and authority only; plain http only to the
    loopback, unless `unsafe_plain_http`. `ca_file` (PEM) replaces the system's authorities. `connect_seconds`
    bounds waiting for a connection and making it, `total_seconds` the whole call. Use as an async context
    manager inside the loop that serves.
    """

    def __init__(
        self,
        bases: Collection[str],
        *,
        ca_file: Path | None = None,
        connect_seconds: float = 3.0,
        total_seconds: float = 10.0,
        answer_limit: int = ANSWER_LIMIT,
        connections: int = 100,
        unsafe_plain_http: bool = False,
    ) -> None:
        # Were the total to run out while connecting, a request that never left would be called unknown.
        if not 0 < connect_seconds < total_seconds:
            raise ValueError("The connect time-out must be shorter than the total one.")
        self._bases: Final = frozenset(_origin(base, unsafe_plain_http) for base in bases)
        self._tls: Final = ssl.create_default_context(cafile=ca_file)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._connect_seconds: Final = connect_seconds
        self._total_seconds: Final = total_seconds
        self._answer_limit: Final = answer_limit
        self._connections: Final = connections
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: set[Connection] = set()
        self._opening = 0  # places taken by connections that are being made
        self._idle: dict[str, list[Connection]] = {base: [] for base in self._bases}  # the longest idle one first
        self._waiting: deque[Turn] = deque()
        self._sweeping: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop = None
        if self._sweeping is not None:
            self._sweeping.cancel()
        for _, turn in self._waiting:
            if not turn.done():
                turn.set_exception(ConnectionAbortedError())
        self._waiting.clear()
        for connection in list(self._open):
            connection.close()

    async def send(
        self,
        base: str,
        method: str,
        path: str,
        *,
        query: bytes = b"",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Send one request and say what became of it; never repeats, never raises for what the venue does.

        `path`, `query` and `body` go out byte for byte as given (they were signed). Without an
        `Accept-Encoding` among `headers` the venue is asked for plain bytes. Raises ValueError for a base
        that is not on the list, a method or a target that no signed call can have. A cancelled call has an
        unknown outcome as well: the caller decides whether to shield it.
        """
        loop = self._loop
        if loop is None:
            raise RuntimeError("The upstream is not open.")
        if base not in self._bases:
            raise ValueError("The venue's address is not on the list.")
        request = _request(base, method, path, query=query, body=body, headers=headers)
        began = loop.time()
        connection = self._kept(base) if not self._waiting else None
        if connection is None:
            try:
                async with asyncio.timeout(self._connect_seconds):
                    connection = await self._connection(base)
            except (OSError, TimeoutError) as error:
                return NotSent(type(error).__name__)
        answer = connection.ask(request)
        timer = loop.call_later(began + self._total_seconds - loop.time(), connection.give_up)
        try:
            return await answer
        finally:
            timer.cancel()
            self._give_back(connection)

    # -- the pool ----------------------------------------------------------------------------------------------------
    def _kept(self, base: str) -> Connection | None:
        """The connection that was used last, if its venue can be trusted to have kept it open."""
        idle = self._idle[base]
        if not idle:
            return None
        connection = idle.pop()
        if self._now() - connection.idle_since <= IDLE_SECONDS:
            return connection
        connection.close()
        return None

    async def _connection(self, base: str) -> Connection:
        """A kept connection or a new one; each in turn where all are taken."""
        while self._waiting or not self._has_room():
            turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append((base, turn))
            try:
                found = await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it came at the very moment
                    self._pass_on(turn.result())
                raise
            if found is None:
                return await self._opened(base)
            if found.usable:
                return found
        self._opening += 1
        return await self._opened(base)

    def _has_room(self) -> bool:
        if len(self._open) + self._opening < self._connections:
            return True
        oldest = min((idle[0] for idle in self._idle.values() if idle), key=lambda c: c.idle_since, default=None)
        if oldest is None:
            return False
        oldest.close()  # of another venue's, or older than what a kept one may be
        return True

    async def _opened(self, base: str) -> Connection:
        """A new connection, in a place that was taken for it."""
        try:
            connection = await self._connect(base)
            if not connection.usable or self._loop is None:
                connection.close()
                raise ConnectionAbortedError
        except BaseException:
            self._opening -= 1
            self._place_is_free()
            raise
        self._opening -= 1
        self._open.add(connection)
        return connection

    async def _connect(self, base: str) -> Connection:
        parts = urlsplit(base)
        host, port, secure = parts.hostname or "", parts.port or _PORTS[parts.scheme], parts.scheme == "https"
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        made = await aiohappyeyeballs.start_connection(
            found, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS, interleave=1, loop=loop
        )
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, connection = await loop.create_connection(
                lambda: Connection(base, self._answer_limit, self._lost),
                sock=made,
                ssl=self._tls if secure else None,
                server_hostname=host if secure else None,
            )
        except BaseException:
            made.close()
            raise
        return connection

    def _give_back(self, connection: Connection) -> None:
        """After its call: to the next in turn, or to the idle ones. With an answer still due it is of no use."""
        if not connection.usable:
            connection.close()
        else:
            self._pass_on(connection)

    def _pass_on(self, connection: Connection | None) -> None:
        """Give a connection, or (None) the place for one, to the next in turn."""
        if connection is None:
            self._opening -= 1
            self._place_is_free()
            return
        while self._waiting:
            base, turn = self._waiting.popleft()
            if turn.done():
                continue
            if base == connection.base:
                turn.set_result(connection)
            else:
                self._waiting.appendleft((base, turn))
                connection.close()  # its place is the next one's
            return
        connection.idle_since = self._now()
        self._idle[connection.base].append(connection)
        if self._sweeping is None and self._loop is not None:
            self._sweeping = self._loop.call_later(IDLE_SECONDS, self._sweep)

    def _place_is_free(self) -> None:
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                self._opening += 1
                turn.set_result(None)
                return

    def _lost(self, connection: Connection) -> None:
        """It has ended, by whomever."""
        idle = self._idle[connection.base]
        if connection in idle:
            idle.remove(connection)
        if connection in self._open:
            self._open.remove(connection)
            self._place_is_free()

    def _sweep(self) -> None:
        """Close what is idle for too long."""
        self._sweeping = None
        now = self._now()
        for idle in self._idle.values():
            for connection in [kept for kept in idle if now - kept.idle_since > IDLE_SECONDS]:
                connection.close()
        if self._loop is not None and any(self._idle.values()):
            self._sweeping = self._loop.call_later(IDLE_SECONDS, self._sweep)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _request(
    base: str, method: str, path: str, *, query: bytes, body: bytes, headers: Mapping[str, str] | None
) -> bytes:
    """The bytes of a request. Raises ValueError for what would make another request of it."""
    if method not in METHODS or not path.startswith("/"):
        raise ValueError("A call to the venue has one of four methods and an absolute path.")
    target = f"{path}?{query.decode('ascii')}" if query else path
    if not (target.isascii() and target.isprintable()) or " " in target or "#" in target:
        raise ValueError("The target of a signed call is printable ASCII without blanks or a fragment.")
    sent = {"Host": base.partition("://")[2], "Accept-Encoding": "identity"}
    if body:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    if headers:
        sent.update(headers)
    if body or method in ("POST", "PUT"):
        sent["Content-Length"] = str(len(body))
    head = "".join([f"{name}: {value}\r\n" for name, value in sent.items()])
    if head.count("\r\n") != len(sent) or not (head.isascii() and head.replace("\r\n", "").isprintable()):
        raise ValueError("A header is one line of printable ASCII.")
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


def _origin(base: str, unsafe_plain_http: bool) -> str:
    parts = urlsplit(base)
    if f"{parts.scheme}://{parts.netloc}" != base or not parts.hostname or "@" in parts.netloc:
        raise ValueError("A venue's address is scheme and host, with nothing after it.")
    plain = parts.scheme == "http" and (unsafe_plain_http or parts.hostname in _LOOPBACK)
    if parts.scheme != "https" and not plain:
        raise ValueError("A venue is reached over https.")
    return base
