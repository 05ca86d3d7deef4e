"""`leverlock init`: one command makes a deployment, asks what has to be asked, and touches nothing that is there."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from installation import Installation


def fresh(folder: Path) -> Installation:
    return Installation(folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.bar("B82")
def test_it_makes_settings_keyring_and_database_for_this_user_alone(tmp_path: Path) -> None:
    ended = fresh(tmp_path)("init", "--policy", "trader", "--issuer", "Acme", "--json")
    assert ended.code == 0
    home = tmp_path / ".leverlock"
    assert ended.json["policy"] == "trader"
    assert mode(home) == 0o700
    assert {mode(home / name) for name in ("config.toml", "keyring.json", "leverlock.db")} == {0o600}
    shown = fresh(tmp_path).json("config", "show")["settings"]
    assert {one["setting"]: one["value"] for one in shown}["issuer"] == "Acme"
    assert fresh(tmp_path)("config", "check").code == 0


@pytest.mark.parametrize("name", ["literal", "trader"])
def test_it_asks_for_the_policy_and_says_what_each_costs(tmp_path: Path, name: str) -> None:
    ended = fresh(tmp_path)("init", stdin=f"{name}\n")
    assert ended.code == 0
    assert "every order above 50x waits for a code" in ended.err
    assert "can close positions at a bad price" in ended.err
    assert f'policy = "{name}"' in (tmp_path / ".leverlock" / "config.toml").read_text()


def test_the_default_of_the_question_is_literal(tmp_path: Path) -> None:
    assert fresh(tmp_path)("init", stdin="\n").code == 0
    assert 'policy = "literal"' in (tmp_path / ".leverlock" / "config.toml").read_text()


def test_it_does_nothing_twice(tmp_path: Path) -> None:
    installation = fresh(tmp_path)
    assert installation("init", "--policy", "literal").code == 0
    before = {path.name: path.read_bytes() for path in installation.home.iterdir()}
    ended = installation("init", "--policy", "trader")
    assert ended.code == 1
    assert "exists already" in ended.err
    assert {path.name: path.read_bytes() for path in installation.home.iterdir()} == before


def test_a_failed_one_leaves_nothing_behind(tmp_path: Path) -> None:
    ended = fresh(tmp_path)("init", "--policy", "no-such-policy.toml")
    assert ended.code == 3
    assert "cannot be read" in ended.err
    assert not (tmp_path / ".leverlock").exists()
    ended = fresh(tmp_path)("init", "--policy", "literal", "--issuer", "Acme: Futures")
    assert ended.code == 3
    assert "colon" in ended.err
    assert not (tmp_path / ".leverlock").exists()


def test_a_keyring_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    home = tmp_path / ".leverlock"
    home.mkdir(mode=0o700)
    (home / "keyring.json").write_text("precious")
    ended = fresh(tmp_path)("init", "--policy", "literal")
    assert ended.code == 1
    assert (home / "keyring.json").read_text() == "precious"
    assert not (home / "config.toml").exists()


def test_a_policy_of_ones_own_is_written_with_its_whole_path(tmp_path: Path) -> None:
    source = (Path(__file__).resolve().parents[2] / "src/leverlock/policies/literal.toml").read_text()
    (tmp_path / "mine.toml").write_text(source.replace('name = "literal"', 'name = "mine"'))
    assert fresh(tmp_path).json("init", "--policy", "mine.toml")["policy"] == str(tmp_path / "mine.toml")
    assert fresh(tmp_path).json("policy", "check")["name"] == "mine"


def test_the_settings_file_may_stand_elsewhere(tmp_path: Path) -> None:
    installation = fresh(tmp_path)
    assert installation("init", "--policy", "literal", "--config", "etc/leverlock.toml").code == 0
    assert (tmp_path / "etc" / "leverlock.db").exists()
    assert installation("account", "list", "--config", "etc/leverlock.toml").code == 0
    by_variable = installation("account", "list", environment={"LEVERLOCK_CONFIG": "etc/leverlock.toml"})
    assert by_variable.code == 0


def test_a_fresh_installation_has_nobody_in_it(installation: Installation) -> None:
    assert installation.json("account", "list") == {"accounts": []}
    assert installation.json("operator", "list") == {"operators": [], "proposals": []}
    assert installation.json("integrator", "list") == {"integrators": []}
    assert installation.json("venue", "list") == {"venues": []}
