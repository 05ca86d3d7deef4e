"""What the rules may not reach for: a weak source of randomness, a clock of their own."""

from __future__ import annotations

import ast

import pytest

from .syntax import PRODUCT, ROOT, attribute_path, dotted, imported, modules

CLOCKS = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.date.today",
    }
)
# Time and entropy are passed in to these (principle "domain: no clock, no randomness").
PURE = ("leverlock.domain", "leverlock.app")
ENTROPY = frozenset({"secrets", "os.urandom", "uuid"})


def uses(tree: ast.Module, forbidden: frozenset[str]) -> list[int]:
    """Lines that import one of `forbidden` (or anything below one), or name one that has a dot in it.

    A bare name is judged by its import alone: a variable may well be called `random`.
    """

    def hit(name: str) -> bool:
        parts = name.split(".")
        return any(".".join(parts[:n]) in forbidden for n in range(1, len(parts) + 1))

    lines = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and any(map(hit, imported(node, ""))):
            lines.add(node.lineno)
        if isinstance(node, ast.Attribute) and attribute_path(node) in forbidden:
            lines.add(node.lineno)
    return sorted(lines)


@pytest.mark.bar("B2")
def test_no_secret_can_come_from_a_predictable_generator() -> None:
    """`random` is a Mersenne twister: its state, and so every later seed, follows from a few outputs."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, tree in modules(PRODUCT)
        for line in uses(tree, frozenset({"random", "numpy.random"}))
    ]
    assert not found, f"use the Entropy port: {found}"


def test_rules_are_told_the_time_and_never_ask_for_it() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, tree in modules(PRODUCT)
        if dotted(path).startswith(PURE)
        for line in uses(tree, CLOCKS)
    ]
    assert not found, f"take `now` as an argument: {found}"


def test_rules_are_given_their_entropy() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, tree in modules(PRODUCT)
        if dotted(path).startswith(PURE)
        for line in uses(tree, ENTROPY)
    ]
    assert not found, f"take the Entropy port: {found}"


def test_the_rules_see_what_they_are_for() -> None:
    bad = ast.parse(
        "import random\nfrom time import time\nx = time.time()\nfrom random import choice\n"
        "y = datetime.datetime.now(UTC)\ndef f(random): return random.hex()\n"
    )
    assert uses(bad, frozenset({"random"})) == [1, 4]
    assert uses(bad, CLOCKS) == [2, 3, 5]
