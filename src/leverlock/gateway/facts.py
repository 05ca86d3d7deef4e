"""What the venue says of a symbol, how old that is, and what is on its way there.

Leverage is a setting of the account's symbol at the venue and changes behind our back, so it is read, kept for at most
`leverage_fresh_ms`, and read again before an approval is spent. An order and a change (of leverage or margin mode) of
one symbol are kept apart: an order counts itself in flight before it looks at the leverage; a change marks the symbol,
waits until nothing is in flight, and only then reads, decides and forwards. While the mark stands the leverage is
unknown, and unknown means challenge. When a change ends, every reading that began before its end is void, also one that
is still on its way back: it may show the symbol as it was.

A call whose outcome nobody knows may still arrive: what it held is held until the venue would refuse it as too old.

This lives in memory: it holds for one gateway process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import structlog

from leverlock.domain.action import Facts
from leverlock.domain.limits import Limits
from leverlock.gateway.venue_answers import READ_SECONDS, VenueRead, configured_symbols
from leverlock.ports import Clock

_log = structlog.get_logger("leverlock.gateway")

DRAIN_SECONDS: Final = 0.8  # how long a change waits for orders in flight
LINGER_MARGIN_SECONDS: Final = 1.0  # a call that the venue took in the last millisecond of its window is acted on then
KEPT_ACCOUNTS: Final = 10_000


class SymbolBusy(Exception):
    """Orders of the symbol stayed in flight for too long; nothing was changed."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """The account's symbols as one read found them. `number` orders readings, changes and calls by their begin."""

    number: int
    read_at: int
    symbols: Mapping[str, Facts]


@dataclass(frozen=True, slots=True)
class _Begun:
    """A read on its way, begun at `at` of the loop's clock."""

    number: int
    at: float
    task: asyncio.Task[_Reading | None]


@dataclass(slots=True)
class _Lane:
    """One symbol of one upstream account."""

    in_flight: int = 0
    marks: int = 0
    drained: asyncio.Event | None = None


@dataclass(slots=True)
class LaneHold:
    """What a call holds of its lanes. `linger_seconds`: for how long after its end, because it may still arrive."""

    linger_seconds: float = 0.0

    def linger(self, seconds: float) -> None:
        """The outcome is unknown, and the venue takes the call for so long still."""
        self.linger_seconds = max(seconds, 0.0) + LINGER_MARGIN_SECONDS


