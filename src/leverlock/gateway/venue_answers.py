"""What the venue's answers say of an account, read strictly: what is not as documented says nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from leverlock.domain.action import Facts

READ_SECONDS: Final = 0.5  # a call never waits longer for facts; the fastest client gives up after one second

# Reads one signed path of an upstream account; the JSON answer, or None when it did not come.
VenueRead = Callable[[str, Mapping[str, str]], Awaitable[Any]]


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
    symbols = configured_symbols(configuration)
    if symbols is None or symbol not in symbols:
        # The venue may take this spelling for one that it knows, and yet find nothing open under it.
        return {}
    facts["current_leverage"] = symbols[symbol]["leverage"]
    facts["leverage"] = symbols[symbol]["leverage"]
    if all(isinstance(found, list) for found in (positions, orders, algos)):
        facts["exposed"] = "true" if orders or algos or any(_open(position) for position in positions) else "false"
    return facts


async def setting(read: VenueRead, symbol: str) -> Facts:
    """Current leverage and margin mode of a symbol; nothing when they are not told."""
    try:
        found = await asyncio.wait_for(read("/fapi/v1/symbolConfig", {"symbol": symbol}), READ_SECONDS)
    except TimeoutError:
        return {}
    return (configured_symbols(found) or {}).get(symbol, {})


async def asset_mode(read: VenueRead, _symbol: str) -> Facts:
    """Whether the account is in multi-assets mode; nothing when it is not told."""
    try:
        found = await asyncio.wait_for(read("/fapi/v1/multiAssetsMargin", {}), READ_SECONDS)
    except TimeoutError:
        return {}
    told = found.get("multiAssetsMargin") if isinstance(found, dict) else None
    return {"current_multi_assets": "true" if told else "false"} if isinstance(told, bool) else {}


def _open(position: Any) -> bool:
    """Whether a position is open; anything unreadable counts as open."""
    try:
        return float(position["positionAmt"]) != 0
    except (TypeError, KeyError, ValueError):
        return True


def configured_symbols(found: Any) -> dict[str, Facts] | None:
    """The venue's list as facts by symbol. What is not as documented, or said in two ways, is left out: unknown."""
    if not isinstance(found, list):
        return None
    symbols: dict[str, Facts] = {}
    contradicted: set[str] = set()
    for row in found:
        if not isinstance(row, dict):
            continue
        symbol, leverage, margin = row.get("symbol"), row.get("leverage"), row.get("marginType")
        plain_number = isinstance(leverage, int) and not isinstance(leverage, bool) and leverage > 0
        if isinstance(symbol, str) and plain_number and margin in ("ISOLATED", "CROSSED"):
            told = {"leverage": str(leverage), "margin_mode": margin, "current_margin_mode": margin}
            if symbols.setdefault(symbol, told) != told:
                contradicted.add(symbol)
        elif isinstance(symbol, str):
            contradicted.add(symbol)
    for symbol in contradicted:
        symbols.pop(symbol, None)
    return symbols


def decoded(body: bytes) -> Any:
    """A venue's JSON answer, None when it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
