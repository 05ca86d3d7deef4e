"""The time window and the length of a list that a call asks for."""

from __future__ import annotations

from dataclasses import dataclass

from leverlock_paper.errors import refusal
from leverlock_paper.venue import Call

END_OF_TIME = 10**15


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` to `end` (ms, both included), at most `limit` entries, the `page`-th of them."""

    start: int
    end: int
    limit: int
    from_start: bool  # the caller named a start: the oldest entries are wanted, else the newest
    page: int


def window_of(call: Call, *, default_limit: int, most: int, limit_name: str = "limit") -> Window:
    """Reads startTime, endTime, limit and page. Raises -1100, -1130."""
    start = call.params.integer("startTime", 0)
    end = call.params.integer("endTime", END_OF_TIME)
    limit = min(call.params.integer(limit_name, default_limit, least=1), most)
    if start > end:
        raise refusal(-1130, "startTime")
    return Window(start, end, limit, "startTime" in call.params, call.params.integer("page", 1, least=1))
