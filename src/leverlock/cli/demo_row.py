"""A row of the mission, as the demo shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leverlock.cli.demo_stage import Stage


@dataclass(frozen=True)
class Row:
    """`show` answers what was seen, which has to begin with `expected`."""

    name: str
    title: str
    expected: str
    show: Callable[[Stage, Any], str]
