"""The schema: all migrations from nothing make it, and it keeps the promises that the acts build on."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from leverlock.store.migrate import SchemaError, migrate, migrations
from leverlock.store.sqlite import SqliteStore
from leverlock.store.statements import statements
from world import SettableClock

RECORDED = Path(__file__).parent / "schema.sqlite.sql"

# Directories and settings of the deployment: they belong to no single account.
DIRECTORIES = {"setting", "login_name", "sign_in_try", "api_key_name", "integrator", "operator"}
# Appended in commit order; their numbers are the order of the whole trail and of the changes.
SEQUENCES = {"audit_event", "change"}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    SqliteStore.create(tmp_path / "a.db", clock=SettableClock())
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    yield connection
    connection.close()


def dump(connection: sqlite3.Connection) -> str:
    rows = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name"
    )
    return "\n\n".join(row[0] + ";" for row in rows) + "\n"


def tables(connection: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    return [row[0] for row in connection.execute(query)]


def test_all_migrations_make_the_recorded_schema(fresh: sqlite3.Connection) -> None:
    """After a new migration: write `dump(...)` to schema.sqlite.sql and read the difference."""
    assert dump(fresh) == RECORDED.read_text(encoding="utf-8")
    assert fresh.execute("PRAGMA user_version").fetchone()[0] == len(migrations())


def test_migrating_twice_changes_nothing(fresh: sqlite3.Connection) -> None:
    before = dump(fresh), list(fresh.execute("SELECT * FROM setting"))
    assert migrate(fresh, now_ms=1) == len(migrations())
    assert (dump(fresh), list(fresh.execute("SELECT * FROM setting"))) == before


def test_a_newer_schema_is_refused(fresh: sqlite3.Connection) -> None:
    fresh.execute("PRAGMA user_version = 999")
    with pytest.raises(SchemaError, match="newer"):
        migrate(fresh, now_ms=1)


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = migrations()
    broken = [*good, (len(good) + 1, "CREATE TABLE half (a INTEGER) STRICT;\nCREATE TABLE half (a INTEGER) STRICT;\n")]
    SqliteStore.create(tmp_path / "a.db", clock=SettableClock())
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    monkeypatch.setattr("leverlock.store.migrate.migrations", lambda: broken)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(connection, now_ms=1)
    assert "half" not in tables(connection)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(good)
    connection.close()


def test_every_table_is_strict(fresh: sqlite3.Connection) -> None:
    listed = {row[1]: row[5] for row in fresh.execute("PRAGMA table_list") if row[0] == "main"}
    loose = [name for name in tables(fresh) if not listed[name]]
    assert not loose


def test_every_key_and_unique_index_begins_with_the_account(fresh: sqlite3.Connection) -> None:
    """No transaction touches two accounts, so the data can be sharded by account."""
    strays = []
    for table in tables(fresh):
        if table in DIRECTORIES:
            continue
        columns = list(fresh.execute(f"PRAGMA table_info({table})"))
        key = [name for _, name in sorted((column[5], column[1]) for column in columns if column[5])]
        if table not in SEQUENCES and key[:1] != ["account_id"]:
            strays.append(f"{table}: primary key {key}")
        for index in fresh.execute(f"PRAGMA index_list({table})").fetchall():
            names = [row[2] for row in fresh.execute(f"PRAGMA index_info({index[1]})")]
            if index[2] and names[:1] != ["account_id"]:
                strays.append(f"{table}: unique index {names}")
    assert not strays


@pytest.mark.bar("B97")
def test_uniqueness_that_correctness_rests_on(fresh: sqlite3.Connection) -> None:
    """One line per race that a unique index decides; `test_races.py` runs them."""
    unique = {row[0] for row in fresh.execute("SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE UNIQUE INDEX%'")}
    assert unique == {
        "authenticator_bound",
        "authenticator_pending",
        "authenticator_generation",
        "challenge_intent",
        "challenge_environment_slot",
        "challenge_key_slot",
        "challenge_grant",
        "audit_chain",
        "pending_change_waiting",
    }


@pytest.mark.parametrize("name", sorted(statements()))
def test_every_statement_prepares_and_reads_by_an_index(fresh: sqlite3.Connection, name: str) -> None:
    sql = statements()[name]
    named = dict.fromkeys(parameters(sql))
    fresh.execute(f"EXPLAIN {sql}", named)
    plan = [row[3] for row in fresh.execute(f"EXPLAIN QUERY PLAN {sql}", named)]
    scans = [step for step in plan if step.startswith("SCAN ") and "USING" not in step]
    if name in WHOLE_TABLES:
        return
    assert not scans, plan


# Lists that operators ask for, upkeep in the background, and the small heap of a deployment's integrators.
WHOLE_TABLES = {
    "upstreams",
    "integrators",
    "operators",
    "draw_in_sign_in_tries",
    "prune_sign_in_tries",
    "prune_changes",
    "prune_messages",
    "changed_heads",
}


def parameters(sql: str) -> set[str]:
    return set(re.findall(r":([a-z_]+)", sql))
