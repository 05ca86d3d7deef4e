"""The account as it stands: balances, positions, configuration, open orders."""

from __future__ import annotations

from leverlock_paper import ledger
from leverlock_paper.endpoints.adl import rank_of
from leverlock_paper.endpoints.order_documents import order_document
from leverlock_paper.errors import refusal
from leverlock_paper.margin import COLLATERAL, AccountView, Exposure, settings_of, view_account
from leverlock_paper.numbers import ZERO, eight, places, plain
from leverlock_paper.orders import MAKER_FEE, TAKER_FEE, find_order, open_orders
from leverlock_paper.positions import Position
from leverlock_paper.symbols import SYMBOLS, Symbol
from leverlock_paper.venue import Call

OTHER_ASSETS = ("USDC", "BTC", "ETH", "BNB")


def balance_v3(call: Call) -> object:
    return _balances(call)


def balance_v2(call: Call) -> object:
    return _balances(call)


def _balances(call: Call) -> list[dict[str, object]]:
    view = view_account(call.venue, call.account, call.now)
    held = ledger.balances(call.db, call.account, "FUTURES")
    rows = [
        _balance(
            call,
            "USDT",
            view.wallet,
            view.cross_wallet,
            view.cross_unrealized,
            view.available,
            view.withdrawable,
        )
    ]
    for asset in OTHER_ASSETS:
        amount = held.get(asset, ZERO)
        rows.append(_balance(call, asset, amount, amount, ZERO, amount, amount))
    return rows


def _balance(call: Call, asset: str, *amounts: object) -> dict[str, object]:
    names = ("balance", "crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount")
    document: dict[str, object] = {"accountAlias": f"paper{call.account}", "asset": asset}
    document.update({name: eight(amount) for name, amount in zip(names, amounts, strict=True)})  # type: ignore[arg-type]
    return document | {"marginAvailable": asset == "USDT" or asset in COLLATERAL, "updateTime": call.now}


def account_v3(call: Call) -> object:
    view = view_account(call.venue, call.account, call.now)
    positions = [
        _account_position_v3(view, p, call.now) for e in view.exposures.values() for p in e.positions
    ]
    return _account_totals(view) | {"assets": _assets(call, view), "positions": positions}


def account_v2(call: Call) -> object:
    view = view_account(call.venue, call.account, call.now)
    row = call.account_row()
    head = {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "feeBurn": False,
        "tradeGroupId": -1,
        "updateTime": 0,
        "multiAssetsMargin": bool(row["multi_assets"]),
    }
    positions = [
        _account_position_v2(call, view, symbol, side)
        for symbol in SYMBOLS.values()
        for side in (("LONG", "SHORT") if view.hedge else ("BOTH",))
    ]
    return head | _account_totals(view) | {"assets": _assets(call, view), "positions": positions}


def _account_totals(view: AccountView) -> dict[str, object]:
    return {
        "totalInitialMargin": eight(view.position_margin + view.order_margin),
        "totalMaintMargin": eight(view.maintenance),
        "totalWalletBalance": eight(view.wallet + view.collateral),
        "totalUnrealizedProfit": eight(view.unrealized),
        "totalMarginBalance": eight(view.wallet + view.collateral + view.unrealized),
        "totalPositionInitialMargin": eight(view.position_margin),
        "totalOpenOrderInitialMargin": eight(view.order_margin),
        "totalCrossWalletBalance": eight(view.cross_wallet + view.collateral),
        "totalCrossUnPnl": eight(view.cross_unrealized),
        "availableBalance": eight(view.available),
        "maxWithdrawAmount": eight(view.withdrawable),
    }


def _assets(call: Call, view: AccountView) -> list[dict[str, object]]:
    held = ledger.balances(call.db, call.account, "FUTURES")
    return [
        _asset(call, asset, view if asset == "USDT" else None, held.get(asset, ZERO))
        for asset in ("USDT", *OTHER_ASSETS)
    ]


