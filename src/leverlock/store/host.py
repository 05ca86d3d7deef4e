"""What the host gives: its clock and its randomness."""

from __future__ import annotations

import os
import time


class SystemClock:
    """The wall clock. `SqliteStore` refuses to go on when it runs back (B11)."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class SystemEntropy:
    """The operating system's CSPRNG (`getrandom`)."""

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)
