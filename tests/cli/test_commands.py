"""Every command: explained, with `--json`, ending in a sentence and a documented exit code, never in a traceback."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import pytest
import typer

from installation import Installation
from leverlock.cli.main import app
from leverlock.cli.output import EXIT_MEANINGS, Exit, table, visible

Commands = dict[str, typer.core.TyperCommand]


def commands(group: object = None, prefix: str = "") -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Every command by its full name."""
    found = typer.main.get_command(app) if group is None else group
    for name, command in found.commands.items():  # type: ignore[attr-defined]
        full = f"{prefix}{name}"
        if hasattr(command, "commands"):
            yield from commands(command, f"{full} ")
        else:
            yield full, command


EVERY = dict(commands())


def test_the_commands_are_these() -> None:
    assert sorted(EVERY) == [
        "account create", "account list", "account lock", "account unlock", "approve", "audit verify",
        "case cancel", "case open", "case return", "case show",
        "clock reset", "clock show", "codes", "config check",
        "config schema", "config show", "demo",
        "desk add", "desk agree", "desk approve", "desk case", "desk cases", "desk decline", "desk find", "desk link",
        "desk lock", "desk open", "desk proposals", "desk refuse", "desk role", "desk submit", "desk unlock",
        "desk view", "doctor", "enrol", "healthcheck", "init", "integrator create",
        "integrator key add", "integrator key list", "integrator key remove", "integrator list", "integrator revoke",
        "key create", "key legacy-end", "key legacy-report", "key list", "key revoke", "keyring init",
        "keyring retire", "keyring rotate", "keyring show",
        "notice confirm", "notice leave", "notice list", "notice mine", "notice name", "notice set",
        "operator approve", "operator create", "operator list", "operator role",
        "password change", "password forgot", "password reset",
        "policy approve", "policy check", "policy proposals", "policy propose", "policy refuse", "policy show",
        "recover", "security-key list", "security-key remove", "serve",
        "sms add", "sms backup", "sms distrust", "sms language", "sms remove",
        "venue connect", "venue list",
        "venue remove", "venue test",
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(EVERY))
def test_each_is_explained_and_speaks_json(installation: Installation, name: str) -> None:
    ended = installation(*name.split(), "--help")
    assert ended.code == 0
    assert EVERY[name].help
    for parameter in EVERY[name].params:
        if type(parameter).__name__.endswith("Option"):
            assert getattr(parameter, "help", None), (name, parameter.name)
    if name not in ("config schema", "demo"):  # the one is JSON in any case, the other leaves .leverlock/demo.json
        assert "--json" in ended.out


def test_no_password_secret_or_code_is_taken_from_the_command_line() -> None:
    for name, command in EVERY.items():
        for parameter in command.params:
            for word in ("password", "secret", "code", "venue_key"):
                if word in (parameter.name or ""):
                    assert (parameter.name or "").endswith("_file"), (name, parameter.name)


def test_the_exit_codes_are_told() -> None:
    assert set(EXIT_MEANINGS) == set(Exit)


def test_help_tells_the_exit_codes(installation: Installation) -> None:
    assert "3 settings" in " ".join(installation("--help").out.split())


def test_a_wrong_command_line_is_code_2(installation: Installation) -> None:
    for arguments in (["nonsense"], ["account", "create"], ["serve", "--nonsense"], ["key", "create", "-l", "x"]):
        assert installation(*arguments).code == 2, arguments


def test_wrong_settings_are_code_3_with_every_problem(installation: Installation) -> None:
    wrong = {"LEVERLOCK__SERVER__API_PORT": "x", "LEVERLOCK__ISSUER": "a:b"}
    for arguments in (["account", "list"], ["config", "check"], ["doctor"], ["serve"]):
        ended = installation(*arguments, environment=wrong)
        assert ended.code == 3, arguments
        assert "LEVERLOCK__SERVER__API_PORT" in ended.err
        assert "LEVERLOCK__ISSUER" in ended.err
    ended = installation("config", "check", "--json", environment=wrong)
    assert {one["setting"] for one in ended.error["problems"]} == {"server.api_port", "issuer"}
    assert ended.out == ""