def _asset(call: Call, asset: str, view: AccountView | None, amount: object) -> dict[str, object]:
    if view is not None:
        row = call.account_row()
        values = (
            view.wallet,
            view.unrealized,
            view.wallet + view.unrealized,
            view.maintenance,
            view.position_margin + view.order_margin,
            view.position_margin,
            view.order_margin,
            view.cross_wallet,
            view.cross_unrealized,
            view.available,
            view.withdrawable,
        )
        updated = max(
            [row["created"], *(p.update_time for e in view.exposures.values() for p in e.positions)]
        )
    else:
        values = (amount, ZERO, amount, ZERO, ZERO, ZERO, ZERO, amount, ZERO, amount, amount)  # type: ignore[assignment]
        # The venue writes zero for an asset that never moved, and clients hide it then.
        updated = call.now if amount else 0
    names = ["walletBalance", "unrealizedProfit", "marginBalance", "maintMargin", "initialMargin", "positionInitialMargin", "openOrderInitialMargin", "crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount"]
    document: dict[str, object] = {"asset": asset}
    document.update({name: eight(value) for name, value in zip(names, values, strict=True)})
    return document | {"marginAvailable": True, "updateTime": updated}


def _margins(view: AccountView, exposure: Exposure, position: Position) -> dict[str, object]:
    notional = position.amount * exposure.mark
    initial = abs(notional) / exposure.leverage
    return {
        "initialMargin": eight(initial + exposure.order_margin),
        "maintMargin": eight(exposure.symbol.maintenance_margin(notional)),
        "positionInitialMargin": eight(initial),
        "openOrderInitialMargin": eight(exposure.order_margin),
    }


def _isolated_margin(exposure: Exposure, position: Position) -> str:
    return eight(position.isolated_wallet + position.unrealized(exposure.mark) if position.isolated else ZERO)


def _account_position_v3(view: AccountView, position: Position, now: int) -> dict[str, object]:
    exposure = view.exposures[position.symbol]
    margins = _margins(view, exposure, position)
    return {
        "symbol": position.symbol,
        "positionSide": position.side,
        "positionAmt": places(position.amount, exposure.symbol.quantity_precision),
        "unrealizedProfit": eight(position.unrealized(exposure.mark)),
        "isolatedMargin": _isolated_margin(exposure, position),
        "notional": eight(position.amount * exposure.mark),
        "isolatedWallet": eight(position.isolated_wallet),
        "initialMargin": margins["initialMargin"],
        "maintMargin": margins["maintMargin"],
        "updateTime": position.update_time,
    }


def _account_position_v2(call: Call, view: AccountView, symbol: Symbol, side: str) -> dict[str, object]:
    exposure, position = _exposure_and_position(call, view, symbol, side)
    return {
        "symbol": symbol.name,
        **_margins(view, exposure, position),
        "unrealizedProfit": eight(position.unrealized(exposure.mark)),
        "leverage": str(exposure.leverage),
        "isolated": exposure.isolated,
        "entryPrice": plain(position.entry_price),
        "breakEvenPrice": plain(_break_even(position)),
        "maxNotional": plain(symbol.most_notional(exposure.leverage)),
        "bidNotional": plain(exposure.bids.get(side, ZERO)),
        "askNotional": plain(exposure.asks.get(side, ZERO)),
        "positionSide": side,
        "positionAmt": places(position.amount, symbol.quantity_precision),
        "notional": eight(position.amount * exposure.mark),
        "isolatedWallet": eight(position.isolated_wallet),
        "updateTime": position.update_time,
    }


