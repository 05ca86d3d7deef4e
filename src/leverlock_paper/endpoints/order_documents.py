"""Orders, conditional orders and fills as the venue writes them."""

from __future__ import annotations

from leverlock_paper.database import Row
from leverlock_paper.numbers import ZERO, eight, places, plain
from leverlock_paper.symbols import SYMBOLS

FEE_ASSET = "USDT"


def order_document(row: Row, *, acknowledged: bool = False, with_time: bool = False) -> dict[str, object]:
    """One order. `acknowledged`: the short form of a new order, as it stood before it was matched."""
    symbol = SYMBOLS[row["symbol"]]
    executed = ZERO if acknowledged else row["executed"]
    quote = ZERO if acknowledged else row["cum_quote"]
    average = quote / executed if executed else ZERO
    status = "NEW" if acknowledged else row["status"]
    if status == "NEW" and executed:
        status = "PARTIALLY_FILLED"
    document: dict[str, object] = {
        "orderId": row["id"],
        "symbol": row["symbol"],
        "status": status,
        "clientOrderId": row["client_id"],
        "price": places(row["price"], symbol.price_precision),
        "avgPrice": places(average, symbol.price_precision + 2),
        "origQty": places(row["quantity"], symbol.quantity_precision),
        "executedQty": places(executed, symbol.quantity_precision),
        "cumQty": places(executed, symbol.quantity_precision),
        "cumQuote": plain(quote),
        "timeInForce": row["tif"],
        "type": row["type"],
        "reduceOnly": bool(row["reduce_only"]),
        "closePosition": bool(row["close_position"]),
        "side": row["side"],
        "positionSide": row["position_side"],
        "stopPrice": plain(row["stop_price"]),
        "workingType": row["working_type"],
        "priceProtect": bool(row["price_protect"]),
        "origType": row["orig_type"],
        "priceMatch": "NONE",
        "selfTradePreventionMode": row["stp"],
        "goodTillDate": 0,
        "updateTime": row["update_time"],
    }
    if with_time:
        document["time"] = row["time"]
    return document


def algo_document(row: Row) -> dict[str, object]:
    """One conditional order."""
    symbol = SYMBOLS[row["symbol"]]
    return {
        "algoId": row["id"],
        "clientAlgoId": row["client_id"],
        "algoType": "CONDITIONAL",
        "orderType": row["type"],
        "symbol": row["symbol"],
        "side": row["side"],
        "positionSide": row["position_side"],
        "timeInForce": row["tif"],
        "quantity": places(row["quantity"], symbol.quantity_precision),
        "algoStatus": row["status"],
        "actualOrderId": str(row["actual_order"]) if row["actual_order"] else "",
        "actualPrice": "0.00000",
        "triggerPrice": places(row["trigger_price"], symbol.price_precision),
        "price": places(row["price"], symbol.price_precision),
        "icebergQuantity": None,
        "tpTriggerPrice": "0.000",
        "tpPrice": "0.000",
        "slTriggerPrice": "0.000",
        "slPrice": "0.000",
        "tpOrderType": "",
        "selfTradePreventionMode": row["stp"],
        "workingType": row["working_type"],
        "priceMatch": "NONE",
        "closePosition": bool(row["close_position"]),
        "priceProtect": bool(row["price_protect"]),
        "reduceOnly": bool(row["reduce_only"]),
        "activatePrice": plain(row["activate_price"]) if row["activate_price"] else "",
        "callbackRate": plain(row["callback_rate"]) if row["callback_rate"] else "",
        "createTime": row["time"],
        "updateTime": row["update_time"],
        "triggerTime": row["trigger_time"],
        "goodTillDate": 0,
        "failReason": row["failure"],
    }


def fill_document(row: Row) -> dict[str, object]:
    """One fill of the account's own."""
    symbol = SYMBOLS[row["symbol"]]
    return {
        "symbol": row["symbol"],
        "id": row["id"],
        "orderId": row["order_id"],
        "side": row["side"],
        "price": places(row["price"], symbol.price_precision),
        "qty": places(row["quantity"], symbol.quantity_precision),
        "realizedPnl": eight(row["realized"]),
        "quoteQty": plain(row["price"] * row["quantity"]),
        "commission": eight(row["commission"]),
        "commissionAsset": FEE_ASSET,
        "time": row["time"],
        "positionSide": row["position_side"],
        "maker": bool(row["maker"]),
        "buyer": row["side"] == "BUY",
    }
