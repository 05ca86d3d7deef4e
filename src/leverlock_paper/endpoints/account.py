"""The account as it stands: balances and totals."""

from __future__ import annotations

from leverlock_paper import ledger
from leverlock_paper.endpoints.position_reads import (
    break_even,
    exposure_and_position,
    isolated_margin,
    margin_fields,
)
from leverlock_paper.margin import COLLATERAL, AccountView, view_account
from leverlock_paper.numbers import ZERO, eight, places, plain
from leverlock_paper.positions import Position
from leverlock_paper.symbols import SYMBOLS, Symbol
from leverlock_paper.venue import Call

OTHER_ASSETS = ("USDC", "BTC", "ETH", "BNB")


def balances(call: Call) -> object:
    """The same in version 2 and 3."""
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
    positions = [_account_position_v3(view, p, call.now) for e in view.exposures.values() for p in e.positions]
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
        for side in (("BOTH", "LONG", "SHORT") if view.hedge else ("BOTH",))
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
        updated = max([row["created"], *(p.update_time for e in view.exposures.values() for p in e.positions)])
    else:
        values = (amount, ZERO, amount, ZERO, ZERO, ZERO, ZERO, amount, ZERO, amount, amount)  # type: ignore[assignment]
        # The venue writes zero for an asset that never moved, and clients hide it then.
        updated = call.now if amount else 0
    names = [
        "walletBalance",
        "unrealizedProfit",
        "marginBalance",
        "maintMargin",
        "initialMargin",
        "positionInitialMargin",
        "openOrderInitialMargin",
        "crossWalletBalance",
        "crossUnPnl",
        "availableBalance",
        "maxWithdrawAmount",
    ]
    document: dict[str, object] = {"asset": asset}
    document.update({name: eight(value) for name, value in zip(names, values, strict=True)})
    return document | {"marginAvailable": True, "updateTime": updated}


def _account_position_v3(view: AccountView, position: Position, now: int) -> dict[str, object]:
    exposure = view.exposures[position.symbol]
    margins = margin_fields(view, exposure, position)
    return {
        "symbol": position.symbol,
        "positionSide": position.side,
        "positionAmt": places(position.amount, exposure.symbol.quantity_precision),
        "unrealizedProfit": eight(position.unrealized(exposure.mark)),
        "isolatedMargin": isolated_margin(exposure, position),
        "notional": eight(position.amount * exposure.mark),
        "isolatedWallet": eight(position.isolated_wallet),
        "initialMargin": margins["initialMargin"],
        "maintMargin": margins["maintMargin"],
        "updateTime": position.update_time,
    }


def _account_position_v2(call: Call, view: AccountView, symbol: Symbol, side: str) -> dict[str, object]:
    exposure, position = exposure_and_position(call, view, symbol, side)
    return {
        "symbol": symbol.name,
        **margin_fields(view, exposure, position),
        "unrealizedProfit": eight(position.unrealized(exposure.mark)),
        "leverage": str(exposure.leverage),
        "isolated": exposure.isolated,
        "entryPrice": plain(position.entry_price),
        "breakEvenPrice": plain(break_even(position)),
        "maxNotional": plain(symbol.most_notional(exposure.leverage)),
        "bidNotional": plain(exposure.bids.get(side, ZERO)),
        "askNotional": plain(exposure.asks.get(side, ZERO)),
        "positionSide": side,
        "positionAmt": places(position.amount, symbol.quantity_precision),
        "notional": eight(position.amount * exposure.mark),
        "isolatedWallet": eight(position.isolated_wallet),
        "updateTime": position.update_time,
    }
