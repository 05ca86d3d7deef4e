"""The public market: book, trades, tickers, mark price, funding, open interest."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from leverlock_paper.book import FUNDING_MS, INTERVALS, TRADE_MS
from leverlock_paper.endpoints.windows import END_OF_TIME, window_of
from leverlock_paper.errors import refusal
from leverlock_paper.numbers import down_to, eight, places, plain
from leverlock_paper.prices import noise
from leverlock_paper.symbols import SYMBOLS, Symbol
from leverlock_paper.venue import Call

DAY_MS = 86_400_000
DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
STATISTIC_PERIODS = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")


def depth(call: Call) -> object:
    symbol, limit = call.symbol(), call.params.integer("limit", 500)
    if limit not in DEPTHS:
        raise refusal(-4021)
    bids, asks = call.venue.book.levels(symbol, call.now, limit)
    return {
        "lastUpdateId": call.now // 1000,
        "E": call.now,
        "T": call.now,
        "bids": [_level(symbol, level) for level in bids],
        "asks": [_level(symbol, level) for level in asks],
    }


def _level(symbol: Symbol, level: list[Decimal]) -> list[str]:
    return [places(level[0], symbol.price_precision), places(level[1], symbol.quantity_precision)]


def recent_trades(call: Call) -> object:
    return _trades(call, None)


def historical_trades(call: Call) -> object:
    return _trades(call, call.params.optional_integer("fromId"))


def _trades(call: Call, start: int | None) -> list[dict[str, object]]:
    symbol, limit = call.symbol(), min(call.params.integer("limit", 500, least=1), 1000)
    last = call.now // TRADE_MS
    first = last - limit + 1 if start is None else start
    documents: list[dict[str, object]] = []
    for number in range(first, min(first + limit - 1, last) + 1):
        trade = call.venue.book.trade(symbol, number)
        documents.append(
            {
                "id": trade.number,
                "price": places(trade.price, symbol.price_precision),
                "qty": places(trade.quantity, symbol.quantity_precision),
                "quoteQty": plain(trade.price * trade.quantity),
                "time": trade.time,
                "isBuyerMaker": trade.buyer_maker,
            }
        )
    return documents


def aggregate_trades(call: Call) -> object:
    """Every public trade is an aggregate of its own here."""
    symbol = call.symbol()
    window = window_of(call, default_limit=500, most=1000)
    last = min(window.end, call.now) // TRADE_MS
    if "fromId" in call.params:
        first = call.params.integer("fromId")
    elif window.from_start:
        first = -(-window.start // TRADE_MS)
    else:
        first = last - window.limit + 1
    documents: list[dict[str, object]] = []
    for number in range(first, min(first + window.limit - 1, last) + 1):
        trade = call.venue.book.trade(symbol, number)
        documents.append(
            {
                "a": trade.number,
                "p": places(trade.price, symbol.price_precision),
                "q": places(trade.quantity, symbol.quantity_precision),
                "f": trade.number,
                "l": trade.number,
                "T": trade.time,
                "m": trade.buyer_maker,
            }
        )
    return documents


def _one_or_all(call: Call, write: Callable[[Call, Symbol], dict[str, object]]) -> object:
    """The named symbol's object, or the list of all."""
    symbol = call.optional_symbol()
    return write(call, symbol) if symbol else [write(call, each) for each in SYMBOLS.values()]


def ticker_24h(call: Call) -> object:
    return _one_or_all(call, _ticker_24h)


def _ticker_24h(call: Call, symbol: Symbol) -> dict[str, object]:
    book, digits = call.venue.book, symbol.price_precision
    opened = call.now - DAY_MS
    candle = book.candle(symbol, opened, DAY_MS, call.now)
    average = (candle.open + candle.high + candle.low + candle.close) / 4
    change = candle.close - candle.open
    return {
        "symbol": symbol.name,
        "priceChange": places(change, digits),
        "priceChangePercent": places(change * 100 / candle.open, 3),
        "weightedAvgPrice": places(average, digits),
        "lastPrice": places(candle.close, digits),
        "lastQty": places(book.unit(symbol), symbol.quantity_precision),
        "openPrice": places(candle.open, digits),
        "highPrice": places(candle.high, digits),
        "lowPrice": places(candle.low, digits),
        "volume": places(candle.volume, symbol.quantity_precision),
        "quoteVolume": places(candle.volume * average, 2),
        "openTime": opened,
        "closeTime": call.now,
        "firstId": opened // TRADE_MS,
        "lastId": call.now // TRADE_MS,
        "count": candle.trades,
    }


def ticker_price(call: Call) -> object:
    return _one_or_all(call, _ticker_price)


