"""The venue's SQLite file: opening it, and one transaction per call."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib.resources import files

# A connection whose DECIMAL_TEXT columns come back as decimals; the affinity of that name is TEXT.
sqlite3.register_adapter(Decimal, lambda value: f"{value:f}")
sqlite3.register_converter("DECIMAL_TEXT", lambda raw: Decimal(raw.decode()))

# Columns that came after the first layout: a file that was made before them gets them when it is opened.
_LATER = (("accounts", "delta_mode"), ("api_keys", "margin"))

Database = sqlite3.Connection
Row = sqlite3.Row


def open_database(path: str) -> Database:
    """Opens (and, when new, lays out) the file. `:memory:` keeps everything in this process."""
    db = sqlite3.connect(path, isolation_level=None, detect_types=sqlite3.PARSE_DECLTYPES)
    db.row_factory = sqlite3.Row
    # It is play money: a power cut may cost the last moments, never the file's shape; tests want the speed.
    db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;")
    db.executescript(files("leverlock_paper").joinpath("schema.sql").read_text("utf-8"))
    for table, column in _LATER:
        if column not in {row["name"] for row in db.execute(f"PRAGMA table_info({table})")}:
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    return db


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """All or nothing: a refusal inside leaves no trace."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextmanager
def savepoint(db: Database) -> Iterator[None]:
    """All or nothing for one leg of a batch, inside the call's transaction."""
    db.execute("SAVEPOINT leg")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK TO leg")
        db.execute("RELEASE leg")
        raise
    db.execute("RELEASE leg")


def fact(db: Database, name: str, default: str) -> str:
    """A single remembered value of the venue itself."""
    row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return str(row["value"]) if row else default


def remember(db: Database, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))
