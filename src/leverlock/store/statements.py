"""Named SQL: reads `queries.sql` once and hands out statements by name."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: (?P<name>[a-z_]+)$", re.MULTILINE)


@cache
def statements() -> dict[str, str]:
    """Every statement of `queries.sql` by its name, without comments. Raises ValueError for a name given twice."""
    source = files("leverlock.store").joinpath("queries.sql").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    parts = _NAME.split(source)[1:]
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in found:
            raise ValueError(f"queries.sql names {name} twice")
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        found[name] = "\n".join(lines).strip().rstrip(";")
    return found
