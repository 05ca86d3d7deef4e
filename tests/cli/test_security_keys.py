"""Security keys at a terminal: shown, and a lost one given up; the key itself is a browser's business."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.test_approve import Owner
from installation import PASSWORD, Installation
from software_key import SoftwareKey


def added(owner: Owner, key: SoftwareKey) -> str:
    """A security key of an owner whose Futures protection is on."""
    options: dict[str, Any] = {}
    for _ in range(2):
        try:
            options = owner.api("POST", "/v1/security-keys/registration-options", {"label": "blue"})
        except AssertionError:
            [challenge] = owner.api("GET", "/v1/challenges")["challenges"]
            proof = {"code": owner.code("futures"), "password": PASSWORD}
            owner.api("POST", f"/v1/challenges/{challenge['id']}/proof", proof)
    made = owner.api("POST", "/v1/security-keys", key.register(options["public_key"]))
    return str(made["id"])


@pytest.mark.mission("M22")
def test_an_owner_gives_a_lost_key_up(installation: Installation, tmp_path: Path) -> None:
    installation("account", "create", "alice")
    with installation.serving() as server:
        owner = Owner(installation, server, "alice")
        owner.enrol("login")
        owner.enrol("futures")
        key_id = added(owner, SoftwareKey())
        where = ("--login", "alice", "--api-url", server.addresses["api"])

        def code_file(name: str, environment: str) -> str:
            file = tmp_path / name
            file.write_text(owner.code(environment))
            return str(file)

        given_up = installation(
            "security-key", "remove", key_id, *where, "--json",
            "--login-code-file", code_file("signing-in", "login"),
            "--code-file", code_file("removing", "login"),  # a Futures app of today may not vouch for this yet
        )  # fmt: skip
        assert given_up.code == 0, given_up
        assert given_up.json["subject"] == key_id


def test_an_account_that_signs_in_with_a_key_alone_is_sent_to_a_browser(installation: Installation) -> None:
    installation("account", "create", "bob")
    with installation.serving() as server:
        owner = Owner(installation, server, "bob")
        where = ("--login", "bob", "--api-url", server.addresses["api"])
        assert installation("security-key", "list", *where).out == "There are none.\n"
        owner.token = owner.api("POST", "/v1/sessions", {"login": "bob", "password": PASSWORD})["token"]
        options: dict[str, Any] = {}
        for _ in range(2):
            try:
                options = owner.api("POST", "/v1/security-keys/registration-options", {"label": "blue"})
            except AssertionError:
                [challenge] = owner.api("GET", "/v1/challenges")["challenges"]
                owner.api("POST", f"/v1/challenges/{challenge['id']}/proof", {"password": PASSWORD})
        owner.api("POST", "/v1/security-keys", SoftwareKey().register(options["public_key"]))
        ended = installation("security-key", "list", *where, "--json")
        assert ended.code != 0
        assert "browser" in ended.error["message"]
