"""What applies to the account: leverage and margin type by symbol, modes, fees, leverage brackets."""

from __future__ import annotations

from leverlock_paper.margin import settings_of
from leverlock_paper.numbers import plain
from leverlock_paper.orders import MAKER_FEE, TAKER_FEE
from leverlock_paper.symbols import SYMBOLS, Symbol
from leverlock_paper.venue import Call


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
    return [_brackets(symbol) for symbol in (SYMBOLS.values() if wanted is None else (wanted,))]


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
