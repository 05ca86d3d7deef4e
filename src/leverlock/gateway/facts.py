"""What the venue says of a symbol, how old that is, and what is on its way there.

Leverage is a setting of the account's symbol at the venue and changes behind our back, so it is read, kept for at most
`leverage_fresh_ms`, and read again before an approval is spent. An order and a leverage change of one symbol are kept
apart: an order counts itself in flight before it looks at the leverage; a leverage change marks the symbol, waits until
nothing is in flight, and only then reads, decides and forwards. While the mark stands the leverage is unknown, and
unknown means challenge.

This lives in memory: it holds for one gateway process.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from leverlock.domain.action import Facts
from leverlock.domain.limits import Limits
from leverlock.ports import Clock

READ_SECONDS: Final = 0.5  # a caller never waits longer for a fact; the fastest client gives up after one second
DRAIN_SECONDS: Final = 0.8  # how long a leverage change waits for orders in flight
KEPT_ACCOUNTS: Final = 10_000

# Reads one signed path of an upstream account; the JSON answer, or None when it did not come.
VenueRead = Callable[[str, Mapping[str, str]], Awaitable[Any]]


class LeverageBusy(Exception):
    """Orders of the symbol stayed in flight for too long; nothing was changed."""


@dataclass(frozen=True, slots=True)
class _Configuration:
    """The account's symbols as one read found them."""

    read_at: int
    symbols: Mapping[str, Facts]


@dataclass(slots=True)
class _Lane:
    """One symbol of one upstream account."""

    in_flight: int = 0
    marks: int = 0
    drained: asyncio.Event | None = None


