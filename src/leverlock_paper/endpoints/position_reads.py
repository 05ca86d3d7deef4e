"""Positions as the venue writes them, in the two versions of `positionRisk`."""

from __future__ import annotations

from decimal import Decimal

from leverlock_paper.endpoints.adl import rank_of
from leverlock_paper.margin import AccountView, Exposure, settings_of, view_account
from leverlock_paper.numbers import ZERO, eight, places, plain
from leverlock_paper.orders import TAKER_FEE
from leverlock_paper.positions import Position
from leverlock_paper.symbols import SYMBOLS, Symbol
from leverlock_paper.venue import Call


def position_risk_v3(call: Call) -> object:
    """Only symbols with a position or an open order, as the real v3."""
    wanted = call.optional_symbol()
    view = view_account(call.venue, call.account, call.now)
    documents: list[dict[str, object]] = []
    for exposure in view.exposures.values():
        if wanted is not None and exposure.symbol is not wanted:
            continue
        sides = {p.side for p in exposure.positions} | set(exposure.bids) | set(exposure.asks)
        for side in sorted(sides):
            documents.append(_risk_v3(call, view, exposure.symbol, side))
    return documents


def _risk_v3(call: Call, view: AccountView, symbol: Symbol, side: str) -> dict[str, object]:
    exposure, position = exposure_and_position(call, view, symbol, side)
    return {
        **_risk(view, exposure, position),
        "marginAsset": "USDT",
        **margin_fields(view, exposure, position),
        "adl": rank_of(call, position, exposure.mark),
        "bidNotional": plain(exposure.bids.get(side, ZERO)),
        "askNotional": plain(exposure.asks.get(side, ZERO)),
    }


def position_risk_v2(call: Call) -> object:
    """Every symbol, with leverage and margin type, as the real v2."""
    wanted = call.optional_symbol()
    view = view_account(call.venue, call.account, call.now)
    documents: list[dict[str, object]] = []
    for symbol in SYMBOLS.values() if wanted is None else (wanted,):
        for side in ("BOTH", "LONG", "SHORT") if view.hedge else ("BOTH",):
            exposure, position = exposure_and_position(call, view, symbol, side)
            documents.append(
                _risk(view, exposure, position)
                | {
                    "leverage": str(exposure.leverage),
                    "maxNotionalValue": plain(symbol.most_notional(exposure.leverage)),
                    "marginType": "isolated" if exposure.isolated else "cross",
                    "isAutoAddMargin": "false",
                }
            )
    return documents


def _risk(view: AccountView, exposure: Exposure, position: Position) -> dict[str, object]:
    symbol = exposure.symbol
    liquidation = view.liquidation_price(position) if position.amount else ZERO
    return {
        "symbol": symbol.name,
        "positionSide": position.side,
        "positionAmt": places(position.amount, symbol.quantity_precision),
        "entryPrice": plain(position.entry_price) if position.amount else "0.0",
        "breakEvenPrice": plain(break_even(position)) if position.amount else "0.0",
        "markPrice": eight(exposure.mark),
        "unRealizedProfit": eight(position.unrealized(exposure.mark)),
        "liquidationPrice": plain(liquidation),
        "isolatedMargin": isolated_margin(exposure, position),
        "notional": eight(position.amount * exposure.mark),
        "isolatedWallet": eight(position.isolated_wallet),
        "updateTime": position.update_time,
    }


def exposure_and_position(call: Call, view: AccountView, symbol: Symbol, side: str) -> tuple[Exposure, Position]:
    exposure = view.exposures.get(symbol.name)
    if exposure is None:
        leverage, isolated = settings_of(call.db, call.account, symbol.name)
        exposure = Exposure(symbol, call.venue.book.mark(symbol, call.now), leverage, isolated)
    for position in exposure.positions:
        if position.side == side:
            return exposure, position
    return exposure, Position(call.account, symbol.name, side, ZERO, ZERO, ZERO, exposure.isolated, 0)


def break_even(position: Position) -> Decimal:
    """Entry price with the two taker fees of a way in and out."""
    sign = 1 if position.amount >= 0 else -1
    return (position.entry_price * (1 + sign * 2 * TAKER_FEE)).quantize(position.entry_price or ZERO)


def margin_fields(view: AccountView, exposure: Exposure, position: Position) -> dict[str, object]:
    notional = position.amount * exposure.mark
    initial = abs(notional) / exposure.leverage
    return {
        "initialMargin": eight(initial + exposure.order_margin),
        "maintMargin": eight(exposure.symbol.maintenance_margin(notional)),
        "positionInitialMargin": eight(initial),
        "openOrderInitialMargin": eight(exposure.order_margin),
    }


def isolated_margin(exposure: Exposure, position: Position) -> str:
    return eight(position.isolated_wallet + position.unrealized(exposure.mark) if position.isolated else ZERO)
