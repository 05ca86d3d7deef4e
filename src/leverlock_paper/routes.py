"""What can be asked: every path, who may, with which parameters, at what weight. Anything else is -5000.

In the parameter lists `name!` is mandatory; a name that is not listed is refused with -1104.
"""

from __future__ import annotations

from leverlock_paper.conditional import ALGO_FIELDS
from leverlock_paper.endpoints import (
    account,
    adl,
    candles,
    conditional_orders,
    configuration,
    funds_in_and_out,
    general,
    history,
    listen_key,
    margin_wallet,
    market_data,
    order_reads,
    position_reads,
    settings,
    trading,
    wallets,
)
from leverlock_paper.order_form import ORDER_FIELDS
from leverlock_paper.route import Access, Route, route

_ORDER = " ".join(sorted(ORDER_FIELDS))
_ALGO = " ".join(sorted(ALGO_FIELDS))
_AMEND = " ".join(sorted(trading.AMEND_FIELDS))
_NAMED = "symbol! orderId origClientOrderId"
_WINDOW = "startTime endTime limit"

_PAGE = "startTime endTime current size"

_GENERAL = (
    route("GET", "/fapi/v1/ping", Access.NONE, general.ping),
    route("GET", "/fapi/v1/time", Access.NONE, general.server_time),
    route("GET", "/api/v3/ping", Access.NONE, general.ping),
    route("GET", "/api/v3/time", Access.NONE, general.server_time),
    route("GET", "/sapi/v1/system/status", Access.NONE, general.system_status),
    route("GET", "/fapi/v1/exchangeInfo", Access.NONE, general.exchange_info),
)

_TRADING = (
    route("POST", "/fapi/v1/order", Access.TRADE, trading.new_order, _ORDER, 1, orders=True),
    route("PUT", "/fapi/v1/order", Access.TRADE, trading.amend_order, _AMEND, 1, orders=True),
    route("DELETE", "/fapi/v1/order", Access.TRADE, trading.cancel_order, _NAMED),
    route("POST", "/fapi/v1/order/test", Access.TRADE, trading.test_order, _ORDER),
    route("POST", "/fapi/v1/batchOrders", Access.TRADE, trading.new_batch, "batchOrders!", 5, orders=True),
    route("PUT", "/fapi/v1/batchOrders", Access.TRADE, trading.amend_batch, "batchOrders!", 5, orders=True),
    route(
        "DELETE",
        "/fapi/v1/batchOrders",
        Access.TRADE,
        trading.cancel_batch,
        "symbol! orderIdList orderidlist origClientOrderIdList origclientorderidlist",
    ),
    route("DELETE", "/fapi/v1/allOpenOrders", Access.TRADE, trading.cancel_open_orders, "symbol!"),
    route(
        "POST",
        "/fapi/v1/countdownCancelAll",
        Access.TRADE,
        trading.countdown_cancel_all,
        "symbol! countdownTime!",
        10,
    ),
    route("POST", "/fapi/v1/algoOrder", Access.TRADE, conditional_orders.new_algo, _ALGO, 1, orders=True),
    route(
        "DELETE",
        "/fapi/v1/algoOrder",
        Access.TRADE,
        conditional_orders.cancel_algo,
        "symbol algoId clientAlgoId",
    ),
    route("DELETE", "/fapi/v1/algoOpenOrders", Access.TRADE, conditional_orders.cancel_open_algos, "symbol!"),
    route(
        "GET",
        "/fapi/v1/algoOrder",
        Access.READ,
        conditional_orders.read_algo_order,
        "symbol algoId clientAlgoId",
    ),
    route("GET", "/fapi/v1/openAlgoOrders", Access.READ, conditional_orders.open_algos, "algoType symbol algoId"),
    route(
        "GET",
        "/fapi/v1/allAlgoOrders",
        Access.READ,
        conditional_orders.all_algos,
        f"symbol! algoId page {_WINDOW}",
        5,
    ),
)

_SETTINGS = (
    route("POST", "/fapi/v1/leverage", Access.TRADE, settings.change_leverage, "symbol! leverage!"),
    route("POST", "/fapi/v1/marginType", Access.TRADE, settings.change_margin_type, "symbol! marginType!"),
    route("GET", "/fapi/v1/positionSide/dual", Access.READ, settings.read_position_mode, "", 30),
    route("POST", "/fapi/v1/positionSide/dual", Access.TRADE, settings.change_position_mode, "dualSidePosition!"),
    route("GET", "/fapi/v1/multiAssetsMargin", Access.READ, settings.read_multi_assets, "", 30),
    route("POST", "/fapi/v1/multiAssetsMargin", Access.TRADE, settings.change_multi_assets, "multiAssetsMargin!"),
    route(
        "POST",
        "/fapi/v1/positionMargin",
        Access.TRADE,
        settings.change_position_margin,
        "symbol! positionSide amount! type!",
    ),
    route("GET", "/fapi/v1/adlQuantile", Access.READ, adl.quantiles, "symbol", 5),
    # Paper only: no real futures venue of this dialect has a writable ADL setting.
    route("GET", "/fapi/v1/adlSetting", Access.READ, adl.read_setting, "symbol"),
    route("POST", "/fapi/v1/adlSetting", Access.TRADE, adl.change_setting, "symbol! positionSide rank!"),
)