def _ticker_price(call: Call, symbol: Symbol) -> dict[str, object]:
    price = call.venue.book.mark(symbol, call.now)
    return {"symbol": symbol.name, "price": places(price, symbol.price_precision), "time": call.now}


def book_ticker(call: Call) -> object:
    return _one_or_all(call, _book_ticker)


def _book_ticker(call: Call, symbol: Symbol) -> dict[str, object]:
    bids, asks = call.venue.book.levels(symbol, call.now, 1)
    bid, ask = _level(symbol, bids[0]), _level(symbol, asks[0])
    return {
        "symbol": symbol.name,
        "bidPrice": bid[0],
        "bidQty": bid[1],
        "askPrice": ask[0],
        "askQty": ask[1],
        "time": call.now,
        "lastUpdateId": call.now // 1000,
    }


def premium_index(call: Call) -> object:
    return _one_or_all(call, _premium_index)


def _premium_index(call: Call, symbol: Symbol) -> dict[str, object]:
    mark = eight(call.venue.book.mark(symbol, call.now))
    period = call.now // FUNDING_MS
    return {
        "symbol": symbol.name,
        "markPrice": mark,
        "indexPrice": mark,
        "estimatedSettlePrice": mark,
        "lastFundingRate": eight(call.venue.book.funding_rate(symbol, period)),
        "interestRate": "0.00010000",
        "nextFundingTime": (period + 1) * FUNDING_MS,
        "time": call.now,
    }


def funding_rates(call: Call) -> object:
    """The settled rates, oldest first; the rate of a period is settled at its end."""
    window = window_of(call, default_limit=100, most=1000)
    symbol = call.optional_symbol()
    last = min(window.end, call.now) // FUNDING_MS
    first = max(-(-window.start // FUNDING_MS), 1) if window.from_start else last - window.limit + 1
    documents: list[dict[str, object]] = []
    for period in range(first, min(last, first + window.limit - 1) + 1):
        for each in (symbol,) if symbol else SYMBOLS.values():
            settled = period * FUNDING_MS
            documents.append(
                {
                    "symbol": each.name,
                    "fundingTime": settled,
                    "fundingRate": eight(call.venue.book.funding_rate(each, period - 1)),
                    "markPrice": eight(call.venue.book.mark(each, settled)),
                }
            )
    return documents[-window.limit :]


def funding_info(_: Call) -> object:
    return [
        {
            "symbol": name,
            "adjustedFundingRateCap": "0.02000000",
            "adjustedFundingRateFloor": "-0.02000000",
            "fundingIntervalHours": 8,
            "disclaimer": False,
        }
        for name in SYMBOLS
    ]


def open_interest(call: Call) -> object:
    symbol = call.symbol()
    interest = _interest(call, symbol, call.now // 300_000)
    return {"symbol": symbol.name, "openInterest": plain(interest), "time": call.now}


def _interest(call: Call, symbol: Symbol, index: int) -> Decimal:
    """The open interest that the synthetic market claims in that five-minute period."""
    swing = Decimal(round(noise(call.venue.prices.seed, symbol.name, "interest", index) * 100) + 5_000)
    return down_to(call.venue.book.unit(symbol) * swing, symbol.step)


def open_interest_history(call: Call) -> object:
    symbol = call.symbol()
    return [
        {
            "symbol": symbol.name,
            "sumOpenInterest": eight(_interest(call, symbol, moment // 300_000)),
            "sumOpenInterestValue": eight(
                _interest(call, symbol, moment // 300_000) * call.venue.book.mark(symbol, moment)
            ),
            "timestamp": moment,
        }
        for moment in _moments(call)
    ]


def long_short_ratio(call: Call) -> object:
    symbol = call.symbol()
    documents: list[dict[str, object]] = []
    for moment in _moments(call):
        swing = noise(call.venue.prices.seed, symbol.name, "ratio", moment // 300_000)
        long_share = Decimal(round(5_000 + 1_500 * swing)).scaleb(-4)
        documents.append(
            {
                "symbol": symbol.name,
                "longAccount": places(long_share, 4),
                "longShortRatio": places(long_share / (1 - long_share), 4),
                "shortAccount": places(1 - long_share, 4),
                "timestamp": moment,
            }
        )
    return documents


def _moments(call: Call) -> list[int]:
    """The ends of the statistic periods that the call asks for, oldest first."""
    length = INTERVALS[call.params.choice("period", STATISTIC_PERIODS)]
    window = window_of(call, default_limit=30, most=500)
    last = min(window.end if window.end < END_OF_TIME else call.now, call.now) // length
    first = -(-window.start // length) if window.from_start else last - window.limit + 1
    return [index * length for index in range(first, min(last, first + window.limit - 1) + 1)]
