"""Accounts, operators, integrators, notices: done by the running server where there is one, else on the store."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from installation import PASSWORD, Installation


@pytest.fixture(params=["no server", "server"])
def anyway(installation: Installation, request: pytest.FixtureRequest) -> Iterator[Installation]:
    """The same commands, once on the store itself and once done by a running server."""
    if request.param == "no server":
        yield installation
        return
    with installation.serving():
        yield installation


def test_accounts(anyway: Installation) -> None:
    made = anyway.json("account", "create", "Alice")
    assert made["login"] == "alice"
    again = anyway("account", "create", "ALICE", "--json")
    assert (again.code, again.error["reason"], again.error["field"]) == (1, "name_taken", "login")
    assert again.out == ""
    (listed,) = anyway.json("account", "list")["accounts"]
    assert listed == {"account": made["account"], "login": "alice", "state": "active", "protected": []}

    assert anyway.json("account", "lock", "alice")["state"] == "locked"
    assert anyway("account", "lock", "alice").code == 1
    assert anyway.json("account", "list")["accounts"][0]["state"] == "locked"
    assert anyway.json("account", "unlock", made["account"])["state"] == "active"


def test_operators(anyway: Installation) -> None:
    for role in ("king", "support"):  # nobody is a king, and the first one decides about others
        refused = anyway("operator", "create", "carol", "--role", role, "--json")
        assert (refused.code, refused.error["field"]) == (1, "role")
    made = anyway.json("operator", "create", "carol", "--role", "admin")
    assert (made["in_office"], made["proposal"]) == (True, None)
    assert anyway("operator", "create", "carol").code == 1
    entry = {"account": made["account"], "login": "carol", "role": "admin", "active": True}
    assert anyway.json("operator", "list") == {"operators": [entry], "proposals": []}

    second = anyway.json("operator", "create", "dave", "--role", "support")
    assert second["in_office"] is False
    listed = anyway.json("operator", "list")
    assert listed["operators"] == [entry]
    (waits,) = listed["proposals"]
    assert (waits["proposal"], waits["account"]) == (second["proposal"], second["account"])
    own = anyway("operator", "approve", "dave", second["proposal"], "--json")
    assert own.code == 1  # the machine proposed it, so the operator agrees to it
    assert "dave" in [one["login"] for one in anyway.json("account", "list")["accounts"]]


def test_integrators(anyway: Installation) -> None:
    made = anyway.json("integrator", "create", "back end")
    assert made["token"].startswith("lvi_")
    listed = anyway("integrator", "list", "--json")
    assert listed.json["integrators"] == [{"integrator": made["integrator"], "name": "back end", "revoked": False}]
    assert made["token"] not in listed.out
    assert anyway("integrator", "revoke", made["integrator"]).code == 0
    assert anyway("integrator", "revoke", made["integrator"]).code == 1
    assert anyway.json("integrator", "list")["integrators"][0]["revoked"] is True


def test_notices(anyway: Installation) -> None:
    anyway("account", "create", "alice")
    assert anyway.json("notice", "set", "-a", "alice", "email", "alice@example.com")["channel"] == "email"
    anyway("notice", "set", "-a", "alice", "email", "alice@example.org")
    hook = anyway.json("notice", "set", "-a", "alice", "webhook", "https://hooks.example.com/x")
    assert hook["secret"].startswith("whsec_")
    again = anyway.json("notice", "set", "-a", "alice", "webhook", "https://hooks.example.com/y")
    assert again["secret"] == hook["secret"]  # the account's, whatever the address
    listed = anyway.json("notice", "list", "-a", "alice")["addresses"]
    found = {one["channel"]: one["target"] for one in listed if one["state"] == "serving"}
    assert found == {"email": "alice@example.org", "webhook": "https://hooks.example.com/y"}
    leaving = {one["target"] for one in listed if one["state"] == "leaving"}
    assert leaving == {"alice@example.com", "https://hooks.example.com/x"}


@pytest.mark.parametrize(
    ("channel", "target"),
    [
        ("pigeon", "roof"),
        ("email", "no address"),
        ("email", "a@b\nBcc: c@d"),
        ("email", "Alice <a@b.example>"),
        ("webhook", "ftp://a.example"),
        ("webhook", "http://a.example/plain"),
        ("webhook", "https://user:word@a.example/"),
        ("webhook", "nothing"),
    ],
)
def test_an_address_that_is_none_is_refused(installation: Installation, channel: str, target: str) -> None:
    installation("account", "create", "alice")
    refused = installation("notice", "set", "-a", "alice", channel, target, "--json")
    assert (refused.code, refused.error["reason"]) == (1, "malformed")
    assert installation.json("notice", "list", "-a", "alice")["addresses"] == []


@pytest.mark.parametrize("login", ["", " ", "a" * 129, "a\u202eb", "with:colon", "two words"])
def test_a_login_that_is_none_is_refused(installation: Installation, login: str) -> None:
    refused = installation("account", "create", login, "--json")
    assert (refused.code, refused.error["field"]) == (1, "login")
    assert installation.json("account", "list")["accounts"] == []


def test_a_short_password_is_refused(installation: Installation) -> None:
    refused = installation("account", "create", "alice", "--password-file", "-", "--json", stdin="short\n")
    assert (refused.code, refused.error["field"]) == (1, "password")


def test_a_password_comes_from_file_variable_or_input_and_never_from_the_command_line(
    installation: Installation, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text("another fine password\n")
    none = {"LEVERLOCK_PASSWORD_FILE": ""}
    assert installation("account", "create", "a", "--password-file", str(other), environment=none).code == 0
    assert installation("account", "create", "b", environment={"LEVERLOCK_PASSWORD_FILE": str(other)}).code == 0
    assert installation("account", "create", "c", environment={**none, "LEVERLOCK_PASSWORD": PASSWORD}).code == 0
    assert installation("account", "create", "d", "--password-file", "-", stdin=PASSWORD + "\n").code == 0
    nothing = installation("account", "create", "e", environment=none)
    assert nothing.code == 2
    assert "--password-file" in nothing.err
    absent = installation("account", "create", "e", "--password-file", str(tmp_path / "absent"))
    assert absent.code == 2
    assert installation("account", "create", "e", "--password", PASSWORD).code == 2


def test_unknown_ids_are_refused_in_a_sentence(anyway: Installation) -> None:
    for arguments in (
        ("account", "lock", "nobody"),
        ("key", "list", "-a", "nobody"),
        ("key", "revoke", "-a", "nobody", "key_x"),
        ("integrator", "revoke", "int_x"),
        ("venue", "test", "up_x"),
        ("venue", "remove", "up_x"),
        ("notice", "list", "-a", "nobody"),
    ):
        ended = anyway(*arguments)
        assert ended.code == 1, arguments
        assert ended.err.startswith("leverlock: ")
        assert len(ended.err.strip().splitlines()) == 1, ended.err
        assert ended.out == ""


def test_a_command_tells_the_server_and_the_server_writes(installation: Installation) -> None:
    with installation.serving() as server:
        socket_file = installation.home / "admin.sock"
        assert stat.S_IMODE(socket_file.stat().st_mode) == 0o600
        made = installation.json("account", "create", "alice")
        # Nobody else has the database open for writing: the command went through the socket.
        assert made["account"]
        assert server.stop() == 0
        assert not socket_file.exists()
    assert [one["login"] for one in installation.json("account", "list")["accounts"]] == ["alice"]


def test_a_dead_servers_socket_does_not_stop_anything(installation: Installation) -> None:
    with installation.serving() as server:
        server.stop(9)
        assert (installation.home / "admin.sock").exists()
        assert installation("account", "create", "alice").code == 0
    with installation.serving():
        assert [one["login"] for one in installation.json("account", "list")["accounts"]] == ["alice"]


def test_the_socket_takes_the_table_and_nothing_else(installation: Installation) -> None:
    from leverlock.cli.connection import ask_server
    from leverlock.domain.errors import Refused

    with installation.serving():
        path = installation.home / "admin.sock"
        for method, target, body in (
            ("POST", "/account.drop", b"{}"),
            ("POST", "/account.create", b"{}"),
            ("POST", "/account.create", b'{"login":"a","password":"' + PASSWORD.encode() + b'","admin":true}'),
            ("POST", "/account.create", b'{"login":1,"password":"x"}'),
            ("POST", "/account.create", b"not json"),
            ("POST", "/account.create", b"\xff\xfe"),
            ("GET", "/account.list", b""),
        ):
            with pytest.raises(Refused):
                ask_server(path, method, target, body)
        found = ask_server(path, "GET", "/")
        assert found is not None
        assert found["product"] == "leverlock"
        assert installation.json("account", "list")["accounts"] == []


def test_passwords_and_tokens_stand_in_no_log(installation: Installation) -> None:
    with installation.serving() as server:
        installation("account", "create", "alice")
        token = installation.json("integrator", "create", "shop")["token"]
        installation("account", "create", "x", "--password-file", "-", stdin="short-canary")
    written = server.log_file.read_text()
    assert PASSWORD not in written
    assert "short-canary" not in written
    assert token not in written


def test_two_processes_at_once_do_not_hurt_each_other(installation: Installation) -> None:
    """Correct by the store's own design: a command that opens the database while another server writes."""
    with installation.serving():
        hidden = {"LEVERLOCK__ADMIN__SOCKET": str(installation.home / "other.sock")}
        for number in range(5):
            assert installation("account", "create", f"own-{number}", environment=hidden).code == 0
            assert installation("account", "create", f"server-{number}").code == 0
        assert len(installation.json("account", "list")["accounts"]) == 10
    assert installation("audit", "verify").code == 0


def test_more_accounts_than_a_page(installation: Installation) -> None:
    from leverlock.admin import accounts

    before, accounts.PAGE = accounts.PAGE, 2
    try:
        for number in range(5):
            installation("account", "create", f"owner-{number}")
        found = installation.json("account", "list")["accounts"]
    finally:
        accounts.PAGE = before
    assert sorted(one["login"] for one in found) == [f"owner-{number}" for number in range(5)]


def test_who_gave_the_command_stands_in_the_trail(installation: Installation) -> None:
    import sqlite3

    installation("account", "create", "alice")
    with sqlite3.connect(installation.home / "leverlock.db") as database:
        bodies = [json.loads(row[0]) for row in database.execute("SELECT body FROM audit_event")]
    (created,) = [body for body in bodies if body["kind"] == "account.created"]
    assert created["principal"] == f"command:{_user()}"


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name
