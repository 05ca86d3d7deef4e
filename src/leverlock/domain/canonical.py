"""Canonical JSON (RFC 8785): one sequence of bytes for one value, whoever wrote it.

Nearly all that we write is objects, lists, ASCII text, whole numbers, booleans and nulls. Of those msgspec, told to
order the names, writes the very bytes that the RFC asks for, forty times faster than an implementation in Python.
Everything else goes to the implementation that knows the rest: the forms of fractions, the order of names beyond ASCII
(by UTF-16 units), and what has no form at all. A property test holds the two to the same bytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import msgspec
import rfc8785

SAFE_INTEGER: Final = 2**53 - 1  # RFC 8785 section 3.2.2.3

_encode: Final = msgspec.json.Encoder(order="sorted").encode


def canonical_json(value: Any) -> bytes:
    """The canonical form. Raises ValueError for what has none: lone surrogates, NaN, whole numbers out of range."""
    return _encode(value) if _is_plain(value) else rfc8785.dumps(value)


def _is_plain(value: Any) -> bool:
    # Exact types, and our own words: what another subclass is written as is not for two encoders to agree on.
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    if kind is dict:
        for name, inner in value.items():
            if type(name) is not str or not name.isascii() or not _is_plain(inner):
                return False
        return True
    if kind is list or kind is tuple:
        return all(map(_is_plain, value))
    if kind is int:
        return bool(-SAFE_INTEGER <= value <= SAFE_INTEGER)
    return value is None or kind is bool or (isinstance(value, StrEnum) and value.isascii())