def _exposure_and_position(
    call: Call, view: AccountView, symbol: Symbol, side: str
) -> tuple[Exposure, Position]:
    exposure = view.exposures.get(symbol.name)
    if exposure is None:
        leverage, isolated = settings_of(call.db, call.account, symbol.name)
        exposure = Exposure(symbol, call.venue.book.mark(symbol, call.now), leverage, isolated)
    for position in exposure.positions:
        if position.side == side:
            return exposure, position
    return exposure, Position(call.account, symbol.name, side, ZERO, ZERO, ZERO, exposure.isolated, 0)


def _break_even(position: Position) -> object:
    """Entry price with the two taker fees of a way in and out."""
    sign = 1 if position.amount >= 0 else -1
    return (position.entry_price * (1 + sign * 2 * TAKER_FEE)).quantize(position.entry_price or ZERO)


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
    exposure, position = _exposure_and_position(call, view, symbol, side)
    return {
        **_risk(view, exposure, position),
        "marginAsset": "USDT",
        **_margins(view, exposure, position),
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
            exposure, position = _exposure_and_position(call, view, symbol, side)
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
        "breakEvenPrice": plain(_break_even(position)) if position.amount else "0.0",  # type: ignore[arg-type]
        "markPrice": eight(exposure.mark),
        "unRealizedProfit": eight(position.unrealized(exposure.mark)),
        "liquidationPrice": plain(liquidation),
        "isolatedMargin": _isolated_margin(exposure, position),
        "notional": eight(position.amount * exposure.mark),
        "isolatedWallet": eight(position.isolated_wallet),
        "updateTime": position.update_time,
    }


def symbol_config(call: Call) -> object:
    wanted = call.optional_symbol()
    documents: list[dict[str, object]] = []
    for symbol in SYMBOLS.values() if wanted is None else (wanted,):
        leverage, isolated = settings_of(call.db, call.account, symbol.name)
        documents.append(
            {
                "symbol": symbol.name,
                "marginType": "ISOLATED" if isolated else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": leverage,
                "maxNotionalValue": plain(symbol.most_notional(leverage)),
            }
        )
    return documents


def account_config(call: Call) -> object:
    row = call.account_row()
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": bool(row["hedge"]),
        "updateTime": 0,
        "multiAssetsMargin": bool(row["multi_assets"]),
        "tradeGroupId": -1,
    }


def commission_rate(call: Call) -> object:
    return {
        "symbol": call.symbol().name,
        "makerCommissionRate": plain(MAKER_FEE),
        "takerCommissionRate": plain(TAKER_FEE),
    }


def leverage_bracket(call: Call) -> object:
    wanted = call.optional_symbol()
    documents = [_brackets(symbol) for symbol in (SYMBOLS.values() if wanted is None else (wanted,))]
    return documents


def _brackets(symbol: Symbol) -> dict[str, object]:
    return {
        "symbol": symbol.name,
        "notionalCoef": 1.0,
        "brackets": [
            {
                "bracket": bracket.number,
                "initialLeverage": bracket.leverage,
                "notionalCap": int(bracket.cap),
                "notionalFloor": int(bracket.floor),
                "maintMarginRatio": float(bracket.maintenance_rate),
                "cum": float(bracket.cumulative),
            }
            for bracket in symbol.brackets
        ],
    }


def read_open_orders(call: Call) -> object:
    symbol = call.optional_symbol()
    rows = open_orders(call.db, call.account, symbol.name if symbol else None)
    return [order_document(row, with_time=True) for row in rows]


def read_open_order(call: Call) -> object:
    row = _named(call)
    if row["status"] != "NEW":
        raise refusal(-2013)
    return order_document(row, with_time=True)


def read_order(call: Call) -> object:
    return order_document(_named(call), with_time=True)


def _named(call: Call):  # type: ignore[no-untyped-def]
    order = call.params.optional_integer("orderId")
    if order is None and "origClientOrderId" not in call.params:
        raise refusal(-1102, "orderId")
    row = find_order(call.db, call.account, call.symbol().name, order, call.params.text("origClientOrderId"))
    if row is None:
        raise refusal(-2013)
    return row
