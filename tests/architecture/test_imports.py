"""No circle hides behind TYPE_CHECKING or inside a function, and the two roots stay apart, tests included."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .syntax import PAPER, PRODUCT, ROOT, dotted, imported, modules

# Commands, and bootstrap for them, import inside themselves what only some need: a command line must answer at once.
LAZY = ("leverlock.cli", "leverlock.bootstrap")


def hidden_imports(tree: ast.Module, module: str, *, root: str, is_package: bool = False) -> list[int]:
    """Lines where a module of `root` is imported under `if TYPE_CHECKING` or inside a function."""
    lines = []
    for node in ast.walk(tree):
        in_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        under_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if in_function or under_typing:
            lines += [
                inner.lineno
                for inner in ast.walk(node)
                if isinstance(inner, ast.Import | ast.ImportFrom)
                and any(name.split(".")[0] == root for name in imported(inner, module, is_package=is_package))
            ]
    return sorted(set(lines))


def import_graph(folder: Path) -> dict[str, set[str]]:
    """Which module of a package imports which others of it, whatever the import hides behind."""
    trees = {dotted(path): (path, tree) for path, tree in modules(folder)}
    graph: dict[str, set[str]] = {}
    for module, (path, tree) in trees.items():
        graph[module] = set()
        for node in ast.walk(tree):
            for name in imported(node, module, is_package=path.stem == "__init__"):
                target = name if name in trees else name.rpartition(".")[0]
                if target in trees and target != module:
                    graph[module].add(target)
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of the graph, as the modules on it, or []."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for target in sorted(graph[module]):
            if found := walk(target, [*path, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := walk(module, []))), [])


@pytest.mark.parametrize("folder", [PRODUCT, PAPER], ids=["leverlock", "leverlock_paper"])
def test_no_import_hides_from_the_floors(folder: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, tree in modules(folder)
        if not dotted(path).startswith(LAZY)
        for line in hidden_imports(tree, dotted(path), root=folder.name, is_package=path.stem == "__init__")
    ]
    assert not found, f"import these at the top of the module: {found}"


@pytest.mark.parametrize("folder", [PRODUCT, PAPER], ids=["leverlock", "leverlock_paper"])
def test_no_circle_inside_a_floor_either(folder: Path) -> None:
    assert circle(import_graph(folder)) == []


def test_tests_reach_the_paper_venue_over_http_only() -> None:
    """Its own unit tests may import it; no file may import both roots."""
    for path, tree in modules(ROOT / "tests"):
        roots = {
            name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0)
            for name in imported(node, "")
        }
        if "leverlock_paper" in roots:
            assert path.is_relative_to(ROOT / "tests" / "paper"), f"{path} imports the paper venue"
            assert "leverlock" not in roots, f"{path} imports both roots"


def test_the_rules_see_what_they_are_for() -> None:
    hidden = ast.parse(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from leverlock.app import prove\n"
        "def late():\n    from ..store import sqlite\n"
        "def other():\n    import json\n"
    )
    assert hidden_imports(hidden, "leverlock.domain.grant", root="leverlock") == [3, 5]
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}) == ["a", "b", "c", "a"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
