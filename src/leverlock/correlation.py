"""The id by which a caller, the access log and every log line of one call find each other (B92).

A door begins it once for each request, in the request's own context; `logs.py` adds it to whatever is logged below.
The id is made when somebody first asks for it: of most orders nothing is logged, and drawing one costs more than all
the rest of this.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Final


class Correlation:
    """Of one call. `made` is the id, or nothing while nobody has asked for it."""

    __slots__ = ("made",)

    def __init__(self) -> None:
        self.made = ""

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits; no secret, and unlike any other call's."""
        if not self.made:
            self.made = os.urandom(8).hex()
        return self.made


_current: Final[ContextVar[Correlation | None]] = ContextVar("leverlock_correlation", default=None)


def begin() -> Correlation:
    """That of the call which begins here, in this task's context."""
    call = Correlation()
    _current.set(call)
    return call


def current() -> Correlation | None:
    """That of the call under way, if this is part of one."""
    return _current.get()
