"""`leverlock clock`: how the clock stands, and the reset of its mark, with a server and without (B11)."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable

import pytest

from installation import Installation

HOUR = 3_600_000
CONFIRMED = ("--clock-is-right", "--void-everything")


def was_ahead(installation: Installation) -> int:
    """The database has seen a time an hour from now; the mark."""
    mark = time.time_ns() // 1_000_000 + HOUR
    with sqlite3.connect(installation.home / "leverlock.db") as database:
        database.execute("UPDATE setting SET value = ? WHERE name = 'high_water_ms'", (str(mark),))
    return mark


def records(installation: Installation, kind: str) -> list[dict[str, object]]:
    with sqlite3.connect(installation.home / "leverlock.db") as database:
        found = database.execute("SELECT body FROM audit_event WHERE kind = ? ORDER BY event_no", (kind,))
        return [json.loads(body) for (body,) in found]


def test_a_clock_that_is_right(installation: Installation) -> None:
    found = installation.json("clock", "show")
    assert (found["verifies"], found["fence"]) == (True, None)
    assert "nothing to reset" in installation("clock", "reset", *CONFIRMED).err
    assert installation("clock", "reset", *CONFIRMED).code == 1


@pytest.mark.bar("B11")
def test_each_refused_start_is_one_episode_and_the_reset_ends_it(installation: Installation) -> None:
    mark = was_ahead(installation)
    for _ in range(2):
        refused = installation("serve")
        assert refused.code == 3
        assert "leverlock clock" in refused.err
    [record] = records(installation, "clock.behind")
    assert (record["at"], record["details"]["mark"]) == (mark, mark)  # type: ignore[index]

    shown = installation("clock", "show", "--json")
    assert (shown.code, shown.json["mark"], shown.json["verifies"]) == (1, mark, False)
    for half in ((), CONFIRMED[:1], CONFIRMED[1:]):
        assert installation("clock", "reset", *half).code == 2
    assert installation("clock", "show").code == 1
    installation.json("account", "list")  # reading needs no time
    done = installation.json("clock", "reset", *CONFIRMED)
    assert (done["fence"], done["accounts"]) == (1, 0)
    assert installation("clock", "show").code == 0
    assert len(records(installation, "clock.right")) == len(records(installation, "fence.stands")) == 1
    with installation.serving():
        assert installation.json("clock", "show")["verifies"]
    assert installation.json("audit", "verify")["whole"]


@pytest.mark.bar("B11")
def test_a_running_server_raises_the_alarm_and_the_reset_sets_it_going_again(installation: Installation) -> None:
    installation.json("account", "create", "alice")
    with installation.serving() as server:
        was_ahead(installation)
        until(lambda: records(installation, "clock.behind"))
        assert installation("healthcheck").code == 4
        until(lambda: [line for line in server.log() if line.get("event") == "clock_behind"])
        [line] = [line for line in server.log() if line.get("event") == "clock_behind"]
        assert line["level"] == "error"
        assert installation("account", "lock", "alice").code == 4
        assert installation.json("clock", "reset", *CONFIRMED)["accounts"] == 1
        assert installation("healthcheck").code == 0
        assert installation("account", "lock", "alice").code == 0
    assert installation.json("audit", "verify")["whole"]


@pytest.mark.bar("B11")
def test_a_start_finishes_a_fence_that_was_interrupted(installation: Installation) -> None:
    installation.json("account", "create", "alice")
    was_ahead(installation)
    now = time.time_ns() // 1_000_000
    fence = {"version": 1, "number": 1, "because": "clock_reset", "now": now}
    with sqlite3.connect(installation.home / "leverlock.db") as database:
        database.execute("INSERT INTO setting VALUES ('fence_rising', ?)", (json.dumps(fence),))
    assert installation("account", "lock", "alice").code == 4
    with installation.serving():
        assert installation.json("clock", "show")["verifies"]
    assert len(records(installation, "account.fenced")) == 1


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