_DELTA_MODE = (
    route("GET", "/sapi/v1/portfolio/delta-mode", Access.READ, settings.read_delta_mode, "", 10),
    route("POST", "/sapi/v1/portfolio/delta-mode", Access.TRADE, settings.change_delta_mode, "deltaEnabled!", 10),
)

_ACCOUNT = (
    route("GET", "/fapi/v2/balance", Access.READ, account.balances, "", 5),
    route("GET", "/fapi/v3/balance", Access.READ, account.balances, "", 5),
    route("GET", "/fapi/v2/account", Access.READ, account.account_v2, "", 5),
    route("GET", "/fapi/v3/account", Access.READ, account.account_v3, "", 5),
    route("GET", "/fapi/v2/positionRisk", Access.READ, position_reads.position_risk_v2, "symbol", 5),
    route("GET", "/fapi/v3/positionRisk", Access.READ, position_reads.position_risk_v3, "symbol", 5),
    route("GET", "/fapi/v1/symbolConfig", Access.READ, configuration.symbol_config, "symbol", 5),
    route("GET", "/fapi/v1/accountConfig", Access.READ, configuration.account_config, "", 5),
    route("GET", "/fapi/v1/commissionRate", Access.READ, configuration.commission_rate, "symbol!", 20),
    route("GET", "/fapi/v1/leverageBracket", Access.READ, configuration.leverage_bracket, "symbol"),
    route("GET", "/fapi/v1/openOrders", Access.READ, order_reads.read_open_orders, "symbol"),
    route("GET", "/fapi/v1/openOrder", Access.READ, order_reads.read_open_order, _NAMED),
    route("GET", "/fapi/v1/order", Access.READ, order_reads.read_order, _NAMED),
)

_MARKET = (
    route("GET", "/fapi/v1/depth", Access.NONE, market_data.depth, "symbol! limit", 10),
    route("GET", "/fapi/v1/trades", Access.NONE, market_data.recent_trades, "symbol! limit", 5),
    route(
        "GET",
        "/fapi/v1/historicalTrades",
        Access.KEY,
        market_data.historical_trades,
        "symbol! limit fromId",
        20,
    ),
    route(
        "GET",
        "/fapi/v1/aggTrades",
        Access.NONE,
        market_data.aggregate_trades,
        f"symbol! fromId {_WINDOW}",
        20,
    ),
    route("GET", "/fapi/v1/klines", Access.NONE, candles.klines, f"symbol! interval! {_WINDOW}", 5),
    route(
        "GET",
        "/fapi/v1/continuousKlines",
        Access.NONE,
        candles.continuous_klines,
        f"pair! contractType! interval! {_WINDOW}",
        5,
    ),
    route(
        "GET",
        "/fapi/v1/indexPriceKlines",
        Access.NONE,
        candles.index_price_klines,
        f"pair! interval! {_WINDOW}",
        5,
    ),
    route(
        "GET",
        "/fapi/v1/markPriceKlines",
        Access.NONE,
        candles.mark_price_klines,
        f"symbol! interval! {_WINDOW}",
        5,
    ),
    route("GET", "/fapi/v1/premiumIndex", Access.NONE, market_data.premium_index, "symbol"),
    route("GET", "/fapi/v1/fundingRate", Access.NONE, market_data.funding_rates, f"symbol {_WINDOW}"),
    route("GET", "/fapi/v1/fundingInfo", Access.NONE, market_data.funding_info),
    route("GET", "/fapi/v1/ticker/24hr", Access.NONE, market_data.ticker_24h, "symbol"),
    route("GET", "/fapi/v1/ticker/price", Access.NONE, market_data.ticker_price, "symbol"),
    route("GET", "/fapi/v2/ticker/price", Access.NONE, market_data.ticker_price, "symbol"),
    route("GET", "/fapi/v1/ticker/bookTicker", Access.NONE, market_data.book_ticker, "symbol", 2),
    route("GET", "/fapi/v1/openInterest", Access.NONE, market_data.open_interest, "symbol!"),
    route(
        "GET",
        "/futures/data/openInterestHist",
        Access.NONE,
        market_data.open_interest_history,
        f"symbol! period! {_WINDOW}",
    ),
    route(
        "GET",
        "/futures/data/globalLongShortAccountRatio",
        Access.NONE,
        market_data.long_short_ratio,
        f"symbol! period! {_WINDOW}",
    ),
)

