"""Opaque identifiers: a prefix that says what is named, and 128 random bits nobody can guess (B47)."""

import base64
import re

ID_BYTES = 16
TOKEN_BYTES = 32

_ID = re.compile(r"[a-z]{2,4}_[a-z2-7]{26}", re.ASCII)


def text_of(random: bytes) -> str:
    """Lower-case base32 without padding: survives URLs, shells, double-clicks and being read aloud."""
    return base64.b32encode(random).decode("ascii").rstrip("=").lower()


def make_id(prefix: str, random: bytes) -> str:
    """An identifier such as `ch_4c2k…` from `ID_BYTES` random bytes. Raises ValueError for any other length."""
    if len(random) != ID_BYTES:
        raise ValueError(f"an id takes {ID_BYTES} random bytes, got {len(random)}")
    return f"{prefix}_{text_of(random)}"


def is_id(prefix: str, text: str) -> bool:
    """Whether `text` has the form of an identifier of this kind; whether it exists is for the store to say."""
    return text.startswith(prefix + "_") and _ID.fullmatch(text) is not None
