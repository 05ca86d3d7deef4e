"""Assets and amounts, as the calls that move funds name them."""

from __future__ import annotations

from decimal import Decimal

from leverlock_paper.errors import refusal
from leverlock_paper.symbols import ASSETS
from leverlock_paper.venue import Call

_AMOUNT_PLACES = 8


def asset_named(name: str) -> str:
    if name not in ASSETS:
        raise refusal(-4018)
    return name


def read_amount(call: Call) -> Decimal:
    amount = call.params.decimal("amount")
    if amount <= 0:
        raise refusal(-4055)
    if -int(amount.normalize().as_tuple().exponent) > _AMOUNT_PLACES:
        raise refusal(-1111)
    return amount
