"""Recovery codes: 120 random bits as 24 letters and digits, shown once in groups of six (B31).

    mfzwiz-lq5k3e-2aq7xw-onjqge

Case, blanks and dashes do not matter; everything else does. There is one canonical form, and it is what is hashed.
"""

from __future__ import annotations

import re
from typing import Final

from leverlock.domain.ids import text_of

RANDOM_BYTES: Final = 15  # 120 bit: enough that a keyed hash suffices (ASVS 6.5.2)
GROUP: Final = 6
PATTERN: Final = r"^[A-Za-z2-7]{6}([ -]?[A-Za-z2-7]{6}){3}$"

_TYPED: Final = re.compile(PATTERN.rstrip("$"), re.ASCII)


def make(random: bytes) -> str:
    """The canonical form of a fresh code. Raises ValueError for any other number of bytes."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a recovery code takes {RANDOM_BYTES} random bytes, got {len(random)}")
    return text_of(random)


def is_typed(text: str) -> bool:
    """Whether `text` has the form of a code; whether it is one is for the store to say."""
    return _TYPED.fullmatch(text) is not None


def canonical(typed: str) -> str:
    """The one form under which a code is hashed, whatever its case and grouping."""
    return typed.replace("-", "").replace(" ", "").lower()


def shown(code: str) -> str:
    """A canonical code as a person should write it down."""
    return "-".join(code[start : start + GROUP] for start in range(0, len(code), GROUP))
