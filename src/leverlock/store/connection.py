"""A connection to the SQLite file that runs named statements, and is durable or is none (B94)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from leverlock.domain.errors import Reason, Refused
from leverlock.store.rows import Row
from leverlock.store.statements import statements

BUSY_MS = 900  # how long opening and reading wait for another process
CACHE_KIB = 16 * 1024  # of the writer; with SQLite's 2 MB a batch over random accounts reads its pages again and again
CHECKPOINT_PAGES = 4_000  # 16 MB of log between checkpoints; each one syncs twice while everybody waits
SYNCHRONOUS_FULL: Final = 2


class NotDurable(Exception):
    """The file cannot be opened so that a commit survives a power cut; nothing may run on it (B94)."""


Connect = Callable[[Path, bool], sqlite3.Connection]


def open_file(path: Path, read_only: bool) -> sqlite3.Connection:
    """A connection to an existing database file, in autocommit: transactions are begun and ended by name."""
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={'ro' if read_only else 'rw'}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_MS / 1000,
        check_same_thread=False,
        cached_statements=256,
    )


class Connection:
    """A connection that runs named statements. Raises NotDurable for a writer without WAL or without full syncs."""

    def __init__(self, connect: Connect, path: Path, *, read_only: bool) -> None:
        self.raw = connect(path, read_only)
        self._sql = statements()
        if not read_only:
            self.raw.execute("PRAGMA journal_mode = WAL")
            self.raw.execute("PRAGMA synchronous = FULL")
            self.raw.execute("PRAGMA temp_store = MEMORY")
            self.raw.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self.raw.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            self._must_be_durable(path)
            self.raw.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten (B38)
        self.raw.execute("PRAGMA foreign_keys = ON")
        self.raw.execute("PRAGMA trusted_schema = OFF")

    def _must_be_durable(self, path: Path) -> None:
        """SQLite answers a PRAGMA that it cannot follow with silence, so what holds is read back."""
        journal = self.raw.execute("PRAGMA journal_mode").fetchone()[0]
        synchronous = self.raw.execute("PRAGMA synchronous").fetchone()[0]
        if journal != "wal" or synchronous != SYNCHRONOUS_FULL:
            self.raw.close()
            raise NotDurable(f"{path}: journal_mode={journal}, synchronous={synchronous}; needed are wal and 2 (FULL)")

    def all(self, name: str, parameters: Mapping[str, Any]) -> list[Row]:
        return self._run(name, parameters).fetchall()

    def one(self, name: str, parameters: Mapping[str, Any]) -> Row | None:
        found: Row | None = self._run(name, parameters).fetchone()
        return found

    def write(self, name: str, parameters: Mapping[str, Any]) -> int:
        return self._run(name, parameters).rowcount

    def _run(self, name: str, parameters: Mapping[str, Any]) -> sqlite3.Cursor:
        try:
            return self.raw.execute(self._sql[name], parameters)
        except UnicodeEncodeError:
            # JSON can carry lone surrogates; no text in the database has any, so nothing is meant by them.
            raise Refused(Reason.MALFORMED, "expected text that is Unicode") from None

    def close(self) -> None:
        self.raw.close()
