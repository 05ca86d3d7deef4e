"""How the venue's calls say our actions: one form per call, as data. `codec` reads and writes by them.

Where one call can mean several things, a parameter decides, and a value that stands in no form means nothing that we
know: it is refused, never guessed (B69).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from leverlock.domain.action import ActionType
from leverlock.domain.environment import Environment
from leverlock.domain.movement_actions import MARGIN_BORROW, MARGIN_REPAY, TRANSFER_OUT, WITHDRAW
from leverlock.domain.setting_actions import ADL_SET, DELTA_MODE_SET, MULTI_ASSETS_SET, POSITION_MARGIN_CHANGE
from leverlock.domain.trading_actions import (
    AMEND_BATCH,
    CONDITIONAL_PLACE,
    LEVERAGE_SET,
    MARGIN_MODE_SET,
    ORDER_AMEND,
    ORDER_BATCH,
    ORDER_PLACE,
    POSITION_MODE_SET,
)
from leverlock.domain.values import Kind
from leverlock.gateway.binance.errors import IllegalCharacters

BATCH: Final = "batchOrders"

# The venue documents these for some flags, and its own SDK writes them into every leg of a batch.
_FLAGS: Final = {"TRUE": "true", "FALSE": "false"}


@dataclass(frozen=True, slots=True)
class Form:
    """One call, or one leg of a batch, that says `action`.

    `names`: which parameter is which field. `aliases`: other names that clients use for a parameter. `words`: the
    venue's words for a field's values; of several the first is written. `constants`: parameters that say the one way
    what is said by the action's type or by `fixed`, the fields that are told by the choice of this form. `legs`: the
    form of the legs of a batch.
    """

    action: ActionType
    names: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    legs: Form | None = None

    @property
    def parameters(self) -> frozenset[str]:
        """Every parameter name that such a call may carry."""
        return frozenset({BATCH}) if self.legs is not None else frozenset({*self.names, *self.aliases, *self.constants})

    def ours(self, parameter: str, value: str) -> str:
        """Our word for the venue's. Raises IllegalCharacters where the venue has other words for it."""
        words = self.words.get(parameter)
        if words is not None:
            if value not in words:
                expected = ", ".join(words)
                raise IllegalCharacters(f"Illegal value for parameter '{parameter}': expected one of {expected}.")
            return words[value]
        return _FLAGS.get(value, value) if self.action.fields[self.names[parameter]].kind is Kind.BOOLEAN else value

    def theirs(self, parameter: str, value: str) -> str:
        """The venue's word for ours."""
        words = self.words.get(parameter)
        return value if words is None else next((word for word, meant in words.items() if meant == value), value)


@dataclass(frozen=True, slots=True)
class Choice:
    """A call whose form is told by the value of one of its parameters."""

    parameter: str
    forms: Mapping[str, Form]

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset({self.parameter}).union(*(form.parameters for form in self.forms.values()))


_ORDER: Final = {
    "symbol": "symbol",
    "side": "side",
    "positionSide": "position_side",
    "type": "type",
    "timeInForce": "time_in_force",
    "quantity": "quantity",
    "price": "price",
    "priceMatch": "price_match",
    "reduceOnly": "reduce_only",
    "selfTradePreventionMode": "self_trade_prevention",
    "goodTillDate": "good_till_date",
    "newClientOrderId": "client_order_id",
    "newOrderRespType": "response_type",
}
_CONDITIONAL: Final = {
    **{name: field for name, field in _ORDER.items() if name != "newClientOrderId"},
    "clientAlgoId": "client_order_id",
    "triggerPrice": "trigger_price",
    "workingType": "working_type",
    "priceProtect": "price_protect",
    "closePosition": "close_position",
    "activatePrice": "activate_price",
    "callbackRate": "callback_rate",
}
_AMEND: Final = {
    "symbol": "symbol",
    "side": "side",
    "orderId": "order_id",
    "origClientOrderId": "client_order_id",
    "quantity": "quantity",
    "price": "price",
    "priceMatch": "price_match",
    "reduceOnly": "reduce_only",
}

