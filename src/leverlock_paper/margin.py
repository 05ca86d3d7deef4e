"""What an account can afford: margins of positions and open orders, available balance, liquidation prices."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from leverlock_paper import ledger
from leverlock_paper.database import Database
from leverlock_paper.numbers import ZERO
from leverlock_paper.positions import Position, held
from leverlock_paper.symbols import SYMBOLS, Symbol
from leverlock_paper.venue import Venue

DEFAULT_LEVERAGE = 20
# Haircut collateral of multi-assets mode: asset -> (symbol that prices it, rate that counts).
COLLATERAL = {
    "USDC": (None, Decimal("0.9999")),
    "BTC": ("BTCUSDT", Decimal("0.95")),
    "ETH": ("ETHUSDT", Decimal("0.95")),
}


@dataclass(slots=True)
class Exposure:
    """One symbol of one account. Notionals are at mark price; order sums leave reduce-only orders out."""

    symbol: Symbol
    mark: Decimal
    leverage: int = DEFAULT_LEVERAGE
    isolated: bool = False
    positions: list[Position] = field(default_factory=list)
    bids: dict[str, Decimal] = field(default_factory=dict)  # position side -> notional of open buy orders
    asks: dict[str, Decimal] = field(default_factory=dict)

    def notional(self, side: str) -> Decimal:
        return sum((p.amount * self.mark for p in self.positions if p.side == side), ZERO)

    def largest(self) -> Decimal:
        """The largest notional the symbol can come to when the open orders of one direction fill."""
        both = self.notional("BOTH")
        one_way = max(abs(both + self.bids.get("BOTH", ZERO)), abs(both - self.asks.get("BOTH", ZERO)))
        long_side = self.notional("LONG") + self.bids.get("LONG", ZERO)
        short_side = -self.notional("SHORT") + self.asks.get("SHORT", ZERO)
        return one_way + long_side + short_side

    @property
    def gross(self) -> Decimal:
        return sum((abs(p.amount) * self.mark for p in self.positions), ZERO)

    @property
    def position_margin(self) -> Decimal:
        return self.gross / self.leverage

    @property
    def order_margin(self) -> Decimal:
        return max(ZERO, self.largest() / self.leverage - self.position_margin)

    @property
    def maintenance(self) -> Decimal:
        return sum((self.symbol.maintenance_margin(p.amount * self.mark) for p in self.positions), ZERO)

    @property
    def unrealized(self) -> Decimal:
        return sum((p.unrealized(self.mark) for p in self.positions), ZERO)


@dataclass(slots=True)
class AccountView:
    """The futures account at one moment, in USDT."""

    exposures: dict[str, Exposure]
    wallet: Decimal
    collateral: Decimal  # what other assets add in multi-assets mode
    hedge: bool

    @property
    def isolated_wallet(self) -> Decimal:
        return sum((p.isolated_wallet for e in self.exposures.values() for p in e.positions), ZERO)

    @property
    def cross_wallet(self) -> Decimal:
        return self.wallet - self.isolated_wallet

    @property
    def crossed(self) -> list[Exposure]:
        return [exposure for exposure in self.exposures.values() if not exposure.isolated]

    @property
    def cross_unrealized(self) -> Decimal:
        return sum((exposure.unrealized for exposure in self.crossed), ZERO)

    @property
    def unrealized(self) -> Decimal:
        return sum((exposure.unrealized for exposure in self.exposures.values()), ZERO)

    @property
    def position_margin(self) -> Decimal:
        return sum((exposure.position_margin for exposure in self.exposures.values()), ZERO)

    @property
    def order_margin(self) -> Decimal:
        return sum((exposure.order_margin for exposure in self.exposures.values()), ZERO)

    @property
    def maintenance(self) -> Decimal:
        return sum((exposure.maintenance for exposure in self.exposures.values()), ZERO)

    @property
    def cross_maintenance(self) -> Decimal:
        return sum((exposure.maintenance for exposure in self.crossed), ZERO)

    @property
    def cross_margin_balance(self) -> Decimal:
        return self.cross_wallet + self.collateral + self.cross_unrealized

    @property
    def available(self) -> Decimal:
        """What new positions may use as initial margin; never below zero."""
        bound = sum((exposure.position_margin for exposure in self.crossed), ZERO) + self.order_margin
        return max(ZERO, self.cross_margin_balance - bound)

    @property
    def withdrawable(self) -> Decimal:
        """What may leave the wallet: unrealised profit may not."""
        return max(ZERO, min(self.available, self.cross_wallet))

    def liquidation_price(self, position: Position) -> Decimal:
        """Where the margin of the position would be used up; zero when no price does that."""
        exposure = self.exposures[position.symbol]
        mark = exposure.mark
        bracket = exposure.symbol.bracket_of(position.amount * mark)
        if position.isolated:
            cover = position.isolated_wallet
        else:
            own = position.unrealized(mark) - exposure.symbol.maintenance_margin(position.amount * mark)
            cover = self.cross_margin_balance - self.cross_maintenance - own
        side = 1 if position.amount > 0 else -1
        size = abs(position.amount)
        below = size * bracket.maintenance_rate - side * size
        price = (cover + bracket.cumulative - side * size * position.entry_price) / below
        return exposure.symbol.tick * (price / exposure.symbol.tick).to_integral_value() if price > 0 else ZERO


def settings_of(db: Database, account: int, symbol: str) -> tuple[int, bool]:
    """Leverage and whether the margin is isolated."""
    row = db.execute(
        "SELECT leverage, isolated FROM symbol_settings WHERE account = ? AND symbol = ?", (account, symbol)
    ).fetchone()
    return (row["leverage"], bool(row["isolated"])) if row else (DEFAULT_LEVERAGE, False)


def view_account(venue: Venue, account: int, now: int, also: Symbol | None = None) -> AccountView:
    """Positions and open orders of the account at mark price; `also` is in it even when it holds nothing."""
    db = venue.db
    exposures: dict[str, Exposure] = {}

    def exposure_of(name: str) -> Exposure:
        found = exposures.get(name)
        if found is None:
            symbol = SYMBOLS[name]
            leverage, isolated = settings_of(db, account, name)
            found = exposures[name] = Exposure(symbol, venue.book.mark(symbol, now), leverage, isolated)
        return found

    if also is not None:
        exposure_of(also.name)
    for position in held(db, account):
        exposure_of(position.symbol).positions.append(position)
    orders = db.execute(
        "SELECT symbol, side, position_side, quantity, executed, price FROM orders"
        " WHERE account = ? AND status = 'NEW' AND reduce_only = 0",
        (account,),
    )
    for row in orders:
        exposure = exposure_of(row["symbol"])
        sums = exposure.bids if row["side"] == "BUY" else exposure.asks
        rest = (row["quantity"] - row["executed"]) * row["price"]
        sums[row["position_side"]] = sums.get(row["position_side"], ZERO) + rest
    account_row = db.execute("SELECT hedge, multi_assets FROM accounts WHERE id = ?", (account,)).fetchone()
    collateral = other_collateral(venue, account, now) if account_row["multi_assets"] else ZERO
    wallet = ledger.balance(db, account, "FUTURES", ledger.SETTLEMENT)
    return AccountView(exposures, wallet, collateral, bool(account_row["hedge"]))


def other_collateral(venue: Venue, account: int, now: int) -> Decimal:
    """The value of assets other than USDT as margin, after their haircut."""
    total = ZERO
    for asset, amount in ledger.balances(venue.db, account, "FUTURES").items():
        if asset in COLLATERAL:
            name, rate = COLLATERAL[asset]
            price = venue.book.mark(SYMBOLS[name], now) if name else Decimal(1)
            total += amount * price * rate
    return total
