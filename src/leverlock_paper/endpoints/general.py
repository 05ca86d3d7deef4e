"""The venue about itself: ping, time, exchange information."""

from __future__ import annotations

from leverlock_paper.numbers import places, plain
from leverlock_paper.symbols import ORDER_TYPES, SYMBOLS, TIMES_IN_FORCE, Symbol
from leverlock_paper.venue import Call

ONBOARDED = 1_569_398_400_000
NEVER = 4_133_404_800_000


def ping(_: Call) -> object:
    return {}


def server_time(call: Call) -> object:
    return {"serverTime": call.now}


def system_status(_: Call) -> object:
    return {"status": 0, "msg": "normal"}


def exchange_info(call: Call) -> object:
    settings = call.venue.settings
    limits = (
        ("REQUEST_WEIGHT", "MINUTE", 1, settings.weight_limit_1m),
        ("ORDERS", "SECOND", 10, settings.order_limit_10s),
        ("ORDERS", "MINUTE", 1, settings.order_limit_1m),
    )
    return {
        "timezone": "UTC",
        "serverTime": call.now,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
            for kind, interval, number, limit in limits
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "0"}],
        "symbols": [_symbol(symbol) for symbol in SYMBOLS.values()],
    }


def _symbol(symbol: Symbol) -> dict[str, object]:
    return {
        "symbol": symbol.name,
        "pair": symbol.name,
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER,
        "onboardDate": ONBOARDED,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": symbol.base,
        "quoteAsset": symbol.quote,
        "marginAsset": symbol.quote,
        "pricePrecision": symbol.price_precision,
        "quantityPrecision": symbol.quantity_precision,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": _filters(symbol),
        "orderTypes": list(ORDER_TYPES),
        "timeInForce": list(TIMES_IN_FORCE),
        "permissionSets": ["GRID", "COPY"],
    }


def _filters(symbol: Symbol) -> list[dict[str, object]]:
    step, least = plain(symbol.step), plain(symbol.least)
    tick = places(symbol.tick, symbol.price_precision)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": tick,
            "maxPrice": plain(symbol.most_price),
            "tickSize": tick,
        },
        {"filterType": "LOT_SIZE", "minQty": least, "maxQty": plain(symbol.most), "stepSize": step},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": least,
            "maxQty": plain(symbol.market_most),
            "stepSize": step,
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": symbol.open_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": symbol.open_algo_orders},
        {"filterType": "MIN_NOTIONAL", "notional": plain(symbol.least_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": str(symbol.price_up),
            "multiplierDown": str(symbol.price_down),
            "multiplierDecimal": "4",
        },
    ]