ORDER: Final = Form(ORDER_PLACE, _ORDER)
CONDITIONAL: Final = Form(
    CONDITIONAL_PLACE,
    _CONDITIONAL,
    aliases={"activationPrice": "activatePrice"},
    constants={"algoType": "CONDITIONAL"},
)
AMENDMENT: Final = Form(ORDER_AMEND, _AMEND)
ORDERS: Final = Form(ORDER_BATCH, legs=ORDER)
AMENDMENTS: Final = Form(AMEND_BATCH, legs=AMENDMENT)
LEVERAGE: Final = Form(LEVERAGE_SET, {"symbol": "symbol", "leverage": "leverage"})
MARGIN_MODE: Final = Form(MARGIN_MODE_SET, {"symbol": "symbol", "marginType": "margin_mode"})
POSITION_MODE: Final = Form(POSITION_MODE_SET, {"dualSidePosition": "hedged"})
MULTI_ASSETS: Final = Form(MULTI_ASSETS_SET, {"multiAssetsMargin": "multi_assets"})
POSITION_MARGIN: Final = Form(
    POSITION_MARGIN_CHANGE,
    {"symbol": "symbol", "positionSide": "position_side", "amount": "amount", "type": "direction"},
    words={"type": {"1": "ADD", "2": "REMOVE"}},
)
# The paper venue's own: no real venue of this dialect has a call for the ADL setting of a position.
ADL: Final = Form(ADL_SET, {"symbol": "symbol", "positionSide": "position_side", "rank": "rank"})
DELTA_MODE: Final = Form(DELTA_MODE_SET, {"deltaEnabled": "delta_mode"})

# -- movements of funds ------------------------------------------------------------------------------------------------
# Whose factor guards what leaves a wallet, by the venue's name of the wallet; a type of transfer is two such names.
# The funding wallet is the spot market's second pocket: withdrawals take from either.
WALLETS: Final = {
    "MAIN": Environment.SPOT,
    "FUNDING": Environment.SPOT,
    "C2C": Environment.SPOT,
    "MARGIN": Environment.MARGIN,
    "ISOLATEDMARGIN": Environment.MARGIN,
    "ISOLATED_MARGIN": Environment.MARGIN,
    "UMFUTURE": Environment.FUTURES,
    "CMFUTURE": Environment.FUTURES,
    "PORTFOLIO_MARGIN": Environment.FUTURES,
}
_TARGETS: Final = (*WALLETS, "OPTION")  # options are not modelled: funds may go there and do not come back through here


def _transfer(parameter: str, value: str, source: str, to: str, **names: str) -> Form:
    """The form of one type of transfer: it leaves `source`, so that market's factor answers for it."""
    return Form(
        TRANSFER_OUT[WALLETS[source]],
        {"asset": "asset", "amount": "amount", **names},
        constants={parameter: value},
        fixed={"from": source, "to": to},
    )


TRANSFERS: Final = Choice(
    "type",
    {
        f"{source}_{to}": _transfer(
            "type", f"{source}_{to}", source, to, fromSymbol="from_symbol", toSymbol="to_symbol"
        )
        for source in WALLETS
        for to in _TARGETS
        if source != to or source == "ISOLATEDMARGIN"
    },
)
# The older door, by number.
FUTURES_TRANSFERS: Final = Choice(
    "type",
    {
        "1": _transfer("type", "1", "MAIN", "UMFUTURE"),
        "2": _transfer("type", "2", "UMFUTURE", "MAIN"),
        "3": _transfer("type", "3", "MAIN", "CMFUTURE"),
        "4": _transfer("type", "4", "CMFUTURE", "MAIN"),
    },
)

_WITHDRAWAL: Final = {
    "coin": "asset",
    "network": "network",
    "address": "address",
    "addressTag": "memo",
    "amount": "amount",
    "walletType": "wallet",
    "transactionFeeFlag": "fee_to_receiver",
    "name": "label",
    "withdrawOrderId": "client_id",
}
_WALLET_TYPES: Final = {"walletType": {"0": "SPOT", "1": "FUNDING"}}
WITHDRAWAL: Final = Form(WITHDRAW[Environment.SPOT], _WITHDRAWAL, words=_WALLET_TYPES)
# Its twin for places with a travel rule: the same movement, with a statement about who receives it.
DECLARED_WITHDRAWAL: Final = Form(
    WITHDRAW[Environment.SPOT], {**_WITHDRAWAL, "questionnaire": "declaration"}, words=_WALLET_TYPES
)

_LOAN: Final = {"asset": "asset", "amount": "amount", "isIsolated": "isolated", "symbol": "symbol"}
_ISOLATED: Final = {"isIsolated": {"TRUE": "true", "FALSE": "false", "true": "true", "false": "false"}}
BORROWING: Final = Form(MARGIN_BORROW, _LOAN, words=_ISOLATED)
REPAYMENT: Final = Form(MARGIN_REPAY, _LOAN, words=_ISOLATED)
LOANS: Final = Choice(
    "type",
    {
        "BORROW": replace(BORROWING, constants={"type": "BORROW"}),
        "REPAY": replace(REPAYMENT, constants={"type": "REPAY"}),
    },
)