@pytest.mark.parametrize("break_", ["no keyring", "no database", "no file at all", "newer schema"])
def test_a_broken_deployment_is_code_3_in_a_sentence(installation: Installation, break_: str) -> None:
    if break_ == "no keyring":
        (installation.home / "keyring.json").unlink()
    elif break_ == "no database":
        (installation.home / "leverlock.db").unlink()
    elif break_ == "newer schema":
        with sqlite3.connect(installation.home / "leverlock.db") as database:
            database.execute("PRAGMA user_version = 99")
    else:
        (installation.home / "config.toml").unlink()
        (installation.home / "keyring.json").unlink()
    ended = installation.process("account", "list", "--json")
    assert ended.code == 3
    assert ended.error["exit_code"] == 3
    assert "Traceback" not in ended.err


def test_a_locked_database_is_code_4(installation: Installation) -> None:
    database = sqlite3.connect(installation.home / "leverlock.db", isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
        ended = installation("account", "create", "alice")
    finally:
        database.close()
    assert ended.code == 4
    assert "nothing was" in ended.err or "nothing could be" in ended.err


def test_config_show_hides_secrets_and_names_sources(installation: Installation) -> None:
    environment = {
        "LEVERLOCK__SMTP__PASSWORD": "canary-5d1f",
        "LEVERLOCK__SMTP__USERNAME": "mailer",
        "LEVERLOCK__SMTP__HOST": "mail.example",
        "LEVERLOCK__SMTP__SENDER": "a@b.example",
    }
    ended = installation("config", "show", "--json", environment=environment)
    shown = {one["setting"]: one for one in ended.json["settings"]}
    assert shown["smtp.password"]["value"] == "(set, not shown)"
    assert shown["smtp.password"]["source"] == "environment variable LEVERLOCK__SMTP__PASSWORD"
    assert shown["limits.grant_life_ms"] == {"setting": "limits.grant_life_ms", "value": 60000, "source": "default"}
    text = installation("config", "show", environment=environment)
    assert "canary" not in ended.out + text.out
    changed = installation.json("config", "show", "--changed", environment=environment)["settings"]
    assert all(one["source"] != "default" for one in changed)


def test_config_schema_is_a_schema(installation: Installation) -> None:
    document = installation("config", "schema").json
    assert document["$schema"].endswith("2020-12/schema")
    assert "limits" in document["properties"]


def test_completion_is_there_for_the_shells(installation: Installation) -> None:
    for shell in ("bash", "zsh", "fish"):
        ended = installation.process("--show-completion", shell)
        assert ended.code == 0, ended
        assert "LEVERLOCK_COMPLETE" in ended.out
    completed = installation.process(
        environment={"_LEVERLOCK_COMPLETE": "complete_bash", "COMP_WORDS": "leverlock acc", "COMP_CWORD": "1"}
    )
    assert "account" in completed.out


def test_the_version(installation: Installation) -> None:
    import leverlock

    assert installation("--version").out == f"leverlock {leverlock.__version__}\n"


def test_what_others_wrote_cannot_move_the_cursor(installation: Installation) -> None:
    assert visible("a\x1b[2J\u202eb\r") == "a\\x1b[2J\\u202eb\\r"
    assert table(("x",), [["\x1b[1m"]], nothing="") == ["x", "\\x1b[1m"]
    assert installation("integrator", "create", "a\x1b[2J").code == 1


def test_a_closed_pipe_is_no_error(installation: Installation) -> None:
    import subprocess
    import sys

    command = f"{sys.executable} -m leverlock config schema | head -c 10"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=installation.folder, env=installation.variables(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_keyring_init_makes_one_and_never_replaces_it(installation: Installation) -> None:
    again = installation("keyring", "init", "--json")
    assert again.code == 1
    other = {"LEVERLOCK__KEYRING__PATH": str(installation.folder / "other.json")}
    made = installation("keyring", "init", "--json", environment=other)
    assert made.code == 0
    assert (installation.folder / "other.json").stat().st_mode & 0o777 == 0o600
    assert json.loads(made.out)["keyring"] == str(installation.folder / "other.json")


@pytest.mark.bar("B90")
def test_audit_verify_finds_a_changed_record(installation: Installation) -> None:
    installation("account", "create", "alice")
    whole = installation.json("audit", "verify")
    assert whole["whole"] is True
    assert whole["records"] >= 1
    with sqlite3.connect(installation.home / "leverlock.db") as database:
        database.execute("UPDATE audit_event SET body = CAST(replace(CAST(body AS TEXT), 'alice', 'mallory') AS BLOB)")
    ended = installation("audit", "verify", "--json")
    assert (ended.code, ended.json["whole"]) == (1, False)
    assert ended.json["findings"]
    assert "CHANGED" in installation("audit", "verify").out
