"""Money on the wire: decimals as plain text, never in scientific notation."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

ZERO = Decimal(0)
_EIGHT = Decimal("0.00000001")


def plain(value: Decimal) -> str:
    """The value as it stands, without trailing zeros: `1E+3` becomes `1000`, `0.10` becomes `0.1`."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def eight(value: Decimal) -> str:
    """The value with eight decimals, as the venue writes balances and margins."""
    rounded = value.quantize(_EIGHT, ROUND_HALF_UP)
    return f"{rounded if rounded else abs(rounded):f}"


def places(value: Decimal, count: int) -> str:
    """The value with `count` decimals, as the venue writes prices and quantities of a symbol."""
    return f"{value.quantize(Decimal(1).scaleb(-count), ROUND_HALF_UP):f}"


def down_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`."""
    return (value / step).quantize(Decimal(1), ROUND_DOWN) * step


def is_multiple(value: Decimal, step: Decimal) -> bool:
    return value % step == 0
