"""`leverlock policy`: what is wrong is named with its line, what is in force can be read as a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from installation import Installation

SHIPPED = Path(__file__).resolve().parents[2] / "src" / "leverlock" / "policies"


@pytest.mark.parametrize("name", ["literal", "trader"])
def test_shipped_policies_hold(installation: Installation, name: str) -> None:
    assert installation.json("policy", "check", name)["name"] == name


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("above = 50", "above = true", 8, "not"),
        ('require = ["totp"]', "require = []", 9, "empty requirement"),
        ('action = "futures.order.place"', 'action = "futures.order.plase"', 7, "futures.order.plase"),
        ('name = "literal"', 'nmae = "literal"', 3, "nmae"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    installation: Installation, old: str, new: str, line: int, words: str
) -> None:
    file = installation.folder / "mine.toml"
    file.write_text((SHIPPED / "literal.toml").read_text().replace(old, new, 1))
    ended = installation("policy", "check", "mine.toml", "--json")
    assert (ended.code, ended.error["line"]) == (1, line)
    assert words in ended.error["reason"]
    assert "Traceback" not in ended.err


def test_the_table_gives_every_rule_with_its_line(installation: Installation) -> None:
    rules = installation.json("policy", "show", "trader")["rules"]
    lines = (SHIPPED / "trader.toml").read_text().splitlines()
    assert [lines[rule["line"] - 1] for rule in rules] == ["[[rule]]"] * len(rules)
    for rule in rules:
        assert lines[rule["line"]] == f'name = "{rule["name"]}"'
    first = next(rule for rule in rules if rule["action"] == "futures.order.place")
    assert first["when"] == ["leverage above 50", "reduces_risk is false"]
    shown = installation("policy", "show", "trader").out
    assert "leverage above 50 and reduces_risk is false" in shown


def test_without_a_name_it_is_the_one_of_the_settings(installation: Installation) -> None:
    assert installation.json("policy", "show", environment={"LEVERLOCK__POLICY": "trader"})["name"] == "trader"
    assert installation.json("policy", "show")["name"] == "literal"


def test_a_file_that_is_not_there(installation: Installation) -> None:
    assert installation("policy", "check", "absent.toml").code == 2
