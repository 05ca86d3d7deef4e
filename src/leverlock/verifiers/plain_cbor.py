"""The shape of CBOR that authenticators speak, checked before a general decoder sees it.

CTAP2's canonical form (section 8): definite lengths, no tags, no floats, at most four deep. A general decoder would
also take tags that make it compute (bignums, decimals, shared references) and lengths that make it allocate; none of
that is ever part of an honest answer.
"""

from __future__ import annotations

from typing import Final

MAX_DEPTH: Final = 4
MAX_ITEMS: Final = 256

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = range(8)
_FALSE, _TRUE, _NULL = 20, 21, 22


class NotPlain(Exception):
    """The bytes are not one plain CBOR item."""


def must_be_plain(data: bytes, *, items: int = 1) -> None:
    """Raises NotPlain unless `data` is exactly so many plain items, with nothing behind them."""
    at, left = 0, [MAX_ITEMS]
    for _ in range(items):
        at = _end_of(data, at, MAX_DEPTH, left)
    if at != len(data):
        raise NotPlain("bytes follow the last item")


def _end_of(data: bytes, at: int, depth: int, left: list[int]) -> int:
    """Where the item that starts at `at` ends."""
    left[0] -= 1
    if left[0] < 0:
        raise NotPlain(f"more than {MAX_ITEMS} items")
    if at >= len(data):
        raise NotPlain("an item is missing")
    major, minor = data[at] >> 5, data[at] & 0x1F
    if major == _SIMPLE:
        if minor not in (_FALSE, _TRUE, _NULL):
            raise NotPlain("a float or an unknown simple value")
        return at + 1
    if major == _TAG:
        raise NotPlain("a tag")
    at, value = _argument(data, at + 1, minor)
    if major in (_UNSIGNED, _NEGATIVE):
        return at
    if major in (_BYTES, _TEXT):
        if value > len(data) - at:
            raise NotPlain("a text is cut off")
        return at + value
    if depth == 0:
        raise NotPlain(f"nested more than {MAX_DEPTH} deep")
    if value > len(data) - at:
        raise NotPlain("a list is cut off")
    for _ in range(value * (2 if major == _MAP else 1)):
        at = _end_of(data, at, depth - 1, left)
    return at


def _argument(data: bytes, at: int, minor: int) -> tuple[int, int]:
    """Behind the argument of an item's head, and its value. An indefinite length has none."""
    if minor < 24:
        return at, minor
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(minor)
    if size is None or size > len(data) - at:
        raise NotPlain("an indefinite length, or a head that is cut off")
    return at + size, int.from_bytes(data[at : at + size], "big")
