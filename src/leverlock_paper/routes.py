"""What can be asked: every path, who may, with which parameters, at what weight. Anything else is -5000.

In the parameter lists `name!` is mandatory; a name that is not listed is refused with -1104.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from leverlock_paper.conditional import ALGO_FIELDS
from leverlock_paper.endpoints import account, adl, conditional_orders, general, settings, trading
from leverlock_paper.errors import VenueError
from leverlock_paper.order_form import ORDER_FIELDS
from leverlock_paper.parameters import Params
from leverlock_paper.signature import ApiKey
from leverlock_paper.venue import Call

Handler = Callable[[Call], object]


class Access(Enum):
    """What a call must bring: nothing, a key, or a signature of a key with the right flag."""

    NONE = "none"
    KEY = "key"
    READ = "reading"
    TRADE = "futures"
    WITHDRAW = "withdrawals"
    TRANSFER = "universal_transfer"

    @property
    def signed(self) -> bool:
        return self not in (Access.NONE, Access.KEY)

    def permitted(self, key: ApiKey) -> bool:
        return bool(getattr(key, self.value))


@dataclass(frozen=True, slots=True)
class Route:
    """One path. `weight` counts against the address, an order against the account."""

    method: str
    path: str
    access: Access
    handler: Handler
    fields: frozenset[str]
    mandatory: tuple[str, ...]
    weight: int
    counts_orders: bool

    def order_count(self, params: Params) -> int:
        """A batch counts one order per leg."""
        if "batchOrders" not in params:
            return 1
        try:
            return len(trading.read_legs(params))
        except VenueError:
            return 1


def _route(
    method: str,
    path: str,
    access: Access,
    handler: Handler,
    fields: str = "",
    weight: int = 1,
    *,
    orders: bool = False,
) -> Route:
    names = fields.split()
    return Route(
        method,
        path,
        access,
        handler,
        frozenset(name.rstrip("!") for name in names),
        tuple(name.rstrip("!") for name in names if name.endswith("!")),
        weight,
        orders,
    )


_ORDER = " ".join(sorted(ORDER_FIELDS))
_ALGO = " ".join(sorted(ALGO_FIELDS))
_AMEND = " ".join(sorted(trading.AMEND_FIELDS))
_NAMED = "symbol! orderId origClientOrderId"
_WINDOW = "startTime endTime limit"

_GENERAL = (
    _route("GET", "/fapi/v1/ping", Access.NONE, general.ping),
    _route("GET", "/fapi/v1/time", Access.NONE, general.server_time),
    _route("GET", "/api/v3/ping", Access.NONE, general.ping),
    _route("GET", "/api/v3/time", Access.NONE, general.server_time),
    _route("GET", "/fapi/v1/exchangeInfo", Access.NONE, general.exchange_info),
)

_TRADING = (
    _route("POST", "/fapi/v1/order", Access.TRADE, trading.new_order, _ORDER, 1, orders=True),
    _route("PUT", "/fapi/v1/order", Access.TRADE, trading.amend_order, _AMEND, 1, orders=True),
    _route("DELETE", "/fapi/v1/order", Access.TRADE, trading.cancel_order, _NAMED),
    _route("POST", "/fapi/v1/order/test", Access.TRADE, trading.test_order, _ORDER),
    _route("POST", "/fapi/v1/batchOrders", Access.TRADE, trading.new_batch, "batchOrders!", 5, orders=True),
    _route("PUT", "/fapi/v1/batchOrders", Access.TRADE, trading.amend_batch, "batchOrders!", 5, orders=True),
    _route(
        "DELETE",
        "/fapi/v1/batchOrders",
        Access.TRADE,
        trading.cancel_batch,
        "symbol! orderIdList orderidlist origClientOrderIdList origclientorderidlist",
    ),
    _route("DELETE", "/fapi/v1/allOpenOrders", Access.TRADE, trading.cancel_open_orders, "symbol!"),
    _route(
        "POST",
        "/fapi/v1/countdownCancelAll",
        Access.TRADE,
        trading.countdown_cancel_all,
        "symbol! countdownTime!",
        10,
    ),
    _route("POST", "/fapi/v1/algoOrder", Access.TRADE, conditional_orders.new_algo, _ALGO, 1, orders=True),
    _route(
        "DELETE",
        "/fapi/v1/algoOrder",
        Access.TRADE,
        conditional_orders.cancel_algo,
        "symbol algoId clientAlgoId",
    ),
    _route(
        "DELETE", "/fapi/v1/algoOpenOrders", Access.TRADE, conditional_orders.cancel_open_algos, "symbol!"
    ),
    _route(
        "GET",
        "/fapi/v1/algoOrder",
        Access.READ,
        conditional_orders.read_algo_order,
        "symbol algoId clientAlgoId",
    ),
    _route(
        "GET", "/fapi/v1/openAlgoOrders", Access.READ, conditional_orders.open_algos, "algoType symbol algoId"
    ),
    _route(
        "GET",
        "/fapi/v1/allAlgoOrders",
        Access.READ,
        conditional_orders.all_algos,
        f"symbol! algoId page {_WINDOW}",
        5,
    ),
)

_SETTINGS = (
    _route("POST", "/fapi/v1/leverage", Access.TRADE, settings.change_leverage, "symbol! leverage!"),
    _route("POST", "/fapi/v1/marginType", Access.TRADE, settings.change_margin_type, "symbol! marginType!"),
    _route("GET", "/fapi/v1/positionSide/dual", Access.READ, settings.read_position_mode, "", 30),
    _route(
        "POST", "/fapi/v1/positionSide/dual", Access.TRADE, settings.change_position_mode, "dualSidePosition!"
    ),
    _route("GET", "/fapi/v1/multiAssetsMargin", Access.READ, settings.read_multi_assets, "", 30),
    _route(
        "POST", "/fapi/v1/multiAssetsMargin", Access.TRADE, settings.change_multi_assets, "multiAssetsMargin!"
    ),
    _route(
        "POST",
        "/fapi/v1/positionMargin",
        Access.TRADE,
        settings.change_position_margin,
        "symbol! positionSide amount! type!",
    ),
    _route("GET", "/fapi/v1/adlQuantile", Access.READ, adl.quantiles, "symbol", 5),
    # Paper only: no real futures venue of this dialect has a writable ADL setting.
    _route("GET", "/fapi/v1/adlSetting", Access.READ, adl.read_setting, "symbol"),
    _route("POST", "/fapi/v1/adlSetting", Access.TRADE, adl.change_setting, "symbol! positionSide rank!"),
)

_ACCOUNT = (
    _route("GET", "/fapi/v2/balance", Access.READ, account.balance_v2, "", 5),
    _route("GET", "/fapi/v3/balance", Access.READ, account.balance_v3, "", 5),
    _route("GET", "/fapi/v2/account", Access.READ, account.account_v2, "", 5),
    _route("GET", "/fapi/v3/account", Access.READ, account.account_v3, "", 5),
    _route("GET", "/fapi/v2/positionRisk", Access.READ, account.position_risk_v2, "symbol", 5),
    _route("GET", "/fapi/v3/positionRisk", Access.READ, account.position_risk_v3, "symbol", 5),
    _route("GET", "/fapi/v1/symbolConfig", Access.READ, account.symbol_config, "symbol", 5),
    _route("GET", "/fapi/v1/accountConfig", Access.READ, account.account_config, "", 5),
    _route("GET", "/fapi/v1/commissionRate", Access.READ, account.commission_rate, "symbol!", 20),
    _route("GET", "/fapi/v1/leverageBracket", Access.READ, account.leverage_bracket, "symbol"),
    _route("GET", "/fapi/v1/openOrders", Access.READ, account.read_open_orders, "symbol"),
    _route("GET", "/fapi/v1/openOrder", Access.READ, account.read_open_order, _NAMED),
    _route("GET", "/fapi/v1/order", Access.READ, account.read_order, _NAMED),
)

ROUTES: dict[tuple[str, str], Route] = {
    (route.method, route.path): route
    for group in (_GENERAL, _TRADING, _SETTINGS, _ACCOUNT)
    for route in group
}
