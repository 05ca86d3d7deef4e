"""The time window and the length of a list that a call asks for."""

from __future__ import annotations

from dataclasses import dataclass

from leverlock_paper.errors import refusal
from leverlock_paper.venue import Call

END_OF_TIME = 10**15


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` to `end` (ms, both included), at most `limit` entries."""

    start: int
    end: int
    limit: int
    given: bool  # whether the caller named a start
    page: int = 1


def window_of(call: Call, *, default_limit: int, most: int, longest_days: int = 0) -> Window:
    """Reads startTime, endTime, limit and page. Raises -1130, -1127, -4084-like refusals of the venue."""
    start = call.params.integer("startTime", 0)
    end = call.params.integer("endTime", END_OF_TIME)
    limit = min(call.params.integer("limit", default_limit, least=1), most)
    if start > end:
        raise refusal(-1130, "startTime")
    if longest_days and "startTime" in call.params and "endTime" in call.params:
        longest = longest_days * 86_400_000
        if end - start > longest:
            raise refusal(-1127, longest_days * 24)
    return Window(start, end, limit, "startTime" in call.params, call.params.integer("page", 1, least=1))
