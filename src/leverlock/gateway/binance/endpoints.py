"""Every call that passes: method, path, who may make it, for which scope, with which parameters, and what it means.

Default deny: a pair of method and path that is not here is refused and nothing is forwarded (B64). Of what the venue
has and this table has not, `docs/security/threats.md` says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from leverlock.domain.key_terms import Scope
from leverlock.gateway.binance import forms
from leverlock.gateway.binance.forms import Choice, Form


class Access(Enum):
    """Who may call."""

    PUBLIC = "anyone: market data"
    KEY = "a key, unsigned, as the venue has it"
    SIGNED = "a key's signature"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row. `needs` is the scope that a key must have, None for market data alone (B63).

    `says` is the form of what it does; None for reads and for cancels.
    """

    method: str
    path: str
    access: Access
    needs: Scope | None
    names: frozenset[str]
    says: Form | Choice | None = None
    cancels: str = ""  # how much, in the words of the action table

    @property
    def base(self) -> str:
        """`fapi`, `sapi` or `api`: which of the venue's hosts serves it, told by the first segment of the path."""
        first = self.path.split("/", 2)[1]
        return "fapi" if first == "futures" else first

    @property
    def survives_outage(self) -> bool:
        """Reads and cancels go on for a while without a database (B98)."""
        return self.says is None


def _public(path: str, names: str = "") -> Endpoint:
    return Endpoint("GET", path, Access.PUBLIC, None, frozenset(names.split()))


def _read(path: str, names: str = "") -> Endpoint:
    return Endpoint("GET", path, Access.SIGNED, Scope.READ, frozenset(names.split()))


def _cancel(method: str, path: str, names: str, scope: str) -> Endpoint:
    # Who may only read must not take another's protective orders away.
    return Endpoint(method, path, Access.SIGNED, Scope.FUTURES, frozenset(names.split()), cancels=scope)


def _act(method: str, path: str, needs: Scope, says: Form | Choice) -> Endpoint:
    return Endpoint(method, path, Access.SIGNED, needs, says.parameters, says)


_RANGE: Final = "startTime endTime limit"
_PAGE: Final = "startTime endTime current size"
_NAMED: Final = "symbol orderId origClientOrderId"
_NAMED_ALGO: Final = "symbol algoId clientAlgoId"

_TRADING: Final = (
    _act("POST", "/fapi/v1/order", Scope.FUTURES, forms.ORDER),
    _act("PUT", "/fapi/v1/order", Scope.FUTURES, forms.AMENDMENT),
    _act("POST", "/fapi/v1/batchOrders", Scope.FUTURES, forms.ORDERS),
    _act("PUT", "/fapi/v1/batchOrders", Scope.FUTURES, forms.AMENDMENTS),
    _act("POST", "/fapi/v1/algoOrder", Scope.FUTURES, forms.CONDITIONAL),
)

_SETTINGS: Final = (
    _act("POST", "/fapi/v1/leverage", Scope.FUTURES, forms.LEVERAGE),
    _act("POST", "/fapi/v1/marginType", Scope.FUTURES, forms.MARGIN_MODE),
    _act("POST", "/fapi/v1/multiAssetsMargin", Scope.FUTURES, forms.MULTI_ASSETS),
    _act("POST", "/fapi/v1/positionMargin", Scope.FUTURES, forms.POSITION_MARGIN),
    _act("POST", "/fapi/v1/positionSide/dual", Scope.FUTURES, forms.POSITION_MODE),
    _act("POST", "/fapi/v1/adlSetting", Scope.FUTURES, forms.ADL),
    _act("POST", "/sapi/v1/portfolio/delta-mode", Scope.FUTURES, forms.DELTA_MODE),
)

_MOVEMENTS: Final = (
    _act("POST", "/sapi/v1/asset/transfer", Scope.TRANSFER, forms.TRANSFERS),
    _act("POST", "/sapi/v1/futures/transfer", Scope.TRANSFER, forms.FUTURES_TRANSFERS),
    _act("POST", "/sapi/v1/capital/withdraw/apply", Scope.WITHDRAW, forms.WITHDRAWAL),
    _act("POST", "/sapi/v1/localentity/withdraw/apply", Scope.WITHDRAW, forms.DECLARED_WITHDRAWAL),
    _act("POST", "/sapi/v1/margin/borrow-repay", Scope.MARGIN, forms.LOANS),
    _act("POST", "/sapi/v1/margin/loan", Scope.MARGIN, forms.BORROWING),
    _act("POST", "/sapi/v1/margin/repay", Scope.MARGIN, forms.REPAYMENT),
)

_CANCELS: Final = (
    _cancel("DELETE", "/fapi/v1/order", _NAMED, "one"),
    _cancel(
        "DELETE",
        "/fapi/v1/batchOrders",
        "symbol orderIdList orderidlist origClientOrderIdList origclientorderidlist",
        "several",
    ),
    _cancel("DELETE", "/fapi/v1/allOpenOrders", "symbol", "all"),
    _cancel("DELETE", "/fapi/v1/algoOrder", _NAMED_ALGO, "conditional"),
    _cancel("DELETE", "/fapi/v1/algoOpenOrders", "symbol", "conditional"),
    _cancel("POST", "/fapi/v1/countdownCancelAll", "symbol countdownTime", "countdown"),
)

