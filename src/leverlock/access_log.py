"""The access log: a line per call, of words we chose ourselves, without a query, a body or a header (B17, B88).

It stands on the way of every order, so it does not pass the redaction of `logs.py`: nothing that a caller wrote can
get into it. Routes are rows of our tables, ids are of our making.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final, TextIO

NAME: Final = "leverlock.access"

_log: Final = logging.getLogger(NAME)


def configure(stream: TextIO) -> None:
    """Write the lines to `stream`, as they are."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.handlers[:] = [handler]
    _log.propagate = False


def note(
    door: str, method: str, route: str, status: int, *, seconds: float, correlation: str = "", who: str = ""
) -> None:
    """One call: which door, which row of its table, how it was answered, how long it took, which key of ours asked."""
    if not _log.isEnabledFor(logging.INFO):
        return
    line = {
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": "call",
        "door": door,
        "method": method,
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 3),
    }
    if correlation:
        line["correlation"] = correlation
    if who:
        line["who"] = who
    _log.info(json.dumps(line, separators=(",", ":")))
