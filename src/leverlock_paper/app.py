"""The ASGI application: one call, from the raw bytes through key, signature and handler to the answer."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from leverlock_paper.admin import answer_admin
from leverlock_paper.database import transaction
from leverlock_paper.errors import VenueError, refusal
from leverlock_paper.keys import find_key
from leverlock_paper.matching import advance, is_due
from leverlock_paper.numbers import plain
from leverlock_paper.parameters import SIGNING_FIELDS, Params, parse
from leverlock_paper.route import Access, Route
from leverlock_paper.routes import ROUTES
from leverlock_paper.signature import DEFAULT_RECEIVE_WINDOW_MS, ApiKey, check_freshness, check_signature
from leverlock_paper.traffic import Counter, Fault, ReceivedCall, Traffic
from leverlock_paper.venue import Call, Venue

LARGEST_BODY = 1_000_000
TICK_SECONDS = 0.25
_KEY_FORM = re.compile(r"[A-Za-z0-9]{64}", re.ASCII)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Cut = Callable[[Scope], None]


@dataclass(slots=True)
class Incoming:
    """One request, raw."""

    method: str
    path: str
    query: bytes
    body: bytes
    headers: dict[str, str]
    address: str


@dataclass(slots=True)
class Outgoing:
    """One answer; `document` becomes JSON unless `text` is given."""

    status: int
    document: object = None
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None

    def body(self) -> bytes:
        if self.text is not None:
            return self.text.encode()
        return json.dumps(self.document, ensure_ascii=False, separators=(",", ":"), default=_written).encode()


def _written(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")


class PaperApp:
    """The venue behind HTTP. Calls are handled one after the other on the event loop."""

    def __init__(self, venue: Venue, cut: Cut) -> None:
        self.venue = venue
        self.traffic = Traffic()
        self._cut = cut
        settings = venue.settings
        self._weights = Counter(60_000, settings.weight_limit_1m)
        self._orders_10s = Counter(10_000, settings.order_limit_10s)
        self._orders_1m = Counter(60_000, settings.order_limit_1m)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        ticker = asyncio.create_task(self._tick())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        ticker.cancel()
        self.venue.db.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _tick(self) -> None:
        """Keeps resting orders, triggers and countdowns alive while nobody calls."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._advance()

    def _advance(self) -> None:
        now = self.venue.now()
        if is_due(self.venue, now):
            with transaction(self.venue.db):
                advance(self.venue, now)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        incoming = await _read(scope, receive)
        if incoming.path.startswith("/paper/v1/") and self.venue.settings.admin_token:
            document, status = answer_admin(
                self.venue,
                self.traffic,
                method=incoming.method,
                path=incoming.path,
                query=incoming.query,
                body=incoming.body,
                authorization=incoming.headers.get("authorization", ""),
            )
            self._advance()
            await _send(send, Outgoing(status, document))
            return
        noted = ReceivedCall(
            next(self.traffic.numbers),
            self.venue.now(),
            incoming.method,
            incoming.path,
            incoming.query.decode("latin-1"),
            incoming.body.decode("utf-8", "replace"),
            incoming.headers,
        )
        self.traffic.note(noted)
        fault = self.traffic.take_fault(incoming.method, incoming.path)
        outgoing = await self._answer_with(fault, incoming, noted)
        if fault is not None and fault.cut:
            self._cut(scope)
            await _disconnected(receive)
            return
        await _send(send, outgoing)

    async def _answer_with(self, fault: Fault | None, incoming: Incoming, noted: ReceivedCall) -> Outgoing:
        if fault is None:
            return self._answer(incoming, noted)
        noted.fault = fault.number
        acts = fault.when == "after" or not (fault.answers or fault.cut)
        if fault.delay_ms and fault.when == "before":
            await asyncio.sleep(fault.delay_ms / 1000)
        outgoing = self._answer(incoming, noted) if acts else Outgoing(503, refusal(-1008).document())
        if fault.delay_ms and fault.when == "after":
            await asyncio.sleep(fault.delay_ms / 1000)
        if fault.answers:
            headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
            outgoing = Outgoing(fault.status, {"code": fault.code, "msg": fault.msg}, headers, fault.body)
            noted.status, noted.code = fault.status, fault.code
        return outgoing

    def _answer(self, incoming: Incoming, noted: ReceivedCall) -> Outgoing:
        """The venue's own answer. A refusal inside the handler has changed nothing."""
        headers: dict[str, str] = {}
        call: Call | None = None
        try:
            self._advance()
            route = ROUTES.get((incoming.method, incoming.path))
            if route is None:
                raise refusal(-5000, incoming.path, incoming.method)
            call = self._admit(route, incoming, headers)
            if route.method == "GET":
                document = route.handler(call)
            else:
                with transaction(self.venue.db):
                    document = route.handler(call)
            outgoing = Outgoing(200, document, headers)
        except VenueError as error:
            outgoing = Outgoing(error.status, error.document(), headers | error.headers)
            noted.code = error.code
        else:
            noted.acted = True
            noted.orders = call.orders
        noted.status = outgoing.status
        return outgoing

    def _admit(self, route: Route, incoming: Incoming, headers: dict[str, str]) -> Call:
        """Limits, key, freshness, signature, permission and the names of the parameters, in that order."""
        now = self.venue.now()
        weight = self._weights.add(incoming.address, route.weight, now)
        headers["X-MBX-USED-WEIGHT-1M"] = str(weight)
        if weight > self._weights.limit:
            raise _over(refusal(-1003, self._weights.limit, "requests per minute"), self._weights, now)
        key = self._identify(route, incoming)
        params = Params(parse(incoming.query, incoming.body))
        call = Call(self.venue, params, now, key)
        if route.access.signed and key is not None:
            timestamp = params.integer("timestamp")
            check_freshness(now, timestamp, params.integer("recvWindow", DEFAULT_RECEIVE_WINDOW_MS))
            check_signature(key, incoming.query, incoming.body)
            if not route.access.permitted(key):
                raise refusal(-2015, incoming.address)
        allowed = route.fields | SIGNING_FIELDS if route.access is not Access.NONE else route.fields
        params.allow_only(allowed, route.mandatory)
        if route.counts_orders and key is not None:
            self._count_orders(route, call, key, headers)
        return call

    def _identify(self, route: Route, incoming: Incoming) -> ApiKey | None:
        if route.access is Access.NONE:
            return None
        name = incoming.headers.get("x-mbx-apikey", "")
        if not _KEY_FORM.fullmatch(name):
            raise refusal(-2014)
        key = find_key(self.venue.db, name)
        if key is None or (key.ip_restrict and incoming.address not in key.ips):
            raise refusal(-2015, incoming.address)
        return key

    def _count_orders(self, route: Route, call: Call, key: ApiKey, headers: dict[str, str]) -> None:
        amount = route.order_count(call.params)
        for counter, header, seconds in (
            (self._orders_10s, "X-MBX-ORDER-COUNT-10S", 10),
            (self._orders_1m, "X-MBX-ORDER-COUNT-1M", 60),
        ):
            total = counter.add(str(key.account), amount, call.now)
            headers[header] = str(total)
            if total > counter.limit:
                raise _over(refusal(-1015, counter.limit, f"{seconds} SECOND"), counter, call.now)


def _over(error: VenueError, counter: Counter, now: int) -> VenueError:
    error.headers["Retry-After"] = str(counter.seconds_left(now))
    return error


async def _read(scope: Scope, receive: Receive) -> Incoming:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > LARGEST_BODY:
            break
    client = scope.get("client") or ("", 0)
    return Incoming(
        scope["method"],
        # The path as it was sent: an encoded twin of a path is another path.
        scope["raw_path"].decode("latin-1"),
        scope["query_string"],
        body[:LARGEST_BODY],
        {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        client[0],
    )


async def _send(send: Send, outgoing: Outgoing) -> None:
    body = outgoing.body()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in outgoing.headers.items()]
    await send({"type": "http.response.start", "status": outgoing.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