class VenueFacts:
    """Facts and lanes of every upstream account that this process serves."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._numbers = count(1)
        self._known: dict[str, _Reading] = {}
        self._begun: dict[str, _Begun] = {}
        self._running: set[asyncio.Task[_Reading | None]] = set()  # also those that were forgotten
        self._void: dict[str, int] = {}  # readings up to this number are void
        self._all_void = 0
        self._lanes: dict[tuple[str, str], _Lane] = {}

    # -- facts -------------------------------------------------------------------------------------------------------
    def asked_by_call(self, upstream_id: str, read: VenueRead, symbols: Collection[str]) -> CallFacts:
        """The facts of one call that arrives now."""
        return CallFacts(self, upstream_id, read, symbols, next(self._numbers))

    def forget(self, upstream_id: str) -> None:
        """Something that was forwarded may have changed the facts: readings that began before now are void."""
        if len(self._void) >= KEPT_ACCOUNTS:
            self._void.clear()
            self._all_void = next(self._numbers)
        self._void[upstream_id] = next(self._numbers)
        self._known.pop(upstream_id, None)
        self._begun.pop(upstream_id, None)

    def fresh(self, reading: _Reading | None, *, part: float = 1.0) -> _Reading | None:
        """The reading, unless it is older than (that part of) its life. A clock set back makes nothing younger."""
        if reading is None or not 0 <= self._clock.now_ms() - reading.read_at <= self._limits.leverage_fresh_ms * part:
            return None
        return reading

    def latest(self, upstream_id: str) -> _Reading | None:
        """The latest reading, if it is fresh."""
        return self.fresh(self._known.get(upstream_id))

    def begin(self, upstream_id: str, read: VenueRead, *, after: int = 0) -> _Begun:
        """A read on its way that began after number `after`; begun now unless one may still be in time."""
        running, at = self._begun.get(upstream_id), asyncio.get_running_loop().time()
        if running is None or running.task.done() or running.number <= after or at - running.at >= READ_SECONDS:
            number = next(self._numbers)
            running = _Begun(number, at, asyncio.ensure_future(self._read(upstream_id, read, number)))
            self._begun[upstream_id] = running
            self._running.add(running.task)
            running.task.add_done_callback(self._running.discard)
        return running

    def unmarked(self, upstream_id: str, reading: _Reading | None, symbols: Collection[str]) -> Mapping[str, Facts]:
        """What the reading says of these symbols now: nothing if it is void, or of a symbol that is being changed."""
        if reading is None or not self._holds(upstream_id, reading):
            return {}
        return {
            symbol: reading.symbols[symbol]
            for symbol in symbols
            if symbol in reading.symbols and not self._marked(upstream_id, symbol)
        }

    def _holds(self, upstream_id: str, reading: _Reading) -> bool:
        return reading.number > max(self._void.get(upstream_id, 0), self._all_void)

    async def _read(self, upstream_id: str, read: VenueRead, number: int) -> _Reading | None:
        began = self._clock.now_ms()
        try:
            symbols = configured_symbols(await read("/fapi/v1/symbolConfig", {}))
        except Exception:
            _log.exception("the venue's facts could not be read")
            return None
        if symbols is None:
            return None
        reading = _Reading(number, began, symbols)
        latest = self._known.get(upstream_id)
        if self._holds(upstream_id, reading) and (latest is None or latest.number < number):
            if len(self._known) >= KEPT_ACCOUNTS:
                self._known.clear()
            self._known[upstream_id] = reading
        return reading

    # -- lanes -------------------------------------------------------------------------------------------------------
    @contextmanager
    def order(self, upstream_id: str, symbols: Collection[str]) -> Iterator[LaneHold]:
        """Count an order in flight from before its leverage is looked at until the venue has answered."""
        for symbol in symbols:
            self._lanes.setdefault((upstream_id, symbol), _Lane()).in_flight += 1
        hold = LaneHold()
        try:
            yield hold
        finally:
            _after(hold.linger_seconds, self._landed, upstream_id, symbols)

    def _landed(self, upstream_id: str, symbols: Collection[str]) -> None:
        for symbol in symbols:
            lane = self._lanes[upstream_id, symbol]
            lane.in_flight -= 1
            if lane.in_flight == 0 and lane.drained is not None:
                lane.drained.set()
            self._drop_idle(upstream_id, symbol, lane)

    @asynccontextmanager
    async def change(self, upstream_id: str, symbol: str) -> AsyncIterator[LaneHold]:
        """Have the symbol to oneself. Raises SymbolBusy when another change, or an order, does not make way."""
        lane = self._lanes.setdefault((upstream_id, symbol), _Lane())
        if lane.marks:
            raise SymbolBusy
        lane.marks += 1
        hold = LaneHold()
        try:
            if lane.in_flight:
                await _drained(lane)
            yield hold
        finally:
            _after(hold.linger_seconds, self._changed, upstream_id, symbol)

    def _changed(self, upstream_id: str, symbol: str) -> None:
        lane = self._lanes[upstream_id, symbol]
        self.forget(upstream_id)
        lane.marks -= 1
        self._drop_idle(upstream_id, symbol, lane)

    def _marked(self, upstream_id: str, symbol: str) -> bool:
        lane = self._lanes.get((upstream_id, symbol))
        return lane is not None and lane.marks > 0

    def _drop_idle(self, upstream_id: str, symbol: str, lane: _Lane) -> None:
        if not lane.in_flight and not lane.marks:
            self._lanes.pop((upstream_id, symbol), None)


class CallFacts:
    """What one call may learn of its symbols; it waits READ_SECONDS in all. Symbols nobody told of are left out."""

    def __init__(
        self, facts: VenueFacts, upstream_id: str, read: VenueRead, symbols: Collection[str], arrived: int
    ) -> None:
        self._facts = facts
        self._upstream_id = upstream_id
        self._read = read
        self._symbols = symbols
        self._arrived = arrived
        self._until = asyncio.get_running_loop().time() + READ_SECONDS

    async def recent(self) -> Mapping[str, Facts]:
        """Facts fresh enough to allow an ordinary order.

        From half their life on they are renewed in the background, so that a busy client never waits for a read.
        """
        if not self._symbols:
            return {}
        facts, upstream_id = self._facts, self._upstream_id
        known = facts.latest(upstream_id)
        if known is None:
            known = facts.fresh(await self._reading(after=0))
        elif facts.fresh(known, part=0.5) is None:
            facts.begin(upstream_id, self._read)
        return facts.unmarked(upstream_id, known, self._symbols)

    async def now(self) -> Mapping[str, Facts]:
        """Facts read after this call arrived: what an approval is compared with before it is spent."""
        if not self._symbols:
            return {}
        facts, upstream_id = self._facts, self._upstream_id
        known = facts.latest(upstream_id)
        if known is None or known.number <= self._arrived:
            known = await self._reading(after=self._arrived)
        return facts.unmarked(upstream_id, known, self._symbols)

    async def _reading(self, *, after: int) -> _Reading | None:
        """A reading that began after number `after`, None when it did not come in the time this call has left."""
        left = self._until - asyncio.get_running_loop().time()
        if left <= 0:
            return None
        begun = self._facts.begin(self._upstream_id, self._read, after=after)
        try:
            return await asyncio.wait_for(asyncio.shield(begun.task), left)
        except TimeoutError:
            return None


async def _drained(lane: _Lane) -> None:
    lane.drained = asyncio.Event()
    try:
        await asyncio.wait_for(lane.drained.wait(), DRAIN_SECONDS)
    except TimeoutError:
        raise SymbolBusy from None
    finally:
        lane.drained = None


def _after(seconds: float, release: Callable[[str, Any], None], upstream_id: str, held: Any) -> None:
    """Release at once, or when a call of unknown outcome can arrive no more."""
    if seconds:
        asyncio.get_running_loop().call_later(seconds, release, upstream_id, held)
    else:
        release(upstream_id, held)
