"""A fence: after server time or the database went back, nothing from before it may be used again (B11, B96).

Codes, grants and sessions serve once because of what the database has seen. Where time is set back by hand, or a
database comes back older than it was, that memory is not whole, so what it would have to remember is made worthless:

1. Every session and every live challenge ends, and every grant with its challenge.
2. Every TOTP step up to the one after now is spent, whatever was accepted before; a step already spent stays so.
3. What was counted stays counted. Only a time that now lies ahead is drawn in: a block to the longest there is, a wrong
   answer to now, from where it counts for as long as any.

While a fence is being raised no transaction has a time, so nothing is verified. It is raised account by account, each
in a transaction of its own with its records, and whoever was interrupted goes on where the fence still stands open.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leverlock.domain.totp import step_at

RISING: Final = "fence_rising"  # the setting that holds the fence while it is being raised
NUMBER: Final = "fence_number"  # the setting that holds the number of the last one that stands


class Because(StrEnum):
    """Why a fence was raised."""

    CLOCK_RESET = "clock_reset"
    RESTORED = "restored"  # the database is older than the checkpoint file


@dataclass(frozen=True, slots=True)
class Fence:
    """`number` counts from 1; `now_ms` is the time from which things go on."""

    number: int
    because: Because
    now_ms: int

    @property
    def step(self) -> int:
        """The last TOTP step that no longer serves: a phone may be one ahead (RFC 6238 section 5.2)."""
        return step_at(self.now_ms) + 1

    def text(self) -> str:
        """Its stored form, version 1."""
        return json.dumps({"version": 1, "number": self.number, "because": self.because, "now": self.now_ms})

    @classmethod
    def from_text(cls, text: str) -> Fence:
        """Raises ValueError for anything but what `text` wrote: a fence that cannot be read stays shut."""
        found = json.loads(text)
        if not isinstance(found, dict) or found.get("version") != 1:
            raise ValueError("not a fence of this version")
        return cls(int(found["number"]), Because(found["because"]), int(found["now"]))
