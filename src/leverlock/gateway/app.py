"""The gateway as an ASGI application. One call, from top to bottom of `Gateway.handle`:

1. the path is canonical and in the table, or the call is refused;
2. the key is known, its signature covers the very bytes, its window holds, and it was not seen before;
3. one parse makes the action that is judged and, from the same object, what is forwarded;
4. an ordinary action is decided from the snapshot and touches no database;
5. anything else is decided, and an approval spent, in one transaction, committed before anything is sent;
6. the call is signed with the venue's key and sent once. What comes back is passed on; what does not is *unknown*.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

import structlog

from leverlock.app.decide import Allowed, Asked
from leverlock.app.prove import prove
from leverlock.app.redeem import Redeemed, redeem_or_ask
from leverlock.app.unknown import note_unknown
from leverlock.domain.action import Action, Facts, Intent
from leverlock.domain.actions import LEVERAGE_SET, MARGIN_MODE_SET
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import is_id
from leverlock.domain.policy import Outcome as Decided
from leverlock.domain.policy import Why, decide
from leverlock.domain.totp import is_code
from leverlock.gateway import refusals
from leverlock.gateway.binance.codec import read, symbols_of, with_facts, write
from leverlock.gateway.binance.endpoints import ENDPOINTS, Access, Endpoint
from leverlock.gateway.binance.errors import BinanceError, RejectedKey, UnreadParameter
from leverlock.gateway.binance.parameters import unsigned_parameters
from leverlock.gateway.binance.signature import SignedCall, verified_call
from leverlock.gateway.facts import LeverageBusy, VenueFacts, exposure
from leverlock.gateway.refusals import Answer
from leverlock.gateway.replay import ReplayCache, ReplayRefused
from leverlock.gateway.target import NonCanonicalTarget, canonical_path
from leverlock.gateway.upstream import Answered, NotSent, Outcome, Unknown
from leverlock.gateway.venue import VenueAccount, Venues
from leverlock.ports import Clock, Store, World
from leverlock.store.snapshot import KeyView, Snapshot

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_log = structlog.get_logger("leverlock.gateway")

BODY_LIMIT: Final = 64 * 1024
CHALLENGES: Final = "/leverlock/v1/challenges/"


class Meter(Protocol):
    """Counts decisions; labels are words of closed lists, never who asked."""

    def decision(self, outcome: str, why: str, action: str) -> None: ...


@dataclass(frozen=True)
class Door:
    """What the gateway is joined to."""

    store: Store
    world: World
    snapshot: Snapshot
    clock: Clock
    venues: Venues
    meter: Meter
    public_base_urls: Mapping[str, str]


class Gateway:
    """The ASGI application of the venue paths."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._facts = VenueFacts(door.clock, door.world.limits)
        self._seen = ReplayCache()
        self._accounts: dict[str, VenueAccount] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        body = await _body(receive)
        if body is None:
            return
        answer = await self.answer(scope, body)
        headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """What to answer; every refusal is typed, and nothing is executed behind one."""
        try:
            return await self.handle(scope, body)
        except NonCanonicalTarget:
            return refusals.answer(refusals.BAD_TARGET)
        except BinanceError as problem:
            return refusals.answer(refusals.Row(problem.status, problem.code, problem.message))
        except ReplayRefused:
            return refusals.answer(refusals.Row(400, -1021, "This signed request was received before."))
        except LeverageBusy:
            return refusals.answer(refusals.LEVERAGE_BUSY)
        except Refused as refused:
            return refusals.refusal(refused)
        except Exception:
            # The last resort: the process lives on, the caller learns an id and nothing else (B92).
            incident = uuid.uuid4().hex
            _log.exception("a call failed", incident=incident)
            return refusals.failure(incident)

    async def handle(self, scope: Scope, body: bytes) -> Answer:
        """One call. Raises BinanceError, ReplayRefused, LeverageBusy, Refused."""
        path = canonical_path(scope["raw_path"])
        query: bytes = scope["query_string"]
        if path.startswith(CHALLENGES) and scope["method"] == "GET":
            return await self._poll(path.removeprefix(CHALLENGES), scope, query, body)
        endpoint = ENDPOINTS.get((scope["method"], path))
        if endpoint is None:
            return refusals.answer(refusals.PATH_NOT_ALLOWED)
        if endpoint.access is Access.PUBLIC:
            return await self._public(endpoint, query, body)
        account = await self._account(_header(scope, b"x-mbx-apikey"), endpoint)
        if endpoint.access is Access.KEY:
            if b"signature=" in query + body:  # some clients sign what the venue takes unsigned; then it must hold
                sent = (await self._verified(account, endpoint, query, body)).parameters
            else:
                sent = unsigned_parameters(query, body)
            wire = urlencode(list(_known(endpoint, sent).items()), quote_via=quote).encode()
            outcome = await account.send_plain(account.base(endpoint.base), endpoint.method, endpoint.path, wire)
            return _passed_on(outcome)
        call = await self._verified(account, endpoint, query, body)
        if endpoint.action is None or not endpoint.action.gated:
            return _passed_on(await self._forward(account, endpoint, call, _known(endpoint, call.parameters).items()))
        action = read(endpoint.action, call.parameters)
        code = call.otp or _header(scope, b"leverlock-code")
        if endpoint.action is LEVERAGE_SET:
            return await self._change_leverage(account, endpoint, call, action, code)
        return await self._order(account, endpoint, call, action, code)

    # -- who calls, and is it he -------------------------------------------------------------------------------------
    async def _account(self, api_key: str, endpoint: Endpoint | None) -> VenueAccount:
        """The upstream account behind a key. Without a database, keys seen lately may read and cancel (B98)."""
        if not (api_key.isascii() and api_key.isalnum()):
            raise RejectedKey
        snapshot = self._door.snapshot
        try:
            view: KeyView = await snapshot.key(api_key)
        except Refused as refused:
            spared = refused.reason is Reason.STORE_UNAVAILABLE and (endpoint is None or endpoint.survives_outage)
            kept = snapshot.key_of_outage(api_key) if spared else None
            if kept is None:
                raise
            view = kept
        account = self._accounts.get(api_key)
        if account is None or account.view is not view:
            if len(self._accounts) >= 100_000:
                self._accounts.clear()
            account = self._accounts[api_key] = VenueAccount(view, self._door.venues)
        return account

    async def _verified(
        self, account: VenueAccount, endpoint: Endpoint | None, query: bytes, body: bytes
    ) -> SignedCall:
        names = endpoint.names if endpoint is not None else frozenset[str]()
        now = await account.now_ms()
        call = verified_call(query, body, account.client_key, now=now, names=names)
        if endpoint is not None and endpoint.method != "GET":
            self._seen.remember(call.signature, ends_at=call.ends_at, now=now)
        self._door.snapshot.mark_seen(account.view.key.api_key)
        return call

    # -- gated calls -------------------------------------------------------------------------------------------------
    async def _order(
        self, account: VenueAccount, endpoint: Endpoint, call: SignedCall, action: Action, code: str
    ) -> Answer:
        """Orders, amendments and margin mode: counted in flight before the leverage is looked at."""
        symbols = symbols_of(action)
        upstream_id = account.upstream_id
        spent: Challenge | None = None
        with self._facts.order(upstream_id, symbols):
            facts = await self._facts.of_symbols(upstream_id, account.read, symbols=symbols)
            judged = with_facts(action, facts)
            if not self._allowed_from_snapshot(account, judged):
                now = await self._facts.of_symbols_now(upstream_id, account.read, symbols=symbols)
                judged = with_facts(action, now)
                passage = await self._redeem(account, judged, code)
                if isinstance(passage, Answer):
                    return passage
                spent = passage
            outcome = await self._forward(account, endpoint, call, write(judged))
            if endpoint.action is MARGIN_MODE_SET:
                self._facts.forget(upstream_id)
        return await self._concluded(outcome, spent)

    async def _change_leverage(
        self, account: VenueAccount, endpoint: Endpoint, call: SignedCall, action: Action, code: str
    ) -> Answer:
        """A leverage change has its symbol to itself, from the reading of its exposure to the venue's answer."""
        symbol = action.fields["symbol"]
        spent: Challenge | None = None
        async with self._facts.leverage_change(account.upstream_id, symbol):
            facts: dict[str, Facts] = {symbol: await exposure(account.read, symbol)}
            judged = with_facts(action, facts)
            if not self._allowed_from_snapshot(account, judged):
                passage = await self._redeem(account, judged, code)
                if isinstance(passage, Answer):
                    return passage
                spent = passage
            outcome = await self._forward(account, endpoint, call, write(judged))
        return await self._concluded(outcome, spent)

    def _allowed_from_snapshot(self, account: VenueAccount, action: Action) -> bool:
        view = account.view
        if not view.account.active:
            raise Refused(Reason.ACCOUNT_LOCKED)
        standing = view.account.standing(action.type.environment, legacy_key=view.key.legacy)
        decision = decide(self._door.world.policy(), action, standing)
        self._door.meter.decision(decision.outcome.value, decision.why.value, action.type.name)
        # What the policy leaves open on purpose is written down each time, so it takes the way through the store.
        return decision.outcome is Decided.ALLOW and decision.why is not Why.UNSAFE_ALLOW

    async def _redeem(self, account: VenueAccount, action: Action, code: str) -> Answer | Challenge | None:
        """Spend the approval this very call has, or ask for one. Unless it is an answer, it may be forwarded, once."""
        key, door = account.view.key, self._door
        intent = Intent(key.account_id, key.principal, account.upstream_id, action)
        answer = await door.store.run(lambda tx: redeem_or_ask(tx, door.world, intent=intent))
        if isinstance(answer, Asked) and code and key.otp_allowed and answer.challenge.state is State.PENDING:
            await self._prove(key.account_id, key.principal, answer.challenge.challenge_id, code)
            answer = await door.store.run(lambda tx: redeem_or_ask(tx, door.world, intent=intent))
        if isinstance(answer, Allowed):
            return None
        if isinstance(answer, Redeemed):
            return answer.challenge
        challenge = answer.challenge
        return refusals.step_up(
            challenge,
            url=door.world.approval_url.format(challenge=challenge.challenge_id),
            now_ms=door.clock.now_ms(),
            otp_allowed=key.otp_allowed,
            waiting_for_facts=challenge.state is State.APPROVED,
        )

    async def _prove(self, account_id: str, principal: str, challenge_id: str, code: str) -> None:
        """A code that came with the call, from a key that opted in: for terminals with a human in front."""
        if not is_code(code):
            raise Refused(Reason.WRONG_CODE)
        world = self._door.world
        await self._door.store.run(
            lambda tx: prove(
                tx,
                world,
                account_id=account_id,
                answered_by=principal,
                challenge_ids=[challenge_id],
                code=code,
            )
        )

    async def _concluded(self, outcome: Outcome, spent: Challenge | None) -> Answer:
        """Pass the outcome on. Behind a spent grant, one that nobody knows is recorded and told (B45)."""
        unknown = isinstance(outcome, Unknown) or (isinstance(outcome, Answered) and outcome.status >= 500)
        if spent is not None and unknown:
            reason = outcome.reason if isinstance(outcome, Unknown) else "venue_error"
            door = self._door
            try:
                await door.store.run(lambda tx: note_unknown(tx, door.world, challenge=spent, reason=reason))
            except Refused:
                _log.exception("an unknown outcome could not be recorded", challenge=spent.challenge_id)
        return _passed_on(outcome)

    # -- forwarding --------------------------------------------------------------------------------------------------
    async def _forward(
        self, account: VenueAccount, endpoint: Endpoint, call: SignedCall, parameters: Iterable[tuple[str, str]]
    ) -> Outcome:
        return await account.send_signed(
            account.base(endpoint.base),
            endpoint.method,
            endpoint.path,
            parameters,
            timestamp=call.timestamp,
            receive_window=call.receive_window,
        )

    async def _public(self, endpoint: Endpoint, query: bytes, body: bytes) -> Answer:
        """Market data, which clients ask for without a key."""
        parameters = _known(endpoint, unsigned_parameters(query, body))
        base = self._door.public_base_urls.get(endpoint.base)
        if base is None:
            return refusals.answer(refusals.PATH_NOT_ALLOWED)
        pool = await self._door.venues.pool(base)
        wire = urlencode(list(parameters.items()), quote_via=quote).encode()
        return _passed_on(await pool.send(base, endpoint.method, endpoint.path, query=wire))

    async def _poll(self, challenge_id: str, scope: Scope, query: bytes, body: bytes) -> Answer:
        """The asking key looks after its own challenge; anybody else's is unknown to it (semantics 13, B47)."""
        account = await self._account(_header(scope, b"x-mbx-apikey"), None)
        call = await self._verified(account, None, query, body)
        if call.parameters:
            raise UnreadParameter("Not all sent parameters were read; this call takes none.")
        key = account.view.key
        found = None
        if is_id("ch", challenge_id):
            found = await self._door.store.read(lambda tx: tx.challenge(key.account_id, challenge_id))
        if found is None or found.principal != key.principal:
            raise Refused(Reason.UNKNOWN_ID)
        state = {
            "challenge": found.challenge_id,
            "state": found.state_at(self._door.clock.now_ms()).value,
            "action": found.action,
            "expiresAt": found.grant_expires_at or found.expires_at,
        }
        return Answer(200, (refusals.JSON_TYPE, refusals.NO_STORE), json.dumps(state).encode())


def _passed_on(outcome: Outcome) -> Answer:
    """The venue's answer as it came; for an answer that did not come, what is known of the execution."""
    if isinstance(outcome, Answered):
        headers = tuple((name.encode(), value.encode("latin-1")) for name, value in outcome.headers)
        return Answer(outcome.status, headers, outcome.body)
    if isinstance(outcome, NotSent):
        return refusals.answer(refusals.NOT_SENT)
    return refusals.answer(refusals.UNKNOWN_OUTCOME)


def _known(endpoint: Endpoint, parameters: Mapping[str, str]) -> Mapping[str, str]:
    for name in parameters:
        if name not in endpoint.names:
            raise UnreadParameter(f"Not all sent parameters were read; '{name}' is not known here.")
    return parameters


def _header(scope: Scope, name: bytes) -> str:
    for sent, value in scope["headers"]:
        if sent == name:
            return str(value.decode("latin-1"))
    return ""


async def _body(receive: Receive) -> bytes | None:
    """The whole body, None when the client went away."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > BODY_LIMIT:
            return None
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