class VenueFacts:
    """Facts and lanes of every upstream account that this process serves."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._known: dict[str, _Configuration] = {}
        self._reading: dict[str, asyncio.Task[_Configuration | None]] = {}
        self._lanes: dict[tuple[str, str], _Lane] = {}

    # -- facts -------------------------------------------------------------------------------------------------------
    async def of_symbols(self, upstream_id: str, read: VenueRead, *, symbols: Collection[str]) -> Mapping[str, Facts]:
        """Facts fresh enough to allow an ordinary order; marked symbols and what cannot be read are left out.

        From half their life on they are renewed in the background, so that a busy client never waits for a read.
        """
        known = self._known.get(upstream_id)
        age = self._clock.now_ms() - known.read_at if known is not None else self._limits.leverage_fresh_ms + 1
        if known is None or age > self._limits.leverage_fresh_ms:
            known = await self._wait(self._begin(upstream_id, read))
        elif age > self._limits.leverage_fresh_ms // 2:
            self._begin(upstream_id, read)
        return self._unmarked(upstream_id, known, symbols)

    async def of_symbols_now(
        self, upstream_id: str, read: VenueRead, *, symbols: Collection[str]
    ) -> Mapping[str, Facts]:
        """Facts read after this call began: what an approval is compared with before it is spent."""
        known = await self._wait(asyncio.ensure_future(self._read(upstream_id, read)))
        return self._unmarked(upstream_id, known, symbols)

    def forget(self, upstream_id: str) -> None:
        """Something that was forwarded may have changed the facts."""
        self._known.pop(upstream_id, None)
        self._reading.pop(upstream_id, None)

    def _unmarked(
        self, upstream_id: str, known: _Configuration | None, symbols: Collection[str]
    ) -> Mapping[str, Facts]:
        if known is None:
            return {}
        return {
            symbol: known.symbols[symbol]
            for symbol in symbols
            if symbol in known.symbols and not self._marked(upstream_id, symbol)
        }

    def _begin(self, upstream_id: str, read: VenueRead) -> asyncio.Task[_Configuration | None]:
        running = self._reading.get(upstream_id)
        if running is None or running.done():
            running = asyncio.ensure_future(self._read(upstream_id, read))
            self._reading[upstream_id] = running
        return running

    async def _wait(self, reading: asyncio.Future[_Configuration | None]) -> _Configuration | None:
        try:
            return await asyncio.wait_for(asyncio.shield(reading), READ_SECONDS)
        except TimeoutError:
            return None

    async def _read(self, upstream_id: str, read: VenueRead) -> _Configuration | None:
        began = self._clock.now_ms()
        found = await read("/fapi/v1/symbolConfig", {})
        symbols = _symbols(found)
        if symbols is None:
            return None
        configuration = _Configuration(began, symbols)
        latest = self._known.get(upstream_id)
        if latest is None or latest.read_at < began:
            if len(self._known) >= KEPT_ACCOUNTS:
                self._known.clear()
            self._known[upstream_id] = configuration
        return configuration

    # -- lanes -------------------------------------------------------------------------------------------------------
    @contextmanager
    def order(self, upstream_id: str, symbols: Collection[str]) -> Iterator[None]:
        """Count an order in flight from before its leverage is looked at until the venue has answered."""
        lanes = [self._lanes.setdefault((upstream_id, symbol), _Lane()) for symbol in symbols]
        for lane in lanes:
            lane.in_flight += 1
        try:
            yield
        finally:
            for symbol, lane in zip(symbols, lanes, strict=True):
                lane.in_flight -= 1
                if lane.in_flight == 0 and lane.drained is not None:
                    lane.drained.set()
                self._drop_idle(upstream_id, symbol, lane)

    @asynccontextmanager
    async def leverage_change(self, upstream_id: str, symbol: str) -> AsyncIterator[None]:
        """Have the symbol to oneself. Raises LeverageBusy when another change, or an order, does not make way."""
        lane = self._lanes.setdefault((upstream_id, symbol), _Lane())
        if lane.marks:
            raise LeverageBusy
        lane.marks += 1
        try:
            if lane.in_flight:
                lane.drained = asyncio.Event()
                try:
                    await asyncio.wait_for(lane.drained.wait(), DRAIN_SECONDS)
                except TimeoutError:
                    raise LeverageBusy from None
                finally:
                    lane.drained = None
            yield
        finally:
            self.forget(upstream_id)
            lane.marks -= 1
            self._drop_idle(upstream_id, symbol, lane)

    def _marked(self, upstream_id: str, symbol: str) -> bool:
        lane = self._lanes.get((upstream_id, symbol))
        return lane is not None and lane.marks > 0

    def _drop_idle(self, upstream_id: str, symbol: str, lane: _Lane) -> None:
        if not lane.in_flight and not lane.marks:
            self._lanes.pop((upstream_id, symbol), None)


async def exposure(read: VenueRead, symbol: str) -> Facts:
    """Current leverage of a symbol, and whether a position or an order of it is open; what is not told is left out."""
    wanted = {"symbol": symbol}
    try:
        answers = await asyncio.wait_for(
            asyncio.gather(
                read("/fapi/v1/symbolConfig", wanted),
                read("/fapi/v3/positionRisk", wanted),
                read("/fapi/v1/openOrders", wanted),
                read("/fapi/v1/openAlgoOrders", wanted),
            ),
            READ_SECONDS,
        )
    except TimeoutError:
        return {}
    configuration, positions, orders, algos = answers
    facts: dict[str, str] = {}
    symbols = _symbols(configuration)
    if symbols is not None and symbol in symbols:
        facts["current_leverage"] = symbols[symbol]["leverage"]
        facts["leverage"] = symbols[symbol]["leverage"]
    if all(isinstance(found, list) for found in (positions, orders, algos)):
        facts["exposed"] = "true" if orders or algos or any(_open(position) for position in positions) else "false"
    return facts


def _open(position: Any) -> bool:
    """Whether a position is open; anything unreadable counts as open."""
    try:
        return float(position["positionAmt"]) != 0
    except (TypeError, KeyError, ValueError):
        return True


def _symbols(found: Any) -> dict[str, Facts] | None:
    """The venue's list as facts by symbol. A row that is not as documented is left out: its leverage is unknown."""
    if not isinstance(found, list):
        return None
    symbols: dict[str, Facts] = {}
    for row in found:
        if not isinstance(row, dict):
            continue
        symbol, leverage, margin = row.get("symbol"), row.get("leverage"), row.get("marginType")
        plain_number = isinstance(leverage, int) and not isinstance(leverage, bool) and leverage > 0
        if isinstance(symbol, str) and plain_number and margin in ("ISOLATED", "CROSSED"):
            symbols[symbol] = {"leverage": str(leverage), "margin_mode": margin}
    return symbols


def decoded(body: bytes) -> Any:
    """A venue's JSON answer, None when it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
