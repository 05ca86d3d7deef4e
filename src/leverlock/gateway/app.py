"""The gateway as an ASGI application. One call, from top to bottom of `Gateway.handle`:

1. the path is canonical and in the table, or the call is refused;
2. the key is known and comes from an address of its list, its signature covers the very bytes, its window holds, it
   was not seen before, and the key has the scope that the row needs (`callers`);
3. one parse makes the action that is judged and, from the same object, what is forwarded (`binance.codec`);
4. an ordinary action is decided from the snapshot and touches no database (`gate`);
5. anything else is decided, and an approval spent, in one transaction, committed before anything is sent (`gate`);
6. the call is signed with the venue's key and sent once. What comes back is passed on; what does not is *unknown*.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from leverlock import access_log
from leverlock.correlation import begin, current
from leverlock.domain.action import Action, Facts
from leverlock.domain.challenge import Challenge
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import is_id
from leverlock.domain.setting_actions import MULTI_ASSETS_SET
from leverlock.domain.trading_actions import LEVERAGE_SET, MARGIN_MODE_SET
from leverlock.gateway import refusals
from leverlock.gateway.asgi import BodyTooLarge, Receive, Scope, Send, header, lifespan, peer, send_answer, whole_body
from leverlock.gateway.binance.codec import chosen, read, symbols_of, with_facts, write
from leverlock.gateway.binance.endpoints import ENDPOINTS, Access, Endpoint
from leverlock.gateway.binance.errors import BinanceError, UnreadParameter
from leverlock.gateway.binance.forms import Form
from leverlock.gateway.binance.parameters import unsigned_parameters
from leverlock.gateway.binance.signature import SignedCall
from leverlock.gateway.callers import Callers
from leverlock.gateway.facts import LaneHold, SymbolBusy, VenueFacts
from leverlock.gateway.forwarding import forward, known, passed_on, plain_query, unknown_reason
from leverlock.gateway.gate import CancelRuled, Gate
from leverlock.gateway.parts import GatewayParts, Meter
from leverlock.gateway.refusals import Answer
from leverlock.gateway.replay import ReplayRefused
from leverlock.gateway.target import NonCanonicalTarget, canonical_path
from leverlock.gateway.upstream import Outcome
from leverlock.gateway.venue import VenueAccount
from leverlock.gateway.venue_answers import VenueRead, asset_mode, exposure, setting

__all__ = ["Gateway", "GatewayParts", "Meter"]

_log = structlog.get_logger("leverlock.gateway")

CHALLENGES: Final = "/leverlock/v1/challenges/"


# What is read at the venue before a setting is changed: a reader, told the symbol that it concerns.
LOOKS: Final[Mapping[str, Callable[[VenueRead, str], Awaitable[Facts]]]] = {
    LEVERAGE_SET.name: exposure,
    MARGIN_MODE_SET.name: setting,
    MULTI_ASSETS_SET.name: asset_mode,
}

_TYPED: Final = (NonCanonicalTarget, BinanceError, ReplayRefused, SymbolBusy, CancelRuled, Refused)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A verified call that does something: what it means, and the form in which it leaves. `code`: sent with it."""

    endpoint: Endpoint
    call: SignedCall
    form: Form
    action: Action
    code: str


