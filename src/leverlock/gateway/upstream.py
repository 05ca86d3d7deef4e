"""The client to the venue: sends exactly the bytes it is given, once, and says what is known of the outcome.

An order sent twice is an order executed twice. So nothing here repeats a request: no redirect is followed, the
client library's silent retry on a kept connection is off, and the answer is one of three typed outcomes. The
caller may say "not executed" only for NotSent; for Unknown it must say *unknown* and never send again.
"""

import ssl
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from msgspec import Struct
from yarl import URL

ANSWER_LIMIT: Final = 8 * 1024 * 1024  # bytes; the venue's exchange information is about 1 MB
METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE"})

_PASSED: Final = frozenset({"content-type", "content-encoding", "retry-after"})
_PASSED_PREFIXES: Final = ("x-mbx-used-weight", "x-mbx-order-count", "x-sapi-used-")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_CONNECT_TRIES: Final = 8


class Answered(Struct, frozen=True):
    """The venue's whole answer. `headers` are the ones to pass on, names in lower case; `body` is as it came
    over the wire, still encoded when `content-encoding` is among the headers."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def plain_body(self, limit: int = ANSWER_LIMIT) -> bytes:
        """The body without its content coding (gzip or deflate), at most `limit` bytes.

        Raises UnreadableAnswer for another coding, a broken stream, or one that grows past the limit.
        """
        coding = next((value for name, value in self.headers if name == "content-encoding"), "identity")
        if coding.lower() == "identity":
            return self.body
        if coding.lower() not in ("gzip", "deflate"):
            raise UnreadableAnswer("The venue's answer has an unknown content coding.")
        inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: the header says gzip or zlib
        try:
            plain = inflate.decompress(self.body, limit)
        except zlib.error:
            raise UnreadableAnswer("The venue's answer is not what its content coding says.") from None
        if not inflate.eof or inflate.unused_data:
            raise UnreadableAnswer("The venue's answer is cut, padded, or too large when unpacked.")
        return plain


class NotSent(Struct, frozen=True):
    """No byte of the request left this process: it was not executed, and it is safe to say so."""

    reason: str


class Unknown(Struct, frozen=True):
    """The request was sent, or may have been, and no whole answer came: it may have been executed.

    `status` is the venue's status when the head of an answer did arrive.
    """

    reason: str
    status: int | None = None


Outcome = Answered | NotSent | Unknown


class UnreadableAnswer(ValueError):
    """The venue's answer cannot be unpacked."""


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
        self._timeout: Final = ClientTimeout(total=total_seconds, connect=connect_seconds)
        self._answer_limit: Final = answer_limit
        self._connections: Final = connections
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = session = ClientSession(
            connector=_CleanConnector(ssl=self._tls, limit=self._connections, ttl_dns_cache=60),
            cookie_jar=DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        # On a kept connection that drops, aiohttp sends GET, PUT and DELETE a second time, and has no public
        # switch for it: an amendment would arrive twice. A release that renames this must not go unnoticed.
        if not hasattr(session, "_retry_connection"):
            await session.close()
            raise RuntimeError("This release of aiohttp cannot be kept from repeating requests.")
        session._retry_connection = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

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
        session = self._session
        if session is None:
            raise RuntimeError("The upstream is not open.")
        if base not in self._bases:
            raise ValueError("The venue's address is not on the list.")
        if method not in METHODS or not path.startswith("/"):
            raise ValueError("A call to the venue has one of four methods and an absolute path.")
        target = f"{path}?{query.decode('ascii')}" if query else path
        if not (target.isascii() and target.isprintable()) or " " in target or "#" in target:
            raise ValueError("The target of a signed call is printable ASCII without blanks or a fragment.")
        sent = {"Accept-Encoding": "identity"}
        if body:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        if headers:
            sent.update(headers)
        status: int | None = None
        try:
            async with session.request(
                method,
                URL(base + target, encoded=True),
                data=body or None,
                headers=sent,
                allow_redirects=False,
            ) as response:
                status = response.status
                return await self._read(response)
        except (ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return NotSent(type(error).__name__)
        except (ClientError, TimeoutError, OSError) as error:
            return Unknown(type(error).__name__, status)

    async def _read(self, response: ClientResponse) -> Outcome:
        status = response.status
        if status < 200:
            response.close()
            return Unknown("The venue switched protocols.", status)
        coding = response.headers.get("Transfer-Encoding", "")
        if "Content-Length" not in response.headers and coding.lower() != "chunked" and status not in (204, 304):
            # It would end with the connection, and could not be told from an answer that was cut.
            response.close()
            return Unknown("The venue's answer has no certain end.", status)
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._answer_limit:
                response.close()
                return Unknown("The venue's answer is too large.", status)
            chunks.append(chunk)
        kept = []
        for sent_name, value in response.headers.items():
            name = sent_name.lower()
            if name in _PASSED or name.startswith(_PASSED_PREFIXES):
                kept.append((name, value))
        return Answered(status, tuple(kept), b"".join(chunks))


class _CleanConnector(TCPConnector):
    """A pool that gives out no connection on which the other side has spoken unasked.

    aiohttp looks only at whether an idle connection is still open. Bytes that came after an answer would be
    read as the answer to the next request: another account's order, in the worst case.
    """

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109  (aiohttp's signature)
    ) -> Connection:
        for _ in range(_CONNECT_TRIES):
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                return connection
            connection.close()
        raise aiohttp.ConnectionTimeoutError("The venue speaks before it is asked.")


def _origin(base: str, unsafe_plain_http: bool) -> str:
    parts = urlsplit(base)
    if f"{parts.scheme}://{parts.netloc}" != base or not parts.hostname or "@" in parts.netloc:
        raise ValueError("A venue's address is scheme and host, with nothing after it.")
    plain = parts.scheme == "http" and (unsafe_plain_http or parts.hostname in _LOOPBACK)
    if parts.scheme != "https" and not plain:
        raise ValueError("A venue is reached over https.")
    return base
