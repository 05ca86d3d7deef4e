"""A recovery case from the first word to the new app, by commands alone: the owner's, and those of three operators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api_deployment import PASSWORD, POLICIES, Deployment, Owner
from installation import Installation
from leverlock.domain.roles import Role
from leverlock.domain.totp import hotp, step_at
from leverlock.messengers.letters import letter
from operators import client, enrolment_link, operator, picture, state, sweep


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    folder = tmp_path / "server"
    folder.mkdir()
    running = Deployment(folder)
    yield running
    running.close()


class Terminal:
    """Commands against the API of a deployment whose clock the test moves."""

    def __init__(self, installation: Installation, deployment: Deployment) -> None:
        self.installation = installation
        self.deployment = deployment
        self.url = f"http://127.0.0.1:{deployment.api.port}"
        (installation.folder / "password").write_text(PASSWORD)

    def __call__(self, person: Owner, *words: str, fails: bool = False) -> Any:
        code = self.installation.folder / "code"
        if "login" in person.seeds:
            code.write_text(person.code("login"))
        ended = self.installation(
            *words, "--login", person.login, "--api-url", self.url, "--login-code-file", str(code), "--json"
        )
        self.deployment.clock.next_step()
        assert (ended.code != 0) is fails, ended
        return ended.error if fails else ended.json


@pytest.mark.mission("M20")
def test_a_case_by_commands_alone(
    installation: Installation, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Terminal(installation, deployment)
    opener, first, second = (operator(deployment, Role.SUPPORT) for _ in range(3))
    owner = client(deployment)
    (installation.folder / "face.jpg").write_bytes(picture())
    (installation.folder / "bill.png").write_bytes(picture("PNG"))
    made = run(
        owner, "case", "open", "--environment", "futures", "--statement", "It fell into the sea.",
        "--identity", "face.jpg", "--ownership", "bill.png",
    )  # fmt: skip
    assert made["state"] == "submitted"
    account, case = made["account"], made["id"]
    assert run(first, "desk", "find", owner.login)["account"] == account
    assert [one["id"] for one in run(first, "desk", "cases")["cases"]] == [case]
    brought = run(first, "desk", "case", account, case)["documents"]
    document = next(one["id"] for one in brought if one["kind"] == "identity")
    looked = run(first, "desk", "view", account, case, document, "--reason", "face", "--out", "look.jpg")
    assert (installation.folder / looked["file"]).read_bytes().startswith(b"\xff\xd8\xff")
    again = run(first, "desk", "view", account, case, document, "--reason", "x", "--out", "look.jpg", fails=True)
    assert "cannot be written" in again["message"]  # what is there is not written over
    assert run(first, "desk", "approve", account, case)["state"] == "approved_once"
    assert run(first, "desk", "approve", account, case, fails=True)["type"] == "/problems/not-permitted"
    assert run(second, "desk", "approve", account, case)["state"] == "waiting"
    assert run(owner, "case", "show")["cases"][0]["approvals"] == 2
    deployment.clock.advance(86_400_000)
    sweep(deployment)
    assert "expires_at" in run(second, "desk", "link", account, case)

    link = enrolment_link(deployment, account)
    (installation.folder / "link").write_text(link + "\n")
    shown: list[str] = []
    monkeypatch.setattr("leverlock.cli.enrol.note", shown.append)
    monkeypatch.setattr("leverlock.cli.enrol._show", lambda started: shown.append(started["secret"]))
    monkeypatch.setattr("typer.prompt", lambda *_, **__: _code(deployment, shown[-1]))
    came = installation("case", "return", "--link-file", "link", "--api-url", run.url, "--json")
    assert came.code == 0, came
    assert len(came.json["bound"]["futures"]) == 10
    assert state(owner, case) == "used"

    body = run(opener, "desk", "open", account, "--environment", "futures", "--statement", "He called.")
    for kind, file in (("identity", "face.jpg"), ("ownership", "bill.png")):
        run(opener, "desk", "add", account, body["id"], kind, file)
    assert run(opener, "desk", "submit", account, body["id"])["state"] == "submitted"
    assert run(first, "desk", "refuse", account, body["id"], "--reason", "another face")["state"] == "refused"
    assert run(first, "desk", "lock", account, "--reason", "called")["state"] == "locked"
    assert run(first, "desk", "unlock", account, "--reason", "x", fails=True)["type"] == "/problems/not-permitted"


def _code(deployment: Deployment, secret: str) -> str:
    import base64

    return hotp(base64.b32decode(secret), step_at(deployment.clock.now_ms()))


def test_an_owner_without_his_login_app_says_so(installation: Installation, deployment: Deployment) -> None:
    run = Terminal(installation, deployment)
    owner = operator(deployment, Role.SUPPORT)  # somebody with a login authenticator
    assert run(owner, "case", "show", "--lost")["cases"] == []


def test_policies_and_roles_by_commands(installation: Installation, deployment: Deployment) -> None:
    run = Terminal(installation, deployment)
    ada, grace = operator(deployment, Role.ADMIN), operator(deployment, Role.ADMIN)
    text = (POLICIES / "literal.toml").read_text()
    deployment.now(lambda tx: tx.set_setting("policy_text", text))
    (installation.folder / "looser.toml").write_text(text.replace("above = 50 }", "above = 60 }"))
    outcome = run(ada, "policy", "propose", "looser.toml")
    proposal = outcome["proposal"]["id"]
    assert [one["id"] for one in run(grace, "policy", "proposals")["proposals"]] == [proposal]
    assert run(ada, "policy", "approve", proposal, fails=True)["type"] == "/problems/not-permitted"
    assert run(grace, "policy", "approve", proposal)["state"] == "approved"
    assert run(ada, "policy", "refuse", proposal)["state"] == "refused"
    new = deployment.owner().account_id
    role = run(ada, "desk", "role", new, "support")["id"]
    assert run(grace, "desk", "agree", new, role)["state"] == "done"
    gone = run(ada, "desk", "role", new, "none")["id"]
    assert run(grace, "desk", "decline", new, gone)["state"] == "refused"


def test_the_letter_with_the_link_says_what_to_do_and_the_stored_one_has_none(deployment: Deployment) -> None:
    from leverlock.app.case_link import completed
    from leverlock.domain.messages import Channel, Message

    account = deployment.owner().account_id
    body = b'{"type":"recovery_case.link","case":"case_x","number":1,"expires_at":5}'
    stored = Message(account, "msg_1", Channel.EMAIL, "a@example.com", "recovery_case.link", body, 0, 5)
    sent = letter(completed(deployment.sealer, stored), issuer="Acme")
    assert re.search(rf"{account}\.case_x\.[0-9a-f]{{64}}", sent.text)
    assert "leverlock case return" in sent.text
    other = Message(account, "msg_2", Channel.EMAIL, "a@example.com", "key.created", b'{"type":"key.created"}', 0, 5)
    assert completed(deployment.sealer, other) is other
