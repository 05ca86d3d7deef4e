"""The schema: all migrations from nothing make it, and it keeps the promises that the acts build on."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from leverlock.store.migrate import SchemaError, migrate, migrations
from leverlock.store.sealed_columns import SEALED
from leverlock.store.sqlite import SqliteStore
from leverlock.store.statements import statements
from world import SettableClock

RECORDED = Path(__file__).parent / "schema.sqlite.sql"

# Directories and settings of the deployment: they belong to no single account.
DIRECTORIES = {
    "setting",
    "login_name",
    "sign_in_try",
    "api_key_name",
    "credential_name",
    "integrator",
    "integrator_key",
    "sms_slot",
}
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


def test_operators_of_the_first_schema_become_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has his password and his role; one whose login an account has already is given another name."""
    known = migrations()
    desk = next(number for number, sql in known if "CREATE TABLE operator_2" in sql)
    monkeypatch.setattr("leverlock.store.migrate.migrations", lambda: known[: desk - 1])
    SqliteStore.create(tmp_path / "a.db", clock=SettableClock())
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    ids = ["op_" + letter * 26 for letter in "ab"]
    connection.execute(
        "INSERT INTO account VALUES ('acc_z', 'carol', 'active', 'hers', 1, 1, x'', 0, zeroblob(32))"
        if "reserve_at" not in dump(connection)
        else "INSERT INTO account VALUES ('acc_z', 'carol', 'active', 'hers', 1, 1, x'', 0, zeroblob(32), x'')"
    )
    connection.execute("INSERT INTO login_name VALUES ('carol', 'acc_z')")
    for operator_id, login, role in ((ids[0], "sam", "support"), (ids[1], "carol", "security")):
        connection.execute("INSERT INTO operator VALUES (?, ?, ?, ?, 7)", (operator_id, login, f"of {login}", role))
    monkeypatch.setattr("leverlock.store.migrate.migrations", lambda: known)
    migrate(connection, now_ms=1)
    found = connection.execute(
        "SELECT o.account_id, l.login, a.password_hash, a.state, o.role, o.since FROM operator o"
        " JOIN account a USING (account_id) JOIN login_name l USING (account_id) ORDER BY 1"
    ).fetchall()
    assert found == [
        ("acc_" + "a" * 26, "sam", "of sam", "active", "support", 7),
        ("acc_" + "b" * 26, "operator-bbbbbbbb-carol", "of carol", "active", "security", 7),
    ]
    assert connection.execute("SELECT account_id FROM login_name WHERE login = 'carol'").fetchall() == [("acc_z",)]
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


@pytest.mark.bar("B61")
def test_a_fresh_installation_lets_nobody_in(fresh: sqlite3.Connection) -> None:
    """No account but the one that holds the system's chain, which has no name, no password and is locked; no key."""
    accounts = fresh.execute("SELECT account_id, login, state, password_hash FROM account").fetchall()
    assert accounts == [("system", "", "locked", "")]
    for table in ("login_name", "api_key", "api_key_name", "integrator", "session", "authenticator"):
        assert fresh.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


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
        "recovery_case_live",
        "proposal_live",
        "address_target",
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
    *(f"versions_{table}" for table in SEALED),
    "upstreams",
    "integrators",
    "integrator_keys",
    "operators",
    "draw_in_sign_in_tries",
    "prune_sign_in_tries",
    "prune_changes",
    "prune_messages",
    "prune_enrolment_rights",
    "prune_reset_links",
    "prune_addresses",
    "draw_in_sms_slots",
    "prune_sms_codes",
    "prune_sms_slots",
    "changed_heads",
}


def parameters(sql: str) -> set[str]:
    return set(re.findall(r":([a-z_]+)", sql))
