"""Looking at a database from outside, without changing it: what `leverlock doctor` tells."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from leverlock.store.migrate import migrations


@dataclass(frozen=True, slots=True)
class Inspection:
    """`damage` holds SQLite's own words, nothing for a whole file; `seen_until_ms` is the clock's high-water mark."""

    schema: int
    schema_known: int
    journal_mode: str
    damage: tuple[str, ...]
    seen_until_ms: int
    policy_version: str | None
    policy_text: str | None


def inspect(path: Path) -> Inspection:
    """Read a database file. Raises sqlite3.Error, or FileNotFoundError where there is none."""
    if not path.exists():
        raise FileNotFoundError(f"no database at {path}")
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2)
    try:
        schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
        found += [f"a row of {row[0]} refers to nothing" for row in connection.execute("PRAGMA foreign_key_check")]
        named = dict(connection.execute("SELECT name, value FROM setting").fetchall()) if schema else {}
        return Inspection(
            schema=schema,
            schema_known=len(migrations()),
            journal_mode=str(connection.execute("PRAGMA journal_mode").fetchone()[0]),
            damage=tuple(word for word in found if word != "ok"),
            seen_until_ms=int(named.get("high_water_ms", 0)),
            policy_version=named.get("policy_version"),
            policy_text=named.get("policy_text"),
        )
    finally:
        connection.close()
