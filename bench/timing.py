"""Timing of one call, with nothing but the standard library: peers in an environment of their own use it too."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

SLICE_SECONDS = 0.02


def microseconds(call: Callable[[], object], *, seconds: float = SLICE_SECONDS) -> float:
    """The time of one `call` in microseconds: as many as fit into about `seconds`, after a warm-up."""
    count = 1
    while (taken := _seconds(call, count)) < seconds / 4:
        count *= 4
    count = max(1, int(count * seconds / taken))
    return _seconds(call, count) / count * 1e6


def _seconds(call: Callable[[], object], count: int) -> float:
    repeat = range(count)
    gc.disable()
    try:
        began = time.perf_counter()
        for _ in repeat:
            call()
        return time.perf_counter() - began
    finally:
        gc.enable()
