"""Field kinds: how a value of the outside world becomes the one canonical string that is judged, hashed and forwarded.

Canonical forms hold strings only (RFC 8785 leaves no doubt about those); decimals are normalised, so that
`50.0`, `5e1` and `050` are one quantity and one hash (B41). Whatever is not clearly of its kind is refused (B43).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

MAX_TEXT = 256
MAX_NUMBER = 40  # characters; longer than any price or quantity of any venue

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_SIGNED = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_NORMAL_DECIMAL = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?", re.ASCII)  # how every canonical one looks
_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_FORBIDDEN_CATEGORIES: Final = (
    "C",
    "Zl",
    "Zp",
)  # control, format (bidi, zero width), surrogate, private, separators
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})  # classes that put digits beside them in another order (UAX #9)
# Letters and marks that show nothing (Unicode's Default_Ignorable_Code_Point, as far as it is not in category C).
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


class Kind(StrEnum):
    """What a field may hold."""

    TEXT = "text"
    DECIMAL = "decimal"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CHOICE = "choice"


class ValueRefused(ValueError):
    """A value is not of its declared kind. `str()` says what was expected; it never repeats the value."""


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field of an action.

    `bound` fields are part of what the owner approves; the others (a client's own order id, the wished form of the
    answer) are forwarded but may differ between the approved call and its repetition. A `word` is text that stands in
    a sentence: without blanks it cannot pose as the rest of it, and nothing in it runs from right to left. `ascii`
    text has no letter that looks like another script's: what says where money goes is compared by eye (B49).
    """

    kind: Kind
    required: bool = False
    bound: bool = True
    choices: frozenset[str] = frozenset()
    positive: bool = True
    word: bool = False
    ascii: bool = False
    longest: int = MAX_TEXT

    def canonical(self, value: str) -> str:
        """The one canonical form of `value`. Raises ValueRefused."""
        return _CANONICAL[self.kind](self, value)


def has_invisible(text: str) -> bool:
    """Whether some character of `text` controls, directs or shows nothing, so that two texts could look alike."""
    if text.isascii():
        return not text.isprintable()  # of ASCII exactly the control characters are not
    return _INVISIBLE.search(text) is not None or any(
        unicodedata.category(character).startswith(_FORBIDDEN_CATEGORIES) for character in text
    )


def _text(field: Field, value: str) -> str:
    if not value or len(value) > field.longest:
        raise ValueRefused(f"expected 1 to {field.longest} characters")
    plain = value.isascii()  # then it is in form C, and nothing in it runs from right to left
    if field.ascii and not plain:
        raise ValueRefused("expected letters, digits and signs of ASCII alone")
    if not plain and unicodedata.normalize("NFC", value) != value:
        raise ValueRefused("expected text in Unicode normal form C")
    if value != value.strip() or has_invisible(value):
        raise ValueRefused("expected text without control, direction or invisible characters")
    if field.word and (" " in value if plain else any(map(_parts_a_word, value))):
        raise ValueRefused("expected one word, written from left to right")
    return value


def _parts_a_word(character: str) -> bool:
    return character.isspace() or unicodedata.bidirectional(character) in _RIGHT_TO_LEFT


def _decimal(field: Field, value: str) -> str:
    if len(value) <= MAX_NUMBER and _NORMAL_DECIMAL.fullmatch(value) is not None:
        return value
    form = _DECIMAL if field.positive else _SIGNED
    if len(value) > MAX_NUMBER or form.fullmatch(value) is None:
        raise ValueRefused("expected a decimal number in ASCII digits")
    # Not Decimal.normalize(): it rounds to 28 digits, which would make two quantities one.
    number = Decimal(value)
    if number == 0:
        return "0"
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if len(text) > MAX_NUMBER:
        raise ValueRefused("expected a decimal number of reasonable size")
    return text


def _integer(_: Field, value: str) -> str:
    if _INTEGER.fullmatch(value) is None:
        raise ValueRefused("expected a whole number in ASCII digits, without sign or leading zeros")
    return value


def _boolean(_: Field, value: str) -> str:
    # ccxt and the official SDK send `true`, python-binance and the older connector send Python's `True`.
    folded = {"true": "true", "True": "true", "false": "false", "False": "false"}.get(value)
    if folded is None:
        raise ValueRefused("expected true or false")
    return folded


def _choice(field: Field, value: str) -> str:
    if value not in field.choices:
        raise ValueRefused(f"expected one of {', '.join(sorted(field.choices))}")
    return value


_CANONICAL: Final[dict[Kind, Callable[[Field, str], str]]] = {
    Kind.TEXT: _text,
    Kind.DECIMAL: _decimal,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.CHOICE: _choice,
}


def text(*, required: bool = False, bound: bool = True) -> Field:
    return Field(Kind.TEXT, required, bound)


def word(*, required: bool = False, bound: bool = True) -> Field:
    return Field(Kind.TEXT, required, bound, word=True)


def ascii_word(*, required: bool = False) -> Field:
    return Field(Kind.TEXT, required, word=True, ascii=True)


def ascii_text(*, required: bool = False, longest: int = MAX_TEXT) -> Field:
    return Field(Kind.TEXT, required, ascii=True, longest=longest)


def decimal(*, required: bool = False, positive: bool = True) -> Field:
    return Field(Kind.DECIMAL, required, positive=positive)


def integer(*, required: bool = False, bound: bool = True) -> Field:
    return Field(Kind.INTEGER, required, bound)


def boolean(*, required: bool = False) -> Field:
    return Field(Kind.BOOLEAN, required)


def choice(*choices: str, required: bool = False, bound: bool = True) -> Field:
    return Field(Kind.CHOICE, required, bound, frozenset(choices))
