"""The door: every request takes the same way, from the first header to the last byte of the answer.

1. Its row is found in the route table; nothing else is served.
2. Who has no token of the right form goes no further. Nothing of his request is looked at.
3. Body and query are read into the row's forms. Who sent them wrong is told what was wrong only once his token has
   proved good: to others all calls look alike (B62).
4. One store job authenticates the caller, claims the idempotency key and does the work, in one transaction (P2).
5. After its commit the answer is encoded and sent, never to be cached; whatever was raised on the way is a refusal
   with a row in `problems.py`, and anything unforeseen a 500 that says nothing but its correlation id (B92).

Plain ASGI without middleware: the hot calls are worth less time than a framework takes to hand them over.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from leverlock import access_log
from leverlock.api.endpoint import ApiParts, Call, Caller, Endpoint, RawAnswer, Result, Who, authenticate
from leverlock.api.idempotency import key_of, once
from leverlock.api.problems import MEDIA_TYPE, Edge, EdgeRefused, headers, problem
from leverlock.api.reading import MAX_BODY, read_body, read_foreign, read_query
from leverlock.api.uploads import Uploads
from leverlock.app.sign_in import TOUCH_MS, live_session
from leverlock.correlation import begin
from leverlock.domain.errors import Reason, Refused
from leverlock.metrics import REQUESTS, answer_lifespan
from leverlock.ports import Transaction

log = logging.getLogger("leverlock.api")

_BEARER: Final = re.compile(rb"[Bb]earer ([A-Za-z0-9._~+/=-]{1,256})")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_JSON: Final = "application/json"

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out. `route` and `status` are what the metrics see."""

    status: int
    headers: Headers
    body: bytes


