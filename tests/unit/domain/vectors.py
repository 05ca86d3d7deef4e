"""The vectors of tests/vectors: facts published elsewhere, or derived and recomputed here."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[2] / "vectors"


def vectors(name: str) -> dict[str, Any]:
    """The table `tests/vectors/<name>.toml`."""
    return tomllib.loads((VECTORS / f"{name}.toml").read_text(encoding="utf-8"))