_ACCOUNT: Final = (
    _read("/fapi/v2/account"),
    _read("/fapi/v3/account"),
    _read("/fapi/v2/balance"),
    _read("/fapi/v3/balance"),
    _read("/fapi/v2/positionRisk", "symbol"),
    _read("/fapi/v3/positionRisk", "symbol"),
    _read("/fapi/v1/symbolConfig", "symbol"),
    _read("/fapi/v1/accountConfig"),
    _read("/fapi/v1/multiAssetsMargin"),
    _read("/fapi/v1/positionSide/dual"),
    _read("/fapi/v1/leverageBracket", "symbol"),
    _read("/fapi/v1/commissionRate", "symbol"),
    _read("/fapi/v1/adlQuantile", "symbol"),
    _read("/fapi/v1/adlSetting", "symbol"),
    _read("/fapi/v1/order", _NAMED),
    _read("/fapi/v1/openOrder", _NAMED),
    _read("/fapi/v1/openOrders", "symbol"),
    _read("/fapi/v1/allOrders", f"symbol orderId {_RANGE}"),
    _read("/fapi/v1/algoOrder", _NAMED_ALGO),
    _read("/fapi/v1/openAlgoOrders", "algoType symbol algoId"),
    _read("/fapi/v1/allAlgoOrders", f"symbol algoId page {_RANGE}"),
    _read("/fapi/v1/userTrades", f"symbol orderId fromId {_RANGE}"),
    _read("/fapi/v1/income", f"symbol incomeType page {_RANGE}"),
    _read("/fapi/v1/forceOrders", f"symbol autoCloseType {_RANGE}"),
    _read("/fapi/v1/positionMargin/history", f"symbol type {_RANGE}"),
)

_WALLET: Final = (
    _read("/sapi/v1/capital/config/getall"),
    _read("/sapi/v1/capital/withdraw/history", f"coin withdrawOrderId status offset {_RANGE}"),
    _read("/sapi/v1/capital/deposit/hisrec", f"coin status offset txId includeSource {_RANGE}"),
    _read("/sapi/v1/asset/transfer", f"type fromSymbol toSymbol {_PAGE}"),
    _read("/sapi/v1/futures/transfer", f"asset {_PAGE}"),
    _read("/sapi/v1/account/apiRestrictions"),
    _read("/sapi/v1/margin/account"),
    _read("/sapi/v1/margin/borrow-repay", f"type asset isolatedSymbol txId {_PAGE}"),
    _read("/sapi/v1/portfolio/delta-mode"),
    Endpoint("GET", "/sapi/v1/margin/allPairs", Access.KEY, Scope.READ, frozenset({"symbol"})),
)

_STREAM: Final = tuple(
    Endpoint(method, "/fapi/v1/listenKey", Access.KEY, Scope.READ, frozenset({"listenKey"}))
    for method in ("POST", "PUT", "DELETE")
)

_MARKET: Final = (
    _public("/fapi/v1/ping"),
    _public("/fapi/v1/time"),
    _public("/api/v3/ping"),
    _public("/api/v3/time"),
    _public("/sapi/v1/system/status"),
    _public("/fapi/v1/exchangeInfo"),
    _public("/fapi/v1/depth", "symbol limit"),
    _public("/fapi/v1/trades", "symbol limit"),
    Endpoint("GET", "/fapi/v1/historicalTrades", Access.KEY, Scope.READ, frozenset({"symbol", "limit", "fromId"})),
    _public("/fapi/v1/aggTrades", f"symbol fromId {_RANGE}"),
    _public("/fapi/v1/klines", f"symbol interval {_RANGE}"),
    _public("/fapi/v1/continuousKlines", f"pair contractType interval {_RANGE}"),
    _public("/fapi/v1/indexPriceKlines", f"pair interval {_RANGE}"),
    _public("/fapi/v1/markPriceKlines", f"symbol interval {_RANGE}"),
    _public("/fapi/v1/premiumIndex", "symbol"),
    _public("/fapi/v1/fundingRate", f"symbol {_RANGE}"),
    _public("/fapi/v1/fundingInfo"),
    _public("/fapi/v1/ticker/24hr", "symbol"),
    _public("/fapi/v1/ticker/price", "symbol"),
    _public("/fapi/v2/ticker/price", "symbol"),
    _public("/fapi/v1/ticker/bookTicker", "symbol"),
    _public("/fapi/v1/openInterest", "symbol"),
    _public("/futures/data/openInterestHist", f"symbol period {_RANGE}"),
    _public("/futures/data/globalLongShortAccountRatio", f"symbol period {_RANGE}"),
)

_ALL: Final = (_TRADING, _SETTINGS, _MOVEMENTS, _CANCELS, _ACCOUNT, _WALLET, _STREAM, _MARKET)

ENDPOINTS: Final[dict[tuple[str, str], Endpoint]] = {(row.method, row.path): row for group in _ALL for row in group}