_HISTORY = (
    route("GET", "/fapi/v1/allOrders", Access.READ, history.all_orders, f"symbol! orderId {_WINDOW}", 5),
    route("GET", "/fapi/v1/userTrades", Access.READ, history.user_trades, f"symbol! orderId fromId {_WINDOW}", 5),
    route("GET", "/fapi/v1/income", Access.READ, history.income, f"symbol incomeType page {_WINDOW}", 30),
    route(
        "GET",
        "/fapi/v1/forceOrders",
        Access.READ,
        history.force_orders,
        f"symbol autoCloseType {_WINDOW}",
        20,
    ),
    route(
        "GET",
        "/fapi/v1/positionMargin/history",
        Access.READ,
        history.margin_history,
        f"symbol! type {_WINDOW}",
    ),
)

_LISTEN_KEY = (
    route("POST", "/fapi/v1/listenKey", Access.KEY, listen_key.create),
    route("PUT", "/fapi/v1/listenKey", Access.KEY, listen_key.prolong, "listenKey"),
    route("DELETE", "/fapi/v1/listenKey", Access.KEY, listen_key.close, "listenKey"),
)

# The real venue counts the weight of these on another host, and hundreds for a withdrawal; here all share one count.
_WALLETS = (
    route(
        "POST",
        "/sapi/v1/asset/transfer",
        Access.TRANSFER,
        wallets.universal_transfer,
        "type! asset! amount! fromSymbol toSymbol",
    ),
    route(
        "GET",
        "/sapi/v1/asset/transfer",
        Access.READ,
        wallets.transfer_history,
        f"type! fromSymbol toSymbol {_PAGE}",
    ),
    route("POST", "/sapi/v1/futures/transfer", Access.TRANSFER, wallets.futures_transfer, "asset! amount! type!"),
    route(
        "GET",
        "/sapi/v1/futures/transfer",
        Access.READ,
        wallets.futures_transfer_history,
        f"asset! {_PAGE}",
        10,
    ),
    route(
        "POST",
        "/sapi/v1/capital/withdraw/apply",
        Access.WITHDRAW,
        funds_in_and_out.withdraw,
        "coin! address! amount! network addressTag withdrawOrderId transactionFeeFlag name walletType",
        10,
    ),
    route(
        "POST",
        "/sapi/v1/localentity/withdraw/apply",
        Access.WITHDRAW,
        funds_in_and_out.withdraw_with_questionnaire,
        "coin! address! amount! questionnaire! network addressTag withdrawOrderId transactionFeeFlag name walletType",
        10,
    ),
    route(
        "GET",
        "/sapi/v1/capital/withdraw/history",
        Access.READ,
        funds_in_and_out.withdraw_history,
        f"coin withdrawOrderId status offset {_WINDOW}",
        10,
    ),
    route(
        "GET",
        "/sapi/v1/capital/deposit/hisrec",
        Access.READ,
        funds_in_and_out.deposit_history,
        f"coin status offset txId includeSource {_WINDOW}",
    ),
    route(
        "GET",
        "/sapi/v1/capital/deposit/address",
        Access.READ,
        funds_in_and_out.deposit_address,
        "coin! network amount",
        10,
    ),
    route("GET", "/sapi/v1/capital/config/getall", Access.READ, wallets.all_coins, "", 10),
    route("POST", "/sapi/v3/asset/getUserAsset", Access.READ, wallets.user_assets, "asset needBtcValuation", 5),
    route("GET", "/sapi/v1/margin/allPairs", Access.KEY, wallets.margin_pairs),
    route("GET", "/sapi/v1/account/apiRestrictions", Access.READ, wallets.api_restrictions),
)

_LOAN = "asset! amount! isIsolated symbol"

_MARGIN = (
    route("GET", "/sapi/v1/margin/account", Access.READ, margin_wallet.account, "", 10),
    route(
        "POST",
        "/sapi/v1/margin/borrow-repay",
        Access.MARGIN,
        margin_wallet.borrow_or_repay,
        f"{_LOAN} type!",
        10,
    ),
    route(
        "GET",
        "/sapi/v1/margin/borrow-repay",
        Access.READ,
        margin_wallet.loan_history,
        f"type! asset txId {_PAGE}",
        10,
    ),
    route("POST", "/sapi/v1/margin/loan", Access.MARGIN, margin_wallet.borrow, _LOAN, 10),
    route("POST", "/sapi/v1/margin/repay", Access.MARGIN, margin_wallet.repay, _LOAN, 10),
)

_GROUPS = (
    _GENERAL,
    _MARKET,
    _TRADING,
    _SETTINGS,
    _DELTA_MODE,
    _ACCOUNT,
    _HISTORY,
    _LISTEN_KEY,
    _WALLETS,
    _MARGIN,
)

ROUTES: dict[tuple[str, str], Route] = {(row.method, row.path): row for group in _GROUPS for row in group}
