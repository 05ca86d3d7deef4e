"""What can be traded: a dozen perpetual contracts, their filters and their leverage brackets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Bracket:
    """One step of the maintenance table. Notionals in USDT, `cumulative` as the real venue's `cum`."""

    number: int
    leverage: int
    floor: Decimal
    cap: Decimal
    maintenance_rate: Decimal
    cumulative: Decimal


@dataclass(frozen=True, slots=True)
class Symbol:
    """One contract. Prices and notionals are in USDT, quantities in the base asset."""

    name: str
    base: str
    start_price: Decimal
    tick: Decimal
    step: Decimal
    most: Decimal
    market_most: Decimal
    least_notional: Decimal
    price_precision: int
    quantity_precision: int
    brackets: tuple[Bracket, ...]
    quote: str = "USDT"
    least: Decimal = Decimal(0)  # the smallest quantity; one step when not said
    most_price: Decimal = Decimal(0)
    price_up: Decimal = Decimal("1.0500")
    price_down: Decimal = Decimal("0.9500")
    open_orders: int = 200
    open_algo_orders: int = 100

    @property
    def highest_leverage(self) -> int:
        return self.brackets[0].leverage

    def bracket_of(self, notional: Decimal) -> Bracket:
        """The bracket a position of that size stands in; the last one has no upper end."""
        for bracket in self.brackets:
            if abs(notional) <= bracket.cap:
                return bracket
        return self.brackets[-1]

    def most_notional(self, leverage: int) -> Decimal:
        """The largest position that may be held at that leverage."""
        return max(bracket.cap for bracket in self.brackets if bracket.leverage >= leverage)

    def maintenance_margin(self, notional: Decimal) -> Decimal:
        bracket = self.bracket_of(notional)
        return max(Decimal(0), abs(notional) * bracket.maintenance_rate - bracket.cumulative)


# Highest leverage, upper end in USDT, maintenance rate: the shape of the real venue's public tables.
_DEEP = [
    (125, 300_000, "0.004"),
    (100, 800_000, "0.005"),
    (75, 3_000_000, "0.0065"),
    (50, 12_000_000, "0.01"),
    (25, 70_000_000, "0.02"),
    (20, 100_000_000, "0.025"),
    (10, 230_000_000, "0.05"),
    (5, 480_000_000, "0.1"),
    (4, 600_000_000, "0.125"),
    (3, 800_000_000, "0.15"),
    (2, 1_200_000_000, "0.25"),
    (1, 1_800_000_000, "0.5"),
]
_MIDDLE = [
    (75, 50_000, "0.0065"),
    (50, 400_000, "0.01"),
    (25, 2_000_000, "0.02"),
    (20, 4_000_000, "0.025"),
    (10, 12_000_000, "0.05"),
    (5, 25_000_000, "0.1"),
    (2, 50_000_000, "0.25"),
    (1, 80_000_000, "0.5"),
]
_SHALLOW = [
    (20, 10_000, "0.025"),
    (10, 60_000, "0.05"),
    (5, 200_000, "0.1"),
    (2, 500_000, "0.25"),
    (1, 1_000_000, "0.5"),
]


def _brackets(rows: list[tuple[int, int, str]], highest: int) -> tuple[Bracket, ...]:
    brackets: list[Bracket] = []
    floor, previous_rate, cumulative = Decimal(0), Decimal(0), Decimal(0)
    for leverage, cap, rate in (row for row in rows if row[0] <= highest):
        # The cumulative term keeps the maintenance margin continuous where two brackets meet.
        cumulative += floor * (Decimal(rate) - previous_rate)
        brackets.append(Bracket(len(brackets) + 1, leverage, floor, Decimal(cap), Decimal(rate), cumulative))
        floor, previous_rate = Decimal(cap), Decimal(rate)
    return tuple(brackets)


def _symbol(
    base: str,
    price: str,
    tick: str,
    step: str,
    *,
    most: int,
    notional: int,
    rows: list[tuple[int, int, str]],
    highest: int = 125,
) -> Symbol:
    exponent = Decimal(tick).normalize().as_tuple().exponent
    step_exponent = Decimal(step).normalize().as_tuple().exponent
    return Symbol(
        name=base + "USDT",
        base=base,
        start_price=Decimal(price),
        tick=Decimal(tick),
        step=Decimal(step),
        least=Decimal(step),
        most=Decimal(most),
        market_most=Decimal(max(most // 5, 1)),
        most_price=Decimal(price) * 100,
        least_notional=Decimal(notional),
        price_precision=max(0, -int(exponent)),
        quantity_precision=max(0, -int(step_exponent)),
        brackets=_brackets(rows, highest),
    )


SYMBOLS: Mapping[str, Symbol] = {
    symbol.name: symbol
    for symbol in (
        _symbol("BTC", "60000", "0.10", "0.001", most=1000, notional=50, rows=_DEEP),
        _symbol("ETH", "3000", "0.01", "0.001", most=10000, notional=20, rows=_DEEP),
        _symbol("BNB", "600", "0.010", "0.01", most=100000, notional=5, rows=_MIDDLE),
        _symbol("SOL", "150", "0.0100", "0.01", most=1000000, notional=5, rows=_DEEP, highest=100),
        _symbol("XRP", "0.6", "0.0001", "0.1", most=10000000, notional=5, rows=_MIDDLE),
        _symbol("DOGE", "0.15", "0.000010", "1", most=50000000, notional=5, rows=_MIDDLE),
        _symbol("ADA", "0.45", "0.00010", "1", most=10000000, notional=5, rows=_MIDDLE),
        _symbol("LTC", "80", "0.01", "0.001", most=100000, notional=20, rows=_MIDDLE),
        _symbol("LINK", "15", "0.001", "0.01", most=500000, notional=20, rows=_MIDDLE),
        _symbol("AVAX", "30", "0.0010", "0.1", most=500000, notional=5, rows=_MIDDLE, highest=50),
        _symbol("1000PEPE", "0.012", "0.0000001", "1", most=100000000, notional=5, rows=_MIDDLE),
        # A name outside ASCII, as the real venue has one: it must survive signing and percent-encoding.
        _symbol("这是测试币456", "1.5", "0.0001", "1", most=1000000, notional=5, rows=_SHALLOW),
    )
}

ORDER_TYPES = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
CONDITIONAL_TYPES = frozenset(ORDER_TYPES[2:])
TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX")

# The assets a wallet may hold, with their decimals on withdrawal and the networks they leave by.
ASSETS: Mapping[str, tuple[str, ...]] = {
    "USDT": ("ETH", "TRX", "BSC"),
    "USDC": ("ETH", "BSC"),
    "BTC": ("BTC",),
    "ETH": ("ETH",),
    "BNB": ("BSC",),
}
