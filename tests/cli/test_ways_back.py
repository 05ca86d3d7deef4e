"""The owner's way back in a terminal: a lost app, a forgotten password, another address (M20)."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyotp
import pytest

from cli.test_approve import Owner, Terminal
from installation import PASSWORD, Ended, Installation
from leverlock.app.mailed_secrets import with_secret
from leverlock.domain.messages import Channel, Message
from leverlock.store.host import SystemEntropy
from leverlock.store.sealing import Keyring, KeyringSealer

NEW = "another horse, another battery"
AS_ALICE = ("--login", "alice")


@dataclass
class Scene:
    """A running server, and an owner with Futures on who is told by mail."""

    installation: Installation
    owner: Owner
    codes: list[str]

    def command(self, *arguments: str, **environment: str) -> Ended:
        return self.installation(*arguments, "--json", environment=environment)

    def mailed(self, kind: str, name: str) -> str:
        """What a letter that still waits in the outbox tells its reader."""
        with closing(sqlite3.connect(self.installation.home / "leverlock.db")) as database:
            found = "SELECT account_id, body FROM outbox WHERE kind = ? ORDER BY created_at"
            account_id, body = database.execute(found, (kind,)).fetchall()[-1]
        sealer = KeyringSealer(Keyring.load(self.installation.home / "keyring.json"), entropy=SystemEntropy())
        left = with_secret(sealer, Message(account_id, "", Channel.EMAIL, "", kind, body, 0, 0))
        return str(json.loads(left.body)[name])


@pytest.fixture
def scene(installation: Installation) -> Iterator[Scene]:
    with installation.serving() as server:
        installation.json("account", "create", "alice")
        installation.json("notice", "set", "-a", "alice", "email", "alice@example.com")
        owner = Owner(installation, server, "alice")
        kept: list[str] = []
        call = owner.api

        def keeping(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
            answer = call(method, path, body)
            kept.extend((answer or {}).get("recovery_codes", []))
            return answer

        owner.api = keeping  # type: ignore[method-assign]
        owner.enrol("futures")
        yield Scene(installation, owner, kept)


@pytest.mark.mission("M20")
def test_a_lost_app_is_replaced_with_the_password_and_a_code(scene: Scene) -> None:
    terminal = Terminal(scene.installation, "recover", "futures", *AS_ALICE)
    terminal.expect("Password: ")
    terminal.type(PASSWORD)
    terminal.expect("Recovery code: ")
    terminal.type(scene.codes[4])
    shown = terminal.expect("Code: ")
    secret = re.search(r"key ((?:[A-Z2-7]{4} ?){8})", shown)
    assert secret is not None
    terminal.type(pyotp.TOTP(secret[1].replace(" ", "")).now())
    told = terminal.expect("Recovery codes")
    assert "Futures is protected" in told
    assert terminal.close() == 0
    again = scene.command("recover", "futures", *AS_ALICE, LEVERLOCK_RECOVERY_CODE=scene.codes[5])
    assert (again.code, again.error["type"]) == (1, "/problems/wrong-code")


def test_the_password_is_changed_with_the_old_one_and_a_code(scene: Scene) -> None:
    wrong = scene.command("password", "change", *AS_ALICE, LEVERLOCK_NEW_PASSWORD=NEW, LEVERLOCK_CODE="000000")
    assert (wrong.code, wrong.error["type"]) == (1, "/problems/wrong-code")
    done = scene.command("password", "change", *AS_ALICE, LEVERLOCK_NEW_PASSWORD=NEW, LEVERLOCK_CODE=scene.owner.code())
    assert (done.code, done.json) == (0, {"state": "set"}), done
    assert "Change the password" in done.err.replace("change the password", "Change the password")
    assert scene.command("approve", *AS_ALICE).code == 1  # the old one
    (scene.installation.folder / "new").write_text(NEW)
    assert scene.command("approve", *AS_ALICE, "--password-file", "new").code == 0


@pytest.mark.mission("M20")
def test_a_forgotten_password_is_set_with_the_link_and_a_code(scene: Scene) -> None:
    assert scene.command("password", "forgot", *AS_ALICE).code == 0
    link = scene.mailed("password_reset.link", "token")
    secrets = {"LEVERLOCK_LINK": link, "LEVERLOCK_NEW_PASSWORD": NEW}
    done = scene.command("password", "reset", **secrets, LEVERLOCK_CODE=scene.owner.code())
    assert done.code == 0, done
    assert done.json["held_until"]
    (scene.installation.folder / "new").write_text(NEW)
    assert scene.command("approve", *AS_ALICE, "--password-file", "new").code == 0
    spent = scene.command("password", "reset", **secrets, LEVERLOCK_CODE="000000")
    assert (spent.code, spent.error["type"]) == (1, "/problems/unknown-id")


def test_an_address_is_named_confirmed_and_left(scene: Scene) -> None:
    code = scene.owner.code()
    named = scene.command("notice", "name", "email", "new@example.com", *AS_ALICE, LEVERLOCK_CODE=code)
    assert (named.code, named.json["state"]) == (0, "named"), named
    typed = scene.mailed("address.confirm", "code")
    served = scene.command("notice", "confirm", named.json["id"], *AS_ALICE, LEVERLOCK_ADDRESS_CODE=typed)
    assert (served.code, served.json["state"]) == (0, "serving"), served
    listed = scene.command("notice", "mine", *AS_ALICE).json["addresses"]
    [old] = [one["id"] for one in listed if one["target"] == "alice@example.com"]
    left = scene.command("notice", "leave", old, *AS_ALICE, LEVERLOCK_CODE=scene.owner.code())
    assert left.code == 0, left
    listed = scene.command("notice", "mine", *AS_ALICE).json["addresses"]
    states = {one["target"]: one["state"] for one in listed}
    assert states == {"alice@example.com": "leaving", "new@example.com": "serving"}
    assert scene.command("notice", "leave", "no id", *AS_ALICE).code == 2


def test_new_codes_are_printed_once(scene: Scene) -> None:
    made = scene.command("codes", "futures", *AS_ALICE, LEVERLOCK_CODE=scene.owner.code())
    assert (made.code, len(made.json["recovery_codes"])) == (0, 10), made
    old = scene.command("recover", "futures", *AS_ALICE, LEVERLOCK_RECOVERY_CODE=scene.codes[0])
    assert old.error["type"] == "/problems/wrong-code"
