"""tests/guards.toml stays true while the sources move: every removal still fits its file."""

from __future__ import annotations

from bars import titles
from guards import Guards

from .syntax import ROOT


def test_every_removal_fits_the_file_it_is_for() -> None:
    guards = Guards.read(ROOT / "tests" / "guards.toml", frozenset(titles())).guards
    stale = [f"{guard.id} {guard.where}: {reason}" for guard in guards if (reason := guard.stale(ROOT))]
    assert not stale, "\n".join(stale)


def test_every_bar_and_row_has_a_title() -> None:
    assert list(titles()) == [f"B{n}" for n in range(1, 101)] + [f"M{n}" for n in range(1, 25)]
