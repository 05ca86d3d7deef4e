"""Refusals in the venue's own words: one table of code -> HTTP status and text."""

from __future__ import annotations

from collections.abc import Mapping

# The codes and texts are the real venue's public ones, so that a client's error mapping is exercised.
REFUSALS: Mapping[int, tuple[int, str]] = {
    -1000: (500, "An unknown error occurred while processing the request."),
    -1003: (429, "Too many requests; current limit is {0} {1}. Please slow down."),
    -1007: (
        503,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    ),
    -1008: (503, "Server is currently overloaded with other requests. Please try again in a few minutes."),
    -1015: (429, "Too many new orders; current limit is {0} orders per {1}."),
    -1021: (400, "Timestamp for this request {0}."),
    -1022: (400, "Signature for this request is not valid."),
    -1100: (400, "Illegal characters found in parameter '{0}'; legal range is '{1}'."),
    -1101: (400, "Duplicate values for parameter '{0}' detected."),
    -1102: (400, "Mandatory parameter '{0}' was not sent, was empty/null, or malformed."),
    -1103: (400, "An unknown parameter was sent."),
    -1104: (
        400,
        "Not all sent parameters were read; read '{0}' parameter(s) but was sent '{1}'. Unread: '{2}'.",
    ),
    -1105: (400, "Parameter '{0}' was empty."),
    -1106: (400, "Parameter '{0}' sent when not required."),
    -1111: (400, "Precision is over the maximum defined for this asset."),
    -1115: (400, "Invalid timeInForce."),
    -1116: (400, "Invalid orderType."),
    -1117: (400, "Invalid side."),
    -1120: (400, "Invalid interval."),
    -1121: (400, "Invalid symbol."),
    -1125: (400, "This listenKey does not exist."),
    -1127: (400, "More than {0} hours between startTime and endTime."),
    -1128: (400, "Combination of optional parameters invalid."),
    -1130: (400, "Data sent for parameter '{0}' is not valid."),
    -1131: (400, "recvWindow must be less than 60000."),
    -1136: (400, "Invalid newOrderRespType."),
    -2011: (400, "Unknown order sent."),
    -2013: (400, "Order does not exist."),
    -2014: (401, "API-key format invalid."),
    -2015: (401, "Invalid API-key, IP, or permissions for action, request ip: {0}"),
    -2018: (400, "Balance is insufficient."),
    -2019: (400, "Margin is insufficient."),
    -2021: (400, "Order would immediately trigger."),
    -2022: (400, "ReduceOnly Order is rejected."),
    -2025: (400, "Reach max open order limit."),
    -2027: (400, "Exceeded the maximum allowable position at current leverage."),
    -2028: (400, "Leverage is smaller than permitted: insufficient margin balance."),
    -3006: (400, "Your borrow amount has exceed maximum borrow amount."),
    -3015: (400, "Repay amount exceeds borrow amount."),
    -3041: (400, "Balance is not enough."),
    -4000: (400, "Invalid order status."),
    -4001: (400, "Price less than 0."),
    -4002: (400, "Price greater than max price."),
    -4003: (400, "Quantity less than or equal to zero."),
    -4004: (400, "Quantity less than min quantity."),
    -4005: (400, "Quantity greater than max quantity."),
    -4006: (400, "Stop price less than or equal to zero."),
    -4013: (400, "Price less than min price."),
    -4014: (400, "Price not increased by tick size."),
    -4015: (400, "Client order id is not valid."),
    -4018: (400, "We don't have this asset."),
    -4019: (400, "Current asset is not open for withdrawal on that network."),
    -4021: (400, "Invalid depth limit."),
    -4022: (400, "Not less than the minimum pick-up quantity {0}."),
    -4016: (400, "Limit price can't be higher than {0}."),
    -4023: (400, "Quantity not increased by step size."),
    -4024: (400, "Limit price can't be lower than {0}."),
    -4026: (400, "You have insufficient balance."),
    -4028: (400, "Leverage {0} is not valid"),
    -4044: (400, "Balance type is invalid."),
    -4046: (400, "No need to change margin type."),
    -4047: (400, "Margin type cannot be changed if there exists open orders."),
    -4048: (400, "Margin type cannot be changed if there exists position."),
    -4050: (400, "Cross balance insufficient."),
    -4051: (400, "Isolated balance insufficient."),
    -4054: (400, "Cannot add position margin: position is 0."),
    -4055: (400, "Amount must be positive."),
    -4059: (400, "No need to change position side."),
    -4060: (400, "Invalid position side."),
    -4061: (400, "Order's position side does not match user's setting."),
    -4062: (400, "Invalid or improper reduceOnly value."),
    -4067: (400, "Position side cannot be changed if there exists open orders."),
    -4068: (400, "Position side cannot be changed if there exists position."),
    -4082: (400, "Invalid number of batch place orders."),
    -4112: (400, "ReduceOnly Order Failed. Please check your existing position and open orders."),
    -4116: (400, "ClientOrderId is duplicated."),
    -4120: (
        400,
        "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    ),
    -4136: (400, "Target strategy invalid for orderType '{0}',closePosition '{1}'."),
    -4137: (400, "Quantity must be zero with closePosition equals true."),
    -4138: (400, "Reduce only must be true with closePosition equals true."),
    -4161: (400, "Leverage reduction is not supported in Isolated Margin Mode with open positions."),
    -4164: (400, "Order's notional must be no smaller than {0} (unless you choose reduce only)."),
    -4167: (400, "Unable to adjust to Multi-Assets mode with symbols under isolated-margin mode."),
    -4168: (400, "Unable to adjust to isolated-margin mode under the Multi-Assets mode."),
    -4171: (400, "No need to change Multi-Assets mode."),
    -5000: (404, "Path {0}, Method {1} is invalid"),
    -5013: (400, "Asset transfer failed: insufficient balance."),
    -5021: (
        400,
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history",
    ),
    -5022: (
        400,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    -5026: (400, "Exceed maximum modify order limit."),
    -5027: (400, "No need to modify the order."),
    -9000: (400, "Unsupported operation: {0}."),
}


class VenueError(Exception):
    """A refusal: `status` is the HTTP status, `code` and `msg` are the JSON answer's two fields."""

    def __init__(self, code: int, msg: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg
        self.status = status
        self.headers = dict(headers or {})

    def document(self) -> dict[str, object]:
        """The body of the answer."""
        return {"code": self.code, "msg": self.msg}


def refusal(code: int, *details: object) -> VenueError:
    """The refusal of that code, its text completed with `details`."""
    status, text = REFUSALS[code]
    return VenueError(code, text.format(*details), status)


def unsupported(what: str) -> VenueError:
    """Something the real venue can do and this one does not model."""
    return refusal(-9000, what)
