"""The parameters of one call: parsed once from the raw query and body, duplicates refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from urllib.parse import unquote_to_bytes

from leverlock_paper.errors import refusal

_SIGNED_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
_SCIENTIFIC = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?[eE]-?[0-9]{1,2}", re.ASCII)
_INTEGER = re.compile(r"[0-9]{1,18}", re.ASCII)

# What every signed call may carry beside the parameters of its own.
SIGNING_FIELDS = frozenset({"timestamp", "recvWindow", "signature"})


def parse(raw_query: bytes, raw_body: bytes) -> dict[str, str]:
    """Name -> value over query and body together. Raises -1101 for a name sent twice, -1100 for bad bytes."""
    values: dict[str, str] = {}
    for raw in (raw_query, raw_body):
        for piece in raw.split(b"&"):
            if not piece:
                continue
            raw_name, _, raw_value = piece.partition(b"=")
            name, value = _decoded(raw_name), _decoded(raw_value)
            if name in values:
                raise refusal(-1101, name)
            values[name] = value
    return values


def _decoded(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise refusal(-1100, raw[:32].decode("latin-1"), "UTF-8") from None


class Params:
    """Typed reading of a call's parameters; every getter raises the venue's own error for a bad value."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def allow_only(self, names: frozenset[str], mandatory: Iterable[str]) -> None:
        """Raises -1102 for a missing name, -1105 for an empty value and -1104 for a name nobody reads."""
        for name in mandatory:
            if not self.values.get(name):
                raise refusal(-1102, name)
        for name, value in self.values.items():
            if value == "" and name in names:
                raise refusal(-1105, name)
        unread = [name for name in self.values if name not in names]
        if unread:
            sent = len(self.values)
            raise refusal(-1104, sent - len(unread), sent, unread[0])

    def text(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)

    def required(self, name: str) -> str:
        value = self.values.get(name)
        if not value:
            raise refusal(-1102, name)
        return value

    def choice(self, name: str, allowed: Iterable[str], default: str | None = None, code: int = -1130) -> str:
        value = self.values.get(name, default)
        if value is None or value == "":
            raise refusal(-1102, name)
        if value not in allowed:
            raise refusal(code, name)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.values.get(name)
        if value is None:
            return default
        lowered = value.lower()
        if lowered not in ("true", "false"):
            raise refusal(-1130, name)
        return lowered == "true"

    def integer(self, name: str, default: int | None = None, least: int = 0, most: int = 10**18) -> int:
        value = self.values.get(name)
        if value is None:
            if default is None:
                raise refusal(-1102, name)
            return default
        if not _INTEGER.fullmatch(value):
            raise refusal(-1100, name, "^[0-9]{1,20}$")
        number = int(value)
        if not least <= number <= most:
            raise refusal(-1130, name)
        return number

    def optional_integer(self, name: str) -> int | None:
        return self.integer(name) if name in self.values else None

    def decimal(self, name: str) -> Decimal:
        value = self.values.get(name)
        if not value:
            raise refusal(-1102, name)
        return to_decimal(name, value)

    def optional_decimal(self, name: str) -> Decimal | None:
        return self.decimal(name) if name in self.values else None


def to_decimal(name: str, value: str) -> Decimal:
    """A finite decimal in ASCII digits; a sign is read so that the range check can name it (-4003, -4001)."""
    if _SIGNED_DECIMAL.fullmatch(value):
        return Decimal(value)
    # Two of the usual clients write small numbers as 1e-05; the venue reads the value that was meant.
    if _SCIENTIFIC.fullmatch(value):
        return Decimal(f"{Decimal(value):f}")
    raise refusal(-1100, name, r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
