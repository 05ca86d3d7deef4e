"""`leverlock keyring`: rotate with and without a running server, and the words of its refusals (B84)."""

from __future__ import annotations

import json

import pytest

from installation import PASSWORD, Installation


@pytest.mark.bar("B84")
def test_a_key_is_rotated_by_the_running_server(installation: Installation) -> None:
    with installation.serving():
        installation("account", "create", "alice")
        assert installation.json("keyring", "show")["current"] == 1
        assert installation.json("keyring", "rotate") == {
            "version": 2, "new": True, "resealed": 0, "broken": [], "left": 0,
        }  # fmt: skip
        refused = installation("keyring", "retire", "--json")
        assert (refused.code, refused.error["reason"]) == (1, "conflict")
        assert "just finished" in refused.error["message"]
        assert [one["version"] for one in installation.json("keyring", "show")["versions"]] == [1, 2]


def test_a_key_is_rotated_where_no_server_runs(installation: Installation) -> None:
    ended = installation("keyring", "rotate")
    assert (ended.code, ended.out) == (0, "0 secrets were sealed anew under key 2.\n")
    assert "Key 2 was made." in ended.err


def test_no_key_is_ever_shown(installation: Installation) -> None:
    keyring = next(installation.folder.rglob("keyring.json"))
    keys = json.loads(keyring.read_text())
    told = installation("keyring", "show").out + installation("keyring", "rotate").out
    assert all(key not in told for key in (*keys["seal_keys"].values(), keys["mac_key"], keys["signing_key"]))
    assert PASSWORD not in told
