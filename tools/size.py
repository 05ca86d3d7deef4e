"""Modules stay under 350 lines and functions under 70, so that each can be read in one sitting.

Run by `make check`. Counts `src`, `bench` and `tools`; a function's length is from its `def` to its last
line, its docstring not counted, because a page of explanation must never be the thing that is cut.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES = 350
FUNCTION_LINES = 70
ROOMS = ("src", "bench", "tools")

# "path" or "path:function" -> why it may be longer. An entry that is no longer needed is an error too.
EXCEPTIONS: dict[str, str] = {}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def function_lines(node: Function) -> int:
    """Lines of a function from `def` to its end, without the docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def findings(root: Path, rooms: tuple[str, ...] = ROOMS) -> Iterator[tuple[str, str]]:
    """(place, what is too long there) for every module and function above its limit under `root`."""
    for path in sorted(p for room in rooms for p in (root / room).rglob("*.py")):
        place = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > MODULE_LINES:
            yield place, f"{lines} lines; a module has at most {MODULE_LINES}: split it by noun"
        for node in ast.walk(ast.parse(text, filename=place)):
            if isinstance(node, Function) and (lines := function_lines(node)) > FUNCTION_LINES:
                yield f"{place}:{node.name}", f"{lines} lines; a function has at most {FUNCTION_LINES}"


def main(root: Path, exceptions: dict[str, str]) -> int:
    found = dict(findings(root))
    for place, what in found.items():
        if place not in exceptions:
            print(f"{place}: {what}")
    unused = exceptions.keys() - found.keys()
    for place in sorted(unused):
        print(f"{place}: listed as an exception, but within the limits; take the entry out")
    return 1 if unused or found.keys() - exceptions.keys() else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent, EXCEPTIONS))