class Routes:
    """The table's paths: exact ones by dictionary, those with a parameter by their segments.

    Of the latter only those are looked at that have as many segments and begin alike.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._exact: dict[str, dict[str, Endpoint]] = {}
        self._shaped: dict[tuple[int, str], list[tuple[tuple[str, ...], dict[str, Endpoint]]]] = {}
        for endpoint in endpoints:
            if not endpoint.parameters:
                self._exact.setdefault(endpoint.path, {})[endpoint.method] = endpoint
                continue
            place = _place(endpoint.segments)
            if "{" in place[1]:
                raise ValueError(f"{endpoint.path}: a path begins with words")
            alike = self._shaped.setdefault(place, [])
            methods = next((found for shape, found in alike if shape == endpoint.segments), None)
            if methods is None:
                methods = {}
                alike.append((endpoint.segments, methods))
            methods[endpoint.method] = endpoint

    def find(self, method: str, raw_path: bytes) -> tuple[Endpoint, dict[str, str]]:
        """The row and its path parameters. Raises EdgeRefused: NO_SUCH_PATH, METHOD_NOT_ALLOWED.

        No path of ours needs an escape, so an escaped one is none of ours: there is one spelling for each (B65).
        """
        try:
            path = raw_path.decode("ascii")
        except UnicodeDecodeError:
            raise EdgeRefused(Edge.NO_SUCH_PATH) from None
        methods = self._exact.get(path)
        parameters: dict[str, str] = {}
        if methods is None:
            methods, parameters = self._match(path)
        endpoint = methods.get(method)
        if endpoint is None:
            raise EdgeRefused(Edge.METHOD_NOT_ALLOWED, headers=(("Allow", ", ".join(sorted(methods))),))
        return endpoint, parameters

    def _match(self, path: str) -> tuple[dict[str, Endpoint], dict[str, str]]:
        given = path.split("/")[1:]
        for shape, methods in self._shaped.get(_place(given), ()):
            parameters: dict[str, str] = {}
            for wanted, segment in zip(shape, given, strict=True):
                if wanted.startswith("{"):
                    if _SEGMENT.fullmatch(segment) is None:
                        break
                    parameters[wanted[1:-1]] = segment
                elif wanted != segment:
                    break
            else:
                return methods, parameters
        raise EdgeRefused(Edge.NO_SUCH_PATH)


def _place(segments: Sequence[str]) -> tuple[int, str]:
    return len(segments), "/".join(segments[: 1 if len(segments) < 3 else 2])


class Door:
    """The ASGI application over a route table. `name` is the door's label in the metrics."""

    def __init__(self, endpoints: Sequence[Endpoint], parts: ApiParts, *, name: str = "api") -> None:
        self._routes = Routes(endpoints)
        self._parts = parts
        self._name = name
        self._uploads = Uploads(parts.world.limits.document_bytes)
        self._timers: dict[tuple[str, str, int], Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        began = time.perf_counter()
        correlation = begin().id
        method, route = scope["method"], "none"
        try:
            endpoint, parameters = self._routes.find(method, scope["raw_path"])
            route = endpoint.path
            answer = await self._serve(endpoint, parameters, scope, receive)
        except (Refused, EdgeRefused) as refused:
            answer = refusal(refused)
        except Exception:
            log.exception("unforeseen failure", extra={"correlation": correlation, "route": route})
            answer = refusal(EdgeRefused(Edge.INTERNAL), instance=f"urn:leverlock:correlation:{correlation}")
        answer.headers.append((b"correlation-id", correlation.encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})
        known = method if route != "none" else "other"  # a stranger's words make no time series
        self._note(known, route, answer.status, time.perf_counter() - began, correlation)

    def _note(self, method: str, route: str, status: int, seconds: float, correlation: str) -> None:
        """Count the answer and write its access line."""
        timer = self._timers.get((method, route, status))
        if timer is None:
            timer = self._timers[method, route, status] = REQUESTS.labels(self._name, method, route, str(status))
        timer.observe(seconds)
        access_log.note(self._name, method, route, status, seconds=seconds, correlation=correlation)

    async def _serve(self, endpoint: Endpoint, parameters: dict[str, str], scope: Any, receive: Any) -> Answer:
        call = _open(endpoint, parameters, scope)
        if endpoint.takes:
            await self._must_be_known(call)  # before a stranger's megabytes are read
            async with self._uploads.turn(call.token):
                await self._uploads.read(call, scope, receive)
                return await self._answer(endpoint, call)
        try:
            await _read(call, scope, receive)
        except (Refused, EdgeRefused):
            await self._must_be_known(call)
            raise
        return await self._answer(endpoint, call)

    async def _answer(self, endpoint: Endpoint, call: Call) -> Answer:
        result: Result = None
        prepared = None if endpoint.prepare is None else await endpoint.prepare(self._parts, call)
        try:
            result = prepared if prepared is not None else await self._work(call)
        except Refused as refused:
            if endpoint.tally is not None:
                endpoint.tally(call, refused)
            raise
        if endpoint.tally is not None:
            endpoint.tally(call, result)
        if isinstance(result, Refused):
            return refusal(result)
        if endpoint.finish is not None:
            finished = await endpoint.finish(self._parts, result)
            return shown_raw(finished) if isinstance(finished, RawAnswer) else shown(finished, endpoint.status)
        return shown(result, endpoint.status)

    async def _work(self, call: Call) -> Result:
        """The one transaction of this call; a mere look costs no commit, except to keep its session awake."""
        world, endpoint = self._parts.world, call.endpoint
        if not endpoint.reads_only:
            return await self._parts.store.run(lambda tx: self._do(tx, call))

        def look(tx: Transaction) -> tuple[Result, bool]:
            caller = authenticate(tx, world, call)
            stale = caller.session is not None and tx.now >= caller.session.last_seen_at + TOUCH_MS
            return endpoint.work(tx, world, caller, call), stale

        result, stale = await self._parts.store.read(look)
        if stale:
            await self._parts.store.run(lambda tx: tx.touch_session(live_session(tx, world, token=call.token)))
        return result

    def _do(self, tx: Transaction, call: Call) -> Result:
        world, endpoint = self._parts.world, call.endpoint
        if endpoint.who is Who.ANYBODY:
            return endpoint.work(tx, world, NOBODY, call)  # type: ignore[no-any-return]
        caller = authenticate(tx, world, call, touch=True)
        if call.key is not None and endpoint.remembered:
            return once(tx, world, caller, call)
        return endpoint.work(tx, world, caller, call)  # type: ignore[no-any-return]

    async def _must_be_known(self, call: Call) -> None:
        """Raises what a well-formed call with this token would: the form of a call is for its callers (B62)."""
        if call.endpoint.who is Who.ANYBODY:
            return
        world = self._parts.world
        try:
            await self._parts.store.read(lambda tx: authenticate(tx, world, call))
        except Refused as refused:
            if refused.reason not in (Reason.MALFORMED, Reason.UNKNOWN_ID):
                raise


NOBODY: Final = Caller("", "", None)


def _open(endpoint: Endpoint, parameters: dict[str, str], scope: Any) -> Call:
    """What the head of a request says. Raises Refused(NOT_AUTHENTICATED) for any token but one of the right form."""
    tokens = [value for name, value in scope["headers"] if name == b"authorization"]
    token = ""
    if endpoint.who is not Who.ANYBODY:
        found = _BEARER.fullmatch(tokens[0]) if len(tokens) == 1 else None
        if found is None:
            raise Refused(Reason.NOT_AUTHENTICATED)
        token = found[1].decode("ascii")
    client = scope.get("client")
    target = scope["raw_path"] + b"?" + scope["query_string"]
    return Call(endpoint, parameters, client[0] if client else "", token, target.decode("latin-1"))


async def _read(call: Call, scope: Any, receive: Any) -> None:
    """Body, query and idempotency key, typed. Raises Refused(MALFORMED) or EdgeRefused."""
    endpoint = call.endpoint
    call.raw = await _body(receive)
    if endpoint.foreign:
        kinds = [value for name, value in scope["headers"] if name == b"content-type"]
        call.body = read_foreign(scope["query_string"], call.raw, kinds[0] if len(kinds) == 1 else b"")
        return
    if endpoint.remembered:
        call.key = key_of([value for name, value in scope["headers"] if name == b"idempotency-key"])
    if endpoint.body is not None:
        kinds = [value for name, value in scope["headers"] if name == b"content-type"]
        call.body = read_body(call.raw, kinds[0] if len(kinds) == 1 else None, endpoint.body)
    elif call.raw:
        raise Refused(Reason.MALFORMED, "this call takes no body", field="$")
    call.query = read_query(scope["query_string"], endpoint.query)
    if endpoint.read is not None:
        endpoint.read(call)


async def _body(receive: Any) -> bytes:
    """The whole body, at most `MAX_BODY` bytes of it. Raises EdgeRefused(TOO_LARGE)."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        chunks, size = [body], len(body)
        while message.get("more_body") and size <= MAX_BODY:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(Reason.MALFORMED, "the body broke off", field="$")
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
        body = b"".join(chunks)
    if len(body) > MAX_BODY:
        raise EdgeRefused(Edge.TOO_LARGE)
    return body


def shown(result: Any, status: int) -> Answer:
    """A successful answer."""
    if result is None:
        return Answer(204, [_NO_STORE], b"")
    body = msgspec.json.encode(result)
    return Answer(status, [_CONTENT_JSON, _NO_STORE, (b"content-length", str(len(body)).encode())], body)


def shown_raw(answer: RawAnswer) -> Answer:
    """A picture: saved rather than opened, and never taken for anything else by a browser."""
    head = [
        (b"content-type", answer.media.encode()),
        (b"content-disposition", b"attachment"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; sandbox"),
        _NO_STORE,
        (b"content-length", str(len(answer.body)).encode()),
    ]
    return Answer(200, head, answer.body)


def refusal(refused: Refused | EdgeRefused, *, instance: str | None = None) -> Answer:
    """A refusal as its row in the table says it."""
    document = problem(refused, instance=instance)
    body = msgspec.json.encode(document)
    head = [_CONTENT_PROBLEM, _NO_STORE, (b"content-length", str(len(body)).encode())]
    for name, value in headers(refused, document):
        head.append((name.lower().encode(), value.encode("latin-1", "replace")))
    return Answer(document.status, head, body)


_NO_STORE: Final = (b"cache-control", b"no-store")
_CONTENT_JSON: Final = (b"content-type", _JSON.encode())
_CONTENT_PROBLEM: Final = (b"content-type", MEDIA_TYPE.encode())
