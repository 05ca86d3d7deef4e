"""`leverlock doctor` finds what is wrong, and `healthcheck` asks the running server."""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from installation import Installation
from venue_process import PaperVenue


def verdicts(installation: Installation, **environment: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    ended = installation("doctor", "--json", environment=environment)
    found: dict[str, list[tuple[str, str]]] = {}
    for check in ended.json["checks"]:
        found.setdefault(check["check"], []).append((check["verdict"], check["detail"]))
    assert ended.json["fit"] == (ended.code == 0)
    return ended.code, found


def bad(checks: dict[str, list[tuple[str, str]]]) -> dict[str, str]:
    return {name: detail for name, found in checks.items() for verdict, detail in found if verdict == "bad"}


def test_a_fresh_installation_is_fit(installation: Installation) -> None:
    code, checks = verdicts(installation)
    assert code == 0
    assert set(checks) == {"settings", "keyring", "database", "clock", "policy", "disk", "server"}
    assert checks["server"] == [("good", "not running")]
    with installation.serving() as server:
        code, checks = verdicts(installation)
        assert code == 0
        assert str(server.process.pid) in checks["server"][0][1]


def test_a_readable_keyring(installation: Installation) -> None:
    (installation.home / "keyring.json").chmod(0o644)
    code, checks = verdicts(installation)
    assert code == 1
    assert "chmod 600" in bad(checks)["keyring"]


@pytest.mark.bar("B11")
def test_a_clock_behind(installation: Installation) -> None:
    later = time.time_ns() // 1_000_000 + 3_600_000
    with sqlite3.connect(installation.home / "leverlock.db") as database:
        database.execute("UPDATE setting SET value = ? WHERE name = 'high_water_ms'", (str(later),))
    code, checks = verdicts(installation)
    assert code == 1
    assert re.search(r"3[56]\d\d s behind", bad(checks)["clock"])


def test_a_newer_schema_and_no_database(installation: Installation) -> None:
    database_file = installation.home / "leverlock.db"
    with sqlite3.connect(database_file) as database:
        database.execute("PRAGMA user_version = 99")
    assert "newer than this release" in bad(verdicts(installation)[1])["database"]
    database_file.unlink()
    assert "no database" in bad(verdicts(installation)[1])["database"]


def test_a_damaged_database(installation: Installation) -> None:
    for number in range(30):
        installation("integrator", "create", f"name-{number}")
    database_file = installation.home / "leverlock.db"
    with sqlite3.connect(database_file) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'audit_event'").fetchone()[0]
        size = database.execute("PRAGMA page_size").fetchone()[0]
    with database_file.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    code, checks = verdicts(installation)
    assert code == 1
    assert "database" in bad(checks)


def test_a_policy_that_is_open_on_purpose_is_named(installation: Installation) -> None:
    literal = (Path(__file__).resolve().parents[2] / "src/leverlock/policies/literal.toml").read_text()
    without = re.sub(r'\[\[rule\]\]\nname = "margin mode".*?\n\n', "", literal, flags=re.S)
    file = installation.folder / "open.toml"
    file.write_text(without.replace('name = "literal"', 'name = "o"\nunsafe_allow = ["futures.margin_mode.set"]', 1))
    code, checks = verdicts(installation, LEVERLOCK__POLICY=str(file))
    assert code == 0
    assert any(v == "warn" and "futures.margin_mode.set" in detail for v, detail in checks["policy"])
    file.write_text("name = 1")
    assert "needs a name" in bad(verdicts(installation, LEVERLOCK__POLICY=str(file))[1])["policy"]


def test_a_policy_that_waits_for_the_next_start(installation: Installation) -> None:
    with installation.serving(environment={"LEVERLOCK__POLICY": "trader"}):
        pass
    _, checks = verdicts(installation, LEVERLOCK__POLICY="literal")
    assert any("next start" in detail for _, detail in checks["policy"])


def test_a_policy_that_demands_less_than_the_one_in_force(installation: Installation) -> None:
    with installation.serving():
        pass
    _, checks = verdicts(installation, LEVERLOCK__POLICY="trader")
    (told,) = [detail for verdict, detail in checks["policy"] if verdict == "warn"]
    assert "needs two operators and a day" in told
    assert "futures.order.place" in told


def test_venues_are_asked(installation: Installation, venue: PaperVenue) -> None:
    installation("account", "create", "alice")
    key: Any = venue.create_key(venue.create_account())
    secrets = {"LEVERLOCK_VENUE_KEY": key.api_key, "LEVERLOCK_VENUE_SECRET": key.secret}
    for label, url in (("here", venue.url), ("away", "http://127.0.0.1:1")):
        installation("venue", "connect", "-a", "alice", "-l", label, "--url", url, environment=secrets)
    code, checks = verdicts(installation)
    assert code == 1
    assert bad(checks) == {"venue away": "does not answer"}
    assert [verdict for verdict, _ in checks["venue here"]] == ["good", "warn"]
    assert "no IP list" in checks["venue here"][1][1]


def test_healthcheck(installation: Installation) -> None:
    away = installation("healthcheck", "--json")
    assert (away.code, away.error["message"]) == (4, "no server is running")
    with installation.serving():
        assert installation.json("healthcheck")["status"] == "ready"
        # Another process put another policy in force: this one decides nothing any more, and says so.
        with sqlite3.connect(installation.home / "leverlock.db") as database:
            database.execute("UPDATE setting SET value = 'other' WHERE name = 'policy_version'")
        assert installation("healthcheck").code == 4
