"""`leverlock serve`: ready soon and small, stopped gracefully, and refusing to start where nothing can be trusted."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from installation import Installation

CONFIG = ".leverlock/config.toml"


def get(url: str, path: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def refused(installation: Installation, **environment: str) -> str:
    """Why `serve` does not start; it says so in plain words, with the exit code for it."""
    ended = installation.process("serve", environment=environment)
    assert ended.code == 3, ended
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert not (installation.home / "admin.sock").exists()
    return ended.err


def test_every_door_answers_once_it_is_ready(installation: Installation) -> None:
    with installation.serving() as server:
        assert get(server.addresses["api"], "/healthz")[0] == 200
        assert get(server.addresses["api"], "/readyz")[0] == 200
        assert get(server.addresses["gateway"], "/fapi/v1/nothing")[0] in (403, 404)
        status, page = get(server.addresses["metrics"], "/metrics")
        assert status == 200
        assert b"leverlock_store_commits_total" in page
        assert get(server.addresses["api"], "/metrics")[0] == 404  # on their own port only
        assert server.addresses["pid"] == server.process.pid
        assert (installation.folder / "ready.json").exists()
        assert server.stop() == 0
        assert not (installation.folder / "ready.json").exists()
    events = [line["event"] for line in server.log()]
    assert events[-3:] == ["ready", "stopping", "stopped"] or {"ready", "stopping", "stopped"} <= set(events)


def test_the_json_form_prints_the_addresses_and_nothing_else(installation: Installation) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "leverlock", "serve", "--json"],
        cwd=installation.folder,
        env=installation.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        document = json.loads(process.stdout.readline())
        assert get(document["api"], "/healthz")[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stdout.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_it_is_small_and_quick(installation: Installation) -> None:
    """P5 asks for 1.0 s and 100 MB on a quiet machine; here CPU time, which a busy one does not stretch."""
    with installation.serving() as server:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        stat = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    resident_mb = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
    cpu_seconds = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    assert resident_mb <= 100
    assert cpu_seconds <= 1.5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_call_under_way_is_finished_before_it_stops(installation: Installation, number: signal.Signals) -> None:
    installation("account", "create", "alice")
    with installation.serving() as server:
        parts = urlsplit(server.addresses["api"])
        body = json.dumps({"login": "alice", "password": (installation.folder / "password").read_text().strip()})
        lines = ["POST /v1/sessions HTTP/1.1", "Host: x", "Content-Type: application/json"]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
            connection.sendall(head.encode() + body.encode())
            time.sleep(0.005)
            server.process.send_signal(number)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 201 ")
        assert server.process.wait(15) == 0


def test_a_policy_is_put_in_force_once_and_on_record(installation: Installation) -> None:
    for policy in ("trader", "trader", "literal"):
        with installation.serving(environment={"LEVERLOCK__POLICY": policy}):
            pass
    with sqlite3.connect(installation.home / "leverlock.db") as database:
        bodies = [json.loads(row[0]) for row in database.execute("SELECT body FROM audit_event ORDER BY seq")]
    loads = [body["details"] for body in bodies if body["kind"] == "policy.loaded"]
    assert [load["policy"] for load in loads] == ["trader", "literal"]
    assert loads[1]["before"] == loads[0]["version"]
    assert {body["account"] for body in bodies if body["kind"] == "policy.loaded"} == {"system"}


def test_a_policy_on_file_that_demands_less_is_not_put_in_force(installation: Installation) -> None:
    """The one in force stays, whatever the file says and however often it is started; everybody who asks is told."""
    with installation.serving():
        pass
    for starts in (1, 2):
        with installation.serving(environment={"LEVERLOCK__POLICY": "trader"}) as server:
            ready = json.loads(get(server.addresses["api"], "/readyz")[1])
        said = [line for line in server.log() if "demands less" in line["event"]]
        assert len(said) == starts
        told = said[-1]
        assert told["level"] == "warning"
        assert any("futures.order.place" in point for point in told["demands_less"])
        assert ready["policy"] == "literal"
        assert ready["waiting"].endswith("demands less and is proposed; it needs two operators")
    with sqlite3.connect(installation.home / "leverlock.db") as database:
        bodies = [json.loads(row[0]) for row in database.execute("SELECT body FROM audit_event ORDER BY seq")]
    kinds = [body["kind"] for body in bodies if body["account"] == "system"]
    assert (kinds.count("policy.loaded"), kinds.count("proposal.made")) == (1, 1)


def test_what_a_policy_leaves_open_is_said(installation: Installation) -> None:
    literal = (Path(__file__).resolve().parents[2] / "src/leverlock/policies/literal.toml").read_text()
    without = re.sub(r'\[\[rule\]\]\nname = "margin mode".*?\n\n', "", literal, flags=re.S)
    (installation.folder / "open.toml").write_text(
        without.replace('name = "literal"', 'name = "open"\nunsafe_allow = ["futures.margin_mode.set"]', 1)
    )
    with installation.serving(environment={"LEVERLOCK__POLICY": str(installation.folder / "open.toml")}) as server:
        pass
    assert any(line.get("action") == "futures.margin_mode.set" for line in server.log() if line["level"] == "warning")


# -- refusing to start -----------------------------------------------------------------------------------------------
@pytest.mark.bar("B94")
def test_not_with_a_store_that_may_forget(installation: Installation) -> None:
    assert "B94" in refused(installation, LEVERLOCK__STORE__SYNCHRONOUS="NORMAL")


@pytest.mark.bar("B78")
def test_not_with_a_number_outside_its_source(installation: Installation) -> None:
    assert "1001 is outside 5..100" in refused(installation, LEVERLOCK__LIMITS__FACTOR_DISABLE_AFTER="1001")


@pytest.mark.bar("B82")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604])
def test_not_with_a_keyring_that_others_can_read(installation: Installation, mode: int) -> None:
    keyring = installation.home / "keyring.json"
    keyring.chmod(mode)
    sentence = refused(installation)
    assert "chmod 600" in sentence
    assert str(keyring) in sentence


def test_not_without_a_keyring(installation: Installation) -> None:
    (installation.home / "keyring.json").unlink()
    assert "leverlock init" in refused(installation)


def test_not_without_a_database(installation: Installation) -> None:
    (installation.home / "leverlock.db").unlink()
    assert "no database" in refused(installation)
    assert not (installation.home / "leverlock.db").exists()


def test_not_on_something_that_is_no_database(installation: Installation) -> None:
    (installation.home / "leverlock.db").write_bytes(b"not a database at all" * 100)
    assert "cannot be opened" in refused(installation)


def test_not_on_a_newer_schema(installation: Installation) -> None:
    with sqlite3.connect(installation.home / "leverlock.db") as database:
        database.execute("PRAGMA user_version = 9999")
    assert "use a newer release" in refused(installation)


@pytest.mark.bar("B11")
def test_not_with_a_clock_behind_what_the_database_has_seen(installation: Installation) -> None:
    later = time.time_ns() // 1_000_000 + 3_600_000
    with sqlite3.connect(installation.home / "leverlock.db") as database:
        database.execute("UPDATE setting SET value = ? WHERE name = 'high_water_ms'", (str(later),))
    assert "clock runs behind" in refused(installation)


@pytest.mark.bar("B96")
def test_a_restored_backup_is_fenced_at_the_start(installation: Installation, tmp_path: Path) -> None:
    for number in range(4):
        installation.json("account", "create", f"owner{number}")
        with installation.serving():
            sealed(installation, number + 1)
        if number == 1:
            shutil.copy2(installation.home / "leverlock.db", tmp_path / "backup.db")
    assert [path.name for path in installation.home.glob("leverlock.db-*")] == []  # a log left there would be mixed in
    shutil.copy2(tmp_path / "backup.db", installation.home / "leverlock.db")
    assert installation("audit", "verify").code == 1
    with installation.serving() as server:
        events = [line.get("event") for line in server.log()]
        assert [name for name in events if name in ("database_older_than_checkpoints", "fence_stands")] == [
            "database_older_than_checkpoints", "fence_stands",
        ]  # fmt: skip
        sealed(installation, 5)
    found = installation.json("audit", "verify")
    assert found["whole"]
    assert [note["where"] for note in found["notes"]] == ["checkpoint 3", "checkpoint 4"]
    assert len(installation.json("account", "list")["accounts"]) == 2


def sealed(installation: Installation, count: int) -> None:
    """Wait until the server has written that many checkpoints."""
    file = installation.home / "checkpoints.jsonl"
    deadline = time.monotonic() + 10
    while not file.exists() or file.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.05)
    time.sleep(0.2)  # the database notes it a moment later


@pytest.mark.parametrize(
    ("text", "reason"),
    [("name = 3", "needs a name"), ('name = "x"\n', "no rule for the gated action"), ("=", "line 1")],
)
def test_not_with_a_policy_that_does_not_hold(installation: Installation, text: str, reason: str) -> None:
    (installation.folder / "bad.toml").write_text(text)
    assert reason in refused(installation, LEVERLOCK__POLICY=str(installation.folder / "bad.toml"))


def test_not_on_an_address_in_use(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        sentence = refused(installation, LEVERLOCK__SERVER__GATEWAY_PORT=port)
    assert f"127.0.0.1:{port}" in sentence
    assert "something else listens there" in sentence


def test_not_twice(installation: Installation) -> None:
    with installation.serving():
        ended = installation.process("serve")
        assert ended.code == 3
        assert "another server of this deployment is running" in ended.err
        assert installation("healthcheck").code == 0  # the first one is unharmed


def test_not_where_a_file_stands_in_the_sockets_place(installation: Installation) -> None:
    (installation.home / "admin.sock").write_text("precious")
    ended = installation.process("serve")
    assert ended.code == 3
    assert (installation.home / "admin.sock").read_text() == "precious"


def test_of_several_that_start_at_once_one_serves(installation: Installation) -> None:
    commands = [[sys.executable, "-m", "leverlock", "serve", "--json"]] * 3
    started = [
        subprocess.Popen(
            command,
            cwd=installation.folder,
            env=installation.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for command in commands
    ]
    try:
        # A line of addresses, or the end of the output of one that gave up.
        answers = [process.stdout.readline() for process in started if process.stdout is not None]
        serving = [process for process, answer in zip(started, answers, strict=True) if answer]
        assert len(serving) == 1
        assert sorted(process.wait(15) for process in started if process not in serving) == [3, 3]
        serving[0].send_signal(signal.SIGTERM)
        assert serving[0].wait(15) == 0
    finally:
        for process in started:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
