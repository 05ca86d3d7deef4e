"""Reading the product's sources as syntax trees, for the rules that a linter does not know."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PRODUCT = ROOT / "src" / "leverlock"
PAPER = ROOT / "src" / "leverlock_paper"


def modules(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    """Every module below `folder` with its tree, in a stable order."""
    for path in sorted(folder.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def dotted(path: Path) -> str:
    """`src/leverlock/app/prove.py` -> `leverlock.app.prove`."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(node: ast.AST, module: str, *, is_package: bool = False) -> list[str]:
    """The dotted names an import statement names (each with the name taken from it); [] for any other node.

    `from x import y` gives `x.y`: whether y is a module or a name in x is for the caller to find out.
    """
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=source, names=names, level=level):
            base = source or ""
            if level:
                parts = module.split(".")
                parts = parts[: len(parts) - level + (1 if is_package else 0)]
                base = ".".join([*parts, *([source] if source else [])])
            return [f"{base}.{alias.name}" for alias in names]
        case _:
            return []


def attribute_path(node: ast.AST) -> str:
    """`time.time` for the expression `time.time`; "" for what is not a plain chain of names."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{before}.{attr}" if (before := attribute_path(value)) else ""
        case _:
            return ""
