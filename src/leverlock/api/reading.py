"""From bytes to a typed request: one strict reading, and an error that names the field.

1. UTF-8, at most 64 KB, nested at most eight deep, and declared as JSON.
2. No name twice in one object, no NaN or infinity, no lone surrogates: what two readers could take differently is
   refused (B43, B66).
3. The declared struct, strictly: no unknown names, no missing ones, no value of a neighbouring type (B8).
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from leverlock.api.problems import Edge, EdgeRefused
from leverlock.domain.errors import Reason, Refused

T = TypeVar("T")

MAX_BODY: Final = 64 * 1024  # bytes; a batch of five orders has under 4 KB
MAX_DEPTH: Final = 8  # a leg's field is the deepest place of any request: five levels down
MAX_DIGITS: Final = 19  # before the point; as many as 64 bits hold
MAX_QUERY: Final = 1024  # bytes
MAX_FOREIGN: Final = 8 * 1024  # bytes of a receipt
MAX_MESSAGE: Final = 200  # characters of an error; it may quote what the caller sent

_JSON: Final = re.compile(rb"application/json(?:\s*;\s*charset=\"?utf-8\"?)?", re.IGNORECASE)
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_PATH: Final = re.compile(r" - at `(\$[^`]*)`$")
_NAMED: Final = re.compile(r"field `([^`]{1,64})`")


def read_body(raw: bytes, content_type: bytes | None, form: type[T]) -> T:
    """The request that `raw` means. Raises Refused(MALFORMED) naming the field, or EdgeRefused."""
    if len(raw) > MAX_BODY:
        raise EdgeRefused(Edge.TOO_LARGE)
    if content_type is None or _JSON.fullmatch(content_type.strip()) is None:
        raise EdgeRefused(Edge.NOT_JSON)
    return convert(_loads(raw), form, strict=True)


def read_query(raw: bytes, form: type[T]) -> T:
    """The declared query parameters, each at most once. Raises Refused(MALFORMED)."""
    if len(raw) > MAX_QUERY:
        raise Refused(Reason.MALFORMED, f"a query has at most {MAX_QUERY} bytes", field="$")
    if not raw:
        return convert({}, form, strict=False)
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=16
        )
    except ValueError:
        raise Refused(Reason.MALFORMED, "the query is not name=value pairs in UTF-8", field="$") from None
    return convert(_once(pairs), form, strict=False)


def read_foreign(query: bytes, raw: bytes, content_type: bytes) -> dict[str, str]:
    """The names and texts of somebody else's call: its query, then its form or the flat part of its JSON.

    Raises Refused(MALFORMED) for what is neither.
    """
    if len(query) > MAX_QUERY or len(raw) > MAX_FOREIGN:
        raise Refused(Reason.MALFORMED, "too long for a receipt", field="$")
    try:
        found = dict(parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=64))
        if raw and content_type.split(b";")[0].strip().lower() == b"application/json":
            document = _loads(raw)
            flat = document.items() if isinstance(document, dict) else ()
            found |= {name: str(value) for name, value in flat if isinstance(value, str | int)}
        elif raw:
            found |= dict(parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=64))
    except ValueError:
        raise Refused(Reason.MALFORMED, "neither a form nor JSON", field="$") from None
    return found


def convert(document: Any, form: type[T], *, strict: bool) -> T:
    """`document` as the declared struct. Raises Refused(MALFORMED), or UNKNOWN_ACTION for an action's name."""
    try:
        return msgspec.convert(document, form, strict=strict)
    except msgspec.ValidationError as problem:
        message = str(problem)
        found = _PATH.search(message)
        field = found[1] if found else "$"
        named = _NAMED.search(message)
        if named is not None:
            field = f"{field}.{named[1]}"
        unknown = field == "$.action.type" and message.startswith("Invalid value")
        raise Refused(
            Reason.UNKNOWN_ACTION if unknown else Reason.MALFORMED, message[:MAX_MESSAGE], field=field
        ) from None


def _loads(raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8")
        _must_be_shallow(text)
        document = _DECODER.decode(text)
        if "\\u" in text:
            # Raises on a lone surrogate; what stands for NaN is refused later, by the name of its field.
            json.dumps(document, ensure_ascii=False, default=repr).encode("utf-8")
    except Refused:
        raise
    except (ValueError, RecursionError):
        raise Refused(Reason.MALFORMED, "the body is not one JSON document in UTF-8", field="$") from None
    return document


def _must_be_shallow(text: str) -> None:
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return
    depth = 0
    for token in _TOKENS.findall(text):
        if token in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise Refused(Reason.MALFORMED, f"the body is nested more than {MAX_DEPTH} deep", field="$")
        elif token in "}]":
            depth -= 1


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused(Reason.MALFORMED, f"{twice[:64]!r} is given twice", field=f"$.{twice[:64]}")
    return document


class NonFinite:
    """Stands for NaN and the infinities until the declared form, which knows the field's name, refuses it."""


def _not_finite(_name: str) -> NonFinite:
    return NonFinite()


def _number(text: str) -> int | NonFinite | float:
    """A number with a point or an exponent. `75.0` is the integer 75, as JSON Schema has it."""
    number = Decimal(text)
    if number.adjusted() > MAX_DIGITS:
        return NonFinite()
    whole = int(number)
    return whole if whole == number else float(number)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_not_finite, parse_float=_number)