class Gateway:
    """The ASGI application of the venue paths."""

    def __init__(self, parts: GatewayParts) -> None:
        self._parts = parts
        self._callers = Callers(parts.snapshot, parts.venues)
        self._facts = VenueFacts(parts.clock, parts.world.limits)
        self._gate = Gate(parts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            body = await whole_body(receive)
        except BodyTooLarge:
            await send_answer(send, refusals.answer(refusals.TOO_LARGE))
            return
        if body is None:
            return
        began, correlation = time.perf_counter(), begin()
        answer = await self.answer(scope, body)
        await send_answer(send, answer)
        row = ENDPOINTS.get((scope["method"], scope["raw_path"].decode("latin-1")))
        method, route = (row.method, row.path) if row is not None else ("other", "none")
        seconds = time.perf_counter() - began
        access_log.note("gateway", method, route, answer.status, seconds=seconds, correlation=correlation.made)

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """What to answer; every refusal is typed, and nothing is executed behind one."""
        try:
            try:
                return await self.handle(scope, body)
            except _TYPED as problem:
                return _refusal(problem)
        except Exception:
            # The last resort: the process lives on, the caller learns an id and nothing else (B92).
            correlation = current() or begin()
            _log.exception("a call failed")
            return refusals.failure(correlation.id)

    async def handle(self, scope: Scope, body: bytes) -> Answer:
        """One call. Raises BinanceError, ReplayRefused, SymbolBusy, Refused."""
        path = canonical_path(scope["raw_path"])
        query: bytes = scope["query_string"]
        if path.startswith(CHALLENGES) and scope["method"] == "GET":
            return await self._poll(path.removeprefix(CHALLENGES), scope, query, body)
        endpoint = ENDPOINTS.get((scope["method"], path))
        if endpoint is None:
            return refusals.answer(refusals.PATH_NOT_ALLOWED)
        if endpoint.access is Access.PUBLIC:
            return await self._public(endpoint, query, body)
        account = await self._callers.account(header(scope, b"x-mbx-apikey"), endpoint, peer=peer(scope))
        if not account.reaches(endpoint.base):
            return refusals.answer(refusals.PATH_NOT_ALLOWED)
        if endpoint.access is Access.KEY:
            self._callers.must_have_scope(account, endpoint)
            if b"signature=" in query + body:  # some clients sign what the venue takes unsigned; then it must hold
                sent = (await self._callers.verified(account, endpoint, query, body)).parameters
            else:
                sent = unsigned_parameters(query, body)
            wire = plain_query(endpoint, sent)
            outcome = await account.send_plain(account.base(endpoint.base), endpoint.method, endpoint.path, wire)
            return passed_on(outcome)
        call = await self._callers.verified(account, endpoint, query, body)
        self._callers.must_have_scope(account, endpoint)
        if endpoint.says is None:
            if endpoint.cancels:
                self._gate.cancel_must_pass(account, endpoint.cancels, call.parameters)
            return passed_on(await forward(account, endpoint, call, known(endpoint, call.parameters).items()))
        form = chosen(endpoint.says, call.parameters)
        wanted = Wanted(endpoint, call, form, read(form, call.parameters), call.otp or header(scope, b"leverlock-code"))
        if form.action.name in LOOKS:
            return await self._change_setting(account, wanted)
        return await self._order(account, wanted)

    async def _order(self, account: VenueAccount, wanted: Wanted) -> Answer:
        """Orders and whatever changes no setting that others are judged by.

        What hangs on the leverage of a symbol is counted in flight before the leverage is looked at.
        """
        upstream_id, symbols = account.upstream_id, symbols_of(wanted.action)
        spent: Challenge | None = None
        with self._facts.order(upstream_id, symbols) as hold:
            facts = self._facts.asked_by_call(upstream_id, account.read, symbols)
            judged = with_facts(wanted.action, await facts.recent())
            if not self._gate.allowed_from_snapshot(account, judged):
                judged = with_facts(wanted.action, await facts.now())
                passage = await self._gate.redeem(account, judged, wanted.code)
                if isinstance(passage, Answer):
                    return passage
                spent = passage
            outcome = await self._execute(account, wanted, judged, spent=spent, hold=hold)
        return passed_on(outcome)

    async def _change_setting(self, account: VenueAccount, wanted: Wanted) -> Answer:
        """A change of a setting has its symbol to itself, or the account's own lane where it concerns the account.

        It has it from the first reading to the venue's answer. Without that, a change that seemed to be none when it
        was judged could undo one that was approved meanwhile.
        """
        action, look = wanted.action, LOOKS[wanted.form.action.name]
        symbol = action.fields.get("symbol", "")
        spent: Challenge | None = None
        async with self._facts.change(account.upstream_id, symbol) as hold:
            judged = with_facts(action, {symbol: await look(account.read, symbol)})
            if not self._gate.allowed_from_snapshot(account, judged):
                passage = await self._gate.redeem(account, judged, wanted.code)
                if isinstance(passage, Answer):
                    return passage
                spent = passage
            outcome = await self._execute(account, wanted, judged, spent=spent, hold=hold)
        return passed_on(outcome)

    async def _execute(
        self, account: VenueAccount, wanted: Wanted, judged: Action, *, spent: Challenge | None, hold: LaneHold
    ) -> Outcome:
        """Forward what was judged. An outcome that nobody knows keeps its lanes, and is told if a grant was spent."""
        reason: str | None = "fault"
        call = wanted.call
        try:
            outcome = await forward(account, wanted.endpoint, call, write(wanted.form, judged))
            reason = unknown_reason(outcome)
        finally:
            if reason is not None:
                hold.linger((call.ends_at - await account.now_ms()) / 1000)
                if spent is not None:
                    await self._gate.note_unknown(spent, reason)
        return outcome

    async def _public(self, endpoint: Endpoint, query: bytes, body: bytes) -> Answer:
        """Market data, which clients ask for without a key."""
        wire = plain_query(endpoint, unsigned_parameters(query, body))
        base = self._parts.public_base_urls.get(endpoint.base)
        if base is None:
            return refusals.answer(refusals.PATH_NOT_ALLOWED)
        pool = await self._parts.venues.public_pool(base)
        return passed_on(await pool.send(base, endpoint.method, endpoint.path, query=wire))

    async def _poll(self, challenge_id: str, scope: Scope, query: bytes, body: bytes) -> Answer:
        """The asking key looks after its own challenge; anybody else's is unknown to it (semantics 13, B47)."""
        account = await self._callers.account(header(scope, b"x-mbx-apikey"), None, peer=peer(scope))
        if not account.reaches("fapi"):
            return refusals.answer(refusals.PATH_NOT_ALLOWED)
        call = await self._callers.verified(account, None, query, body)
        if call.parameters:
            raise UnreadParameter("Not all sent parameters were read; this call takes none.")
        key = account.view.key
        found = None
        if is_id("ch", challenge_id):
            found = await self._parts.store.read(lambda tx: tx.challenge(key.account_id, challenge_id))
        if found is None or found.principal != key.principal:
            raise Refused(Reason.UNKNOWN_ID)
        state = {
            "challenge": found.challenge_id,
            "state": found.state_at(self._parts.clock.now_ms()).value,
            "action": found.action,
            "expiresAt": found.grant_expires_at or found.expires_at,
        }
        return Answer(200, (refusals.JSON_TYPE, refusals.NO_STORE), json.dumps(state).encode())


def _refusal(problem: Exception) -> Answer:
    """A typed refusal in the venue's words. Raises what is no such refusal."""
    match problem:
        case NonCanonicalTarget():
            return refusals.answer(refusals.BAD_TARGET)
        case BinanceError():
            return refusals.answer(refusals.Row(problem.status, problem.code, problem.message))
        case ReplayRefused():
            return refusals.answer(refusals.REPLAYED)
        case SymbolBusy():
            return refusals.answer(refusals.SYMBOL_BUSY)
        case CancelRuled():
            return refusals.answer(refusals.CANCEL_RULED)
        case Refused():
            return refusals.refusal(problem)
        case _:
            raise problem
