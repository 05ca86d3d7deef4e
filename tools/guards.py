"""The guards: for each bar met, where it stands and the smallest change that takes it out.

tests/guards.toml holds them:

    [[guard]]
    bar = "B5"                        # or ["B4", "B5"], or mission = "M15"
    file = "src/leverlock/store/queries.sql"
    where = "advance_totp_step"       # function, module or query, for the reader
    old = "AND last_step < :step"     # exact text, found exactly once in the file (or `count` times)
    new = ""                          # what stands there once the guard is gone
    tests = ["tests/store/test_x.py::test_y"]   # optional: only these must notice
    missing = "console half: ..."     # optional: what of the bar is proved with a part built later
    timeout = 300                     # optional: seconds for the bar's tests without the guard

    [missing]                         # the same for a bar that has no guard yet
    B9 = "console half: ..."
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 300

KEYS = frozenset({"bar", "mission", "file", "where", "old", "new", "tests", "missing", "count", "timeout"})


class GuardsError(Exception):
    """An entry of tests/guards.toml that cannot be read; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Guard:
    """One removal, judged by the tests of one bar (an entry that names two bars is two of these)."""

    id: str
    file: str
    where: str
    old: str
    new: str
    tests: tuple[str, ...] = ()
    missing: str = ""
    count: int = 1
    timeout: int = TIMEOUT_SECONDS

    @property
    def digest(self) -> str:
        """Changes whenever the removal or what must notice it changes; a recorded proof is for one digest."""
        parts = [self.id, self.file, self.old, self.new, sorted(self.tests), self.count]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def stale(self, root: Path) -> str:
        """Why the removal no longer fits the file, or ""."""
        path = root / self.file
        if not path.is_file():
            return f"{self.file} does not exist"
        found = path.read_text(encoding="utf-8").count(self.old)
        return "" if found == self.count else f"its text stands {found} times in {self.file}, not {self.count}"

    def remove(self, root: Path) -> None:
        """Take the guard out of the copy of the project at `root`; SyntaxError if that breaks the module."""
        path = root / self.file
        text = path.read_text(encoding="utf-8").replace(self.old, self.new)
        if path.suffix == ".py":
            compile(text, self.file, "exec")
        path.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Guards:
    guards: tuple[Guard, ...]
    missing: dict[str, str]  # id -> the half that is proved elsewhere

    @classmethod
    def read(cls, path: Path, known: frozenset[str]) -> Guards:
        """Raises GuardsError for an unknown id or key, a missing key, or a change that changes nothing."""
        if not path.exists():
            return cls((), {})
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise GuardsError(f"{path.name}: {error}") from None
        if unknown := data.keys() - {"guard", "missing"}:
            raise GuardsError(f"{path.name}: unknown table {sorted(unknown)[0]}")
        guards = [g for n, entry in enumerate(data.get("guard", []), 1) for g in _guards(entry, n, known)]
        missing = {guard.id: guard.missing for guard in guards if guard.missing}
        for id_, what in data.get("missing", {}).items():
            if id_ not in known:
                raise GuardsError(f"[missing]: {id_} is neither a bar nor a row")
            missing[id_] = "; ".join(filter(None, [missing.get(id_, ""), what]))
        return cls(tuple(guards), missing)


def _guards(entry: dict[str, Any], number: int, known: frozenset[str]) -> list[Guard]:
    named = [entry[kind] for kind in ("bar", "mission") if kind in entry]
    ids = [id_ for name in named for id_ in ([name] if isinstance(name, str) else name)]
    place = f"guard {number} ({', '.join(map(str, ids)) or 'no bar'}, {entry.get('where', '?')})"
    if unknown := entry.keys() - KEYS:
        raise GuardsError(f"{place}: unknown key {sorted(unknown)[0]}")
    if absent := {"file", "where", "old", "new"} - entry.keys():
        raise GuardsError(f"{place}: {sorted(absent)[0]} is missing")
    if not ids or not known.issuperset(ids):
        raise GuardsError(f"{place}: names no bar and no row that exists")
    if not entry["old"] or entry["old"] == entry["new"]:
        raise GuardsError(f"{place}: removes nothing")
    rest = {key: value for key, value in entry.items() if key not in ("bar", "mission")}
    rest["tests"] = tuple(rest.get("tests", ()))
    return [Guard(id=id_, **rest) for id_ in ids]
