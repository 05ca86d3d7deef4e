"""WAL and full syncs, or nothing: what the file was asked for is read back (B94)."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from leverlock.domain.errors import Reason
from leverlock.ports import Transaction
from leverlock.store.connection import NotDurable, open_file
from leverlock.store.sqlite import SqliteStore
from store.faults import FaultyFile
from world import Deployment, SettableClock, refused

FULL = 2


@pytest.mark.bar("B94")
def test_the_writer_syncs_fully_in_wal_mode(tmp_path: Path) -> None:
    file = FaultyFile()
    with Deployment.create(tmp_path, connect=file) as deployment:
        [writer] = file.writers
        seen = [
            deployment.run(lambda _tx, p=pragma: writer.execute(f"PRAGMA {p}").fetchone()[0])  # type: ignore[misc]
            for pragma in ("journal_mode", "synchronous")
        ]
        assert seen == ["wal", FULL]


class _Deaf:
    """A connection that hears no PRAGMA of one name: a file system that cannot, a build that will not."""

    def __init__(self, raw: sqlite3.Connection, deaf_to: str) -> None:
        self.raw, self.deaf_to = raw, deaf_to

    def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
        return self.raw.execute("SELECT 1" if sql.startswith(f"PRAGMA {self.deaf_to} =") else sql, *rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


@pytest.mark.bar("B94")
@pytest.mark.parametrize(("pragma", "weak"), [("synchronous", "NORMAL"), ("synchronous", "OFF"), ("journal_mode", "")])
def test_anything_weaker_is_refused_at_the_start(tmp_path: Path, pragma: str, weak: str) -> None:
    path = tmp_path / "a.db"
    SqliteStore.create(path, clock=SettableClock())
    sqlite3.connect(path).execute("PRAGMA journal_mode = DELETE")

    def connect(path: Path, read_only: bool) -> Any:
        raw = open_file(path, read_only)
        if weak:
            raw.execute(f"PRAGMA synchronous = {weak}")
        return _Deaf(raw, pragma)

    store = SqliteStore(path, clock=SettableClock(), connect=connect)
    with pytest.raises(NotDurable, match=r"wal and 2 \(FULL\)"):
        store.start()


def test_writes_begin_immediately(tmp_path: Path) -> None:
    """A deferred transaction would fail half-way when another process writes; this one waits at its beginning."""
    file = FaultyFile()
    with Deployment.create(tmp_path, connect=file) as deployment:
        file.arm()
        deployment.run(lambda tx: tx.set_setting("a", "1"))
        assert file.seen[0] == "BEGIN IMMEDIATE"
        assert file.seen[-1] == "COMMIT"


@pytest.mark.bar("B98")
def test_a_file_that_somebody_else_holds_is_a_refusal_within_two_seconds(tmp_path: Path) -> None:
    with Deployment.create(tmp_path) as deployment:
        other = sqlite3.connect(deployment.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        # The second is queued behind the first one's wait and still has to be answered in time.
        first = deployment.store.submit(lambda tx: tx.set_setting("a", "1"))
        time.sleep(0.05)
        began = time.monotonic()
        second = deployment.store.submit(lambda tx: tx.set_setting("b", "1"))
        for future in (first, second):
            with refused(Reason.STORE_UNAVAILABLE):
                future.result(10)
        assert time.monotonic() - began < 2
        other.execute("ROLLBACK")
        other.close()
        deployment.run(lambda tx: tx.set_setting("a", "1"))


def test_after_a_stop_the_file_is_whole_by_itself(tmp_path: Path) -> None:
    with Deployment.create(tmp_path) as deployment:
        deployment.run(lambda tx: tx.set_setting("a", "1"))
        assert deployment.read(lambda tx: tx.setting("a")) == "1"  # a reader is open as well
    assert [path.name for path in tmp_path.glob("leverlock.db*")] == ["leverlock.db"]
    with Deployment.open(tmp_path) as again:
        assert again.read(lambda tx: tx.setting("a")) == "1"


def test_the_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    with Deployment.create(tmp_path) as deployment:
        deployment.run(lambda tx: tx.set_setting("a", "1"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("leverlock.db*")}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3  # the WAL and its index too


@pytest.mark.parametrize("name", ["a b.db", "a%41.db", "a?mode=memory.db", "a#b.db"])
def test_any_file_name_is_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    SqliteStore.create(path, clock=SettableClock())
    store = SqliteStore(path, clock=SettableClock())
    store.start()
    store.close()
    assert path.stat().st_size > 0
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="leverlock init"):
        SqliteStore(tmp_path / "none.db", clock=SettableClock()).start()


def test_readers_see_the_last_commit_while_one_is_written(tmp_path: Path) -> None:
    with Deployment.create(tmp_path) as deployment:
        entered, go_on = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> None:
            tx.set_setting("a", "new")
            entered.set()
            assert go_on.wait(10)

        deployment.run(lambda tx: tx.set_setting("a", "old"))
        future = deployment.store.submit(slow)
        assert entered.wait(10)
        assert deployment.read(lambda tx: tx.setting("a")) == "old"
        go_on.set()
        future.result(10)
        assert deployment.read(lambda tx: tx.setting("a")) == "new"


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with Deployment.create(tmp_path) as deployment, refused(Reason.STORE_UNAVAILABLE):
        deployment.read(lambda tx: tx.set_setting("a", "1"))
