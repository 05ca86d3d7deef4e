"""What never reaches a log, by the name it has, the type it has, or the shape it has (B17, B85).

Three nets, because one tears: a field called `password` is caught by its name, a `SecretStr` or bytes by its type,
and a session token inside a sentence of somebody else's library by its shape.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

REDACTED: Final = "[redacted]"
DEEP: Final = 6  # levels of nesting that are followed; what lies deeper is left out
LONG: Final = 2_000  # characters of one value

# Parts of a field's name. `code` and `grant` stand alone only: `status_code` and `grant_id` are no secrets.
_NAMES: Final = re.compile(
    r"passw|secret|seed|token|otp(?!_allowed)|authorization|cookie|signature|credential|private|passphrase"
    r"|^(code|codes|grant|proof|key_material|recovery_codes?|x-mbx-apikey|body|query|query_string)$",
    re.IGNORECASE,
)

_SHAPES: Final = re.compile(
    r"lvi_[a-z2-7]{20,}"  # an integrator's token
    r"|\bacc_[a-z2-7]{26}\.[a-z2-7]{20,}"  # a session's token
    r"|\bgr_[0-9a-f]{32,}"  # a grant
    r"|\bwhsec_[A-Za-z0-9+/=]+"
    r"|otpauth://[^\s\"']+"
    r"|\bBearer\s+[^\s\"',]+"
    r"|\b(?:[a-z2-7]{6}-){3}[a-z2-7]{6}\b"  # a recovery code
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # user:password in an address
    r"|(?<=signature=)[^&\s\"']+|(?<=otp=)[^&\s\"']+",
)


def redacted(name: str, value: Any, depth: int = 0) -> Any:
    """`value` as it may be written under `name`: JSON values only, secrets replaced, text cut at `LONG`."""
    if value is None or isinstance(value, bool | int | float):
        return REDACTED if value is not None and _NAMES.search(name) and not isinstance(value, bool) else value
    if _NAMES.search(name):
        return REDACTED
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if depth >= DEEP:
        return "[nested too deep]"
    if isinstance(value, Mapping):
        return {text(str(key)): redacted(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted("", item, depth + 1) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: redacted(f.name, getattr(value, f.name), depth + 1) for f in dataclasses.fields(value)}
    if hasattr(value, "get_secret_value"):
        return REDACTED
    return text(str(value))


def text(value: str) -> str:
    """A sentence without the secrets whose shape is known, and not without end."""
    # Cut first with room to spare, so that a secret at the cut is still whole when it is looked for.
    cut = _SHAPES.sub(REDACTED, value[: 2 * LONG])
    return cut if len(cut) <= LONG and len(value) <= 2 * LONG else cut[:LONG] + "…"
