"""Figures: what a benchmark returns and how it is printed, a goal that is not reached as plainly as one that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

VERDICTS = {True: "reached", False: "**gap**", None: "not judged"}
COLUMNS = ("id", "what", "ours", "beside it", "ratio", "goal", "")


@dataclass(frozen=True)
class Figure:
    """One measured line. `beside` are floors and peers of the same run, in the same unit.

    `ratio` is what the goal speaks about where that is not the value itself. `reached` is None where there is no goal,
    or where what the goal compares with was not there to be measured.
    """

    row: str
    what: str
    value: float
    unit: str
    beside: Mapping[str, float] = field(default_factory=dict)
    goal: str = ""
    reached: bool | None = None
    ratio: float | None = None

    def cells(self) -> tuple[str, ...]:
        """One line of the table, as `COLUMNS` heads it."""
        beside = "; ".join(f"{name} {number(value)}" for name, value in self.beside.items())
        return (
            self.row,
            self.what,
            f"{number(self.value)} {self.unit}",
            beside,
            "" if self.ratio is None else f"{number(self.ratio)} x",
            self.goal,
            VERDICTS[self.reached] if self.goal else "",
        )


def printed(figures: Iterable[Figure], notes: Iterable[str] = ()) -> str:
    """The figures as a table of plain text, what stands beside them on lines of their own, then the notes."""
    lines = []
    for figure in figures:
        row, what, ours, _, ratio, goal, verdict = figure.cells()
        lines.append(f"{row:3} {what:58} {ours:>15} {ratio:>9}  {verdict.replace('*', '').replace('gap', 'GAP')}")
        if goal:
            lines.append(f"      goal: {goal}")
        lines += [f"      {name:55} {number(value):>12} {figure.unit}" for name, value in figure.beside.items()]
    return "\n".join([*lines, *(f"    note: {note}" for note in notes)])


def markdown(figures: Iterable[Figure]) -> str:
    """The same as one table for `RESULTS.md`."""
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *(figure.cells() for figure in figures)]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows)


def number(value: float) -> str:
    if math.isnan(value):
        return "not measured"
    if abs(value) < 10:
        return f"{value:,.3f}"
    return f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"
