"""Schema migrations: numbered SQL files, applied in order, each in one transaction."""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from typing import Final

ENGINE: Final = "sqlite"


class SchemaError(Exception):
    """The database has a schema this release does not know."""


def migrations() -> list[tuple[int, str]]:
    """Every migration as (number, SQL), in order. Raises ValueError when a number is missing."""
    folder = files("leverlock.store").joinpath("migrations", ENGINE)
    found = sorted(
        (int(entry.name.split("_")[0]), entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    )
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        raise ValueError("migrations are not numbered without gaps from 0001")
    return found


def migrate(connection: sqlite3.Connection, *, now_ms: int) -> int:
    """Bring the database to this release's schema; its number. Raises SchemaError for a newer one."""
    known = migrations()
    current = connection.execute("PRAGMA user_version").fetchone()[0]
    if current > len(known):
        raise SchemaError(f"the database has schema {current}, this release knows {len(known)}: use a newer release")
    for number, sql in known[current:]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have come first while this one waited for the lock.
            if connection.execute("PRAGMA user_version").fetchone()[0] < number:
                for statement in _statements(sql):
                    connection.execute(statement)
                if number == 1:
                    connection.execute("INSERT INTO setting VALUES ('high_water_ms', ?)", (str(now_ms),))
                connection.execute(f"PRAGMA user_version = {number:d}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return len(known)


def _statements(sql: str) -> list[str]:
    """The file cut into statements; `executescript` would commit behind our back."""
    found, current = [], ""
    for line in sql.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            found.append(current)
            current = ""
    return found
