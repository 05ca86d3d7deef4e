"""The one parse of a client's parameters: what it returns is what is judged, and what is forwarded (B65).

The venue's rules for a query string leave room: two values for one name, names that differ in case, escapes
inside names, a second `=`, broken escapes. Each of these lets two readers see two different orders in the
same bytes, so each is refused here, and nothing after this module looks at the client's bytes again.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from leverlock.gateway.binance.errors import (
    DuplicateParameter,
    EmptyParameter,
    IllegalCharacters,
    UnreadParameter,
)

PARAMETER_LIMIT: Final = 64  # parameters in one call; the widest documented endpoint takes about 25
NAME_LIMIT: Final = 40  # characters; the longest documented name has 24

# Names the gateway itself gives a meaning, by their case-folded form. Another spelling is never one of them.
CONTROL_NAMES: Final = {
    "timestamp": "timestamp",
    "recvwindow": "recvWindow",
    "signature": "signature",
    "otp": "otp",
}

_BYTE: Final = {
    high + low: bytes([int(high + low, 16)]) for high in "0123456789ABCDEFabcdef" for low in "0123456789ABCDEFabcdef"
}


def unsigned_parameters(query: bytes, body: bytes) -> Mapping[str, str]:
    """The parameters of a call that carries no signature (public reads, the listen key), in wire order.

    Raises BinanceError as `read_parts` does, and for a `signature` that nobody would check.
    """
    values, _ = read_parts(query, body)
    if "signature" in values:
        raise UnreadParameter("Not all sent parameters were read; this call takes no signature.")
    return MappingProxyType(values)


def read_parts(query: bytes, body: bytes) -> tuple[dict[str, str], int]:
    """Decoded parameters in wire order, query first, and how many of them stood in the query.

    `query` and `body` are raw wire bytes, each possibly empty. Every pair is `name=value` with a canonical
    literal name, exactly one raw `=`, and a non-empty value that decodes strictly to printable UTF-8.

    Raises DuplicateParameter for a name that occurs twice in query, body or both, in any letter case (B66);
    UnreadParameter for a name not in canonical form; IllegalCharacters for an empty piece, a bad escape,
    control characters or broken UTF-8; EmptyParameter for an empty value.
    """
    values: dict[str, str] = {}
    folded: set[str] = set()
    if query:
        _read(query, values, folded)
    in_query = len(values)
    if body:
        _read(body, values, folded)
    for key, name in CONTROL_NAMES.items():
        if key in folded and name not in values:
            raise UnreadParameter(f"Not all sent parameters were read; did you mean '{name}'?")
    return values, in_query


def canonical_name(name: str) -> bool:
    """Whether `name` is written as the venue writes its names: camel case, ASCII letters and digits."""
    return len(name) <= NAME_LIMIT and _is_camel_case(name)


@lru_cache(maxsize=1024)  # of short names only, so strangers cannot fill the memory with it
def _is_camel_case(name: str) -> bool:
    return name.isalnum() and name.isascii() and name[:1].islower()


def _read(raw: bytes, values: dict[str, str], folded: set[str]) -> None:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise IllegalCharacters("Parameters are not valid UTF-8.") from None
    # One look over the whole text covers every value that needs no decoding. `isprintable` also refuses
    # invisible and direction-changing characters, which could make an approval screen lie.
    if not text.isprintable():
        raise IllegalCharacters("Illegal characters found in the parameters.")
    pieces = text.split("&")
    if len(pieces) + len(values) > PARAMETER_LIMIT:
        raise DuplicateParameter("Too many parameters sent.")
    for piece in pieces:
        name, found, value = piece.partition("=")
        if not found:
            raise IllegalCharacters("Parameters must be name=value pairs joined by '&'.")
        if not canonical_name(name):
            raise UnreadParameter("Not all sent parameters were read; a parameter name is not canonical.")
        # A second raw `=` would make the seam between query and body ambiguous under one signature (B67).
        if "=" in value:
            raise IllegalCharacters(f"Illegal characters found in parameter '{name}'.")
        if "%" in value or "+" in value:
            value = _decoded(name, value)
        if not value:
            raise EmptyParameter(name)
        key = name.lower()
        if key in folded:
            raise DuplicateParameter(f"Duplicate values for parameter '{name}' detected.")
        folded.add(key)
        values[name] = value


def _decoded(name: str, value: str) -> str:
    """Strict form decoding: `+` is a space, `%` takes two hex digits, the result is printable UTF-8."""
    first, *escaped = value.replace("+", " ").split("%")
    parts = [first.encode()]
    for piece in escaped:
        byte = _BYTE.get(piece[:2])
        if byte is None:
            raise IllegalCharacters(f"Illegal escape found in parameter '{name}'.")
        parts.append(byte)
        parts.append(piece[2:].encode())
    try:
        text = b"".join(parts).decode("utf-8")
    except UnicodeDecodeError:
        raise IllegalCharacters(f"Parameter '{name}' is not valid UTF-8.") from None
    if not text.isprintable():
        raise IllegalCharacters(f"Illegal characters found in parameter '{name}'.")
    return text
