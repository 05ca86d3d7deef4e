"""Figures: what a benchmark returns and how it is printed, a goal that is not reached as plainly as one that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured line. `beside` are floors and peers of the same run, in the same unit.

    `reached` is None where there is no goal, or where what the goal compares with was not there to be measured.
    """

    row: str
    what: str
    value: float
    unit: str
    beside: dict[str, float] = field(default_factory=dict)
    goal: str = ""
    reached: bool | None = None


def printed(figures: Iterable[Figure], notes: Iterable[str] = ()) -> str:
    """The figures as a table of plain text, then the notes."""
    lines = []
    for figure in figures:
        verdict = {True: "reached", False: "GAP", None: "not judged" if figure.goal else ""}[figure.reached]
        lines.append(f"{figure.row:3} {figure.what:58} {number(figure.value):>9} {figure.unit:3} {verdict}")
        if figure.goal:
            lines.append(f"      goal: {figure.goal}")
        lines += [f"      {name:55} {number(value):>9} {figure.unit}" for name, value in figure.beside.items()]
    return "\n".join([*lines, *(f"    note: {note}" for note in notes)])


def number(value: float) -> str:
    return f"{value:,.3f}" if value < 10 else f"{value:,.1f}"
