"""A phone as backup, in a terminal; and the operator's word about it. The SMS are read off the development file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from installation import PASSWORD, Installation, Server

from .test_approve import Owner, Terminal

NUMBER = "+44 7400 123456"


@dataclass
class Scene:
    installation: Installation
    server: Server
    owner: Owner
    phone: Path

    def texts(self, count: int) -> list[str]:
        """What the phone has received, once it has received so many."""
        deadline = time.monotonic() + 20
        while not self.phone.exists() or len(lines := self.phone.read_text().splitlines()) < count:
            assert time.monotonic() < deadline, "no SMS came"
            time.sleep(0.05)
        return [json.loads(line)["text"] for line in lines]

    def code(self, count: int) -> str:
        return self.texts(count)[count - 1].rsplit("#", 1)[1]

    def order(self) -> str:
        """A challenge for an order at 75x, asked for by the owner's own session."""
        body = {
            "action": {
                "type": "futures.order.place",
                "fields": {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"},
                "facts": {"leverage": 75, "margin_mode": "CROSSED"},
            }
        }
        with pytest.raises(AssertionError, match="step-up-required"):
            self.owner.api("POST", "/v1/authorize", body)
        [waiting] = self.owner.api("GET", "/v1/challenges")["challenges"]
        return str(waiting["id"])


@pytest.fixture
def scene(installation: Installation, tmp_path: Path) -> Iterator[Scene]:
    phone = tmp_path / "sms.jsonl"
    installation.environment |= {
        "LEVERLOCK__SMS__ENABLED": "true",
        "LEVERLOCK__SMS__PROVIDERS": json.dumps([{"name": "file", "kind": "file", "path": str(phone)}]),
        "LEVERLOCK__LIMITS__SMS_RESEND_MS": "1000",
    }
    with installation.serving() as server:
        installation.json("account", "create", "alice")
        owner = Owner(installation, server, "alice")
        owner.enrol("futures")
        yield Scene(installation, server, owner, phone)


def add(scene: Scene) -> None:
    """`leverlock sms add`, as a person does it."""
    terminal = Terminal(scene.installation, "sms", "add", "futures", NUMBER, "--login", "alice")
    terminal.expect("Password: ")
    terminal.type(PASSWORD)
    told = terminal.expect("Code from the SMS: ")
    assert "SIM card" in told  # the risk is told before anything is relied on
    assert "+44********56" in told
    terminal.type(scene.code(1))
    told = terminal.expect("Futures code of the app: ")
    assert "number: +44********56" in told
    terminal.type(scene.owner.code())
    terminal.expect("+44********56 may stand in for the code of Futures.")
    assert terminal.close() == 0
    # A new factor ends the sessions before it.
    scene.owner.token = ""
    scene.owner.token = scene.owner.api("POST", "/v1/sessions", {"login": "alice", "password": PASSWORD})["token"]


@pytest.mark.mission("M11")
@pytest.mark.mission("M12")
@pytest.mark.mission("M14")
def test_a_number_is_added_and_approves_in_a_terminal(scene: Scene) -> None:
    add(scene)
    time.sleep(1)
    challenge = scene.order()
    terminal = Terminal(scene.installation, "approve", "--login", "alice")
    terminal.expect("Password: ")
    terminal.type(PASSWORD)
    assert "s 2: by SMS" in terminal.expect("> ")
    terminal.type("s 1")
    told = terminal.expect("Code from the SMS: ")
    assert "+44********56" in told
    code = scene.code(2)
    terminal.type(code)
    told = terminal.expect("Nothing waits for you.")
    assert f"approved: {challenge}" in told
    assert code not in told
    assert terminal.close() == 0
    assert scene.owner.api("GET", f"/v1/challenges/{challenge}")["state"] == "approved"


def test_an_sms_that_was_asked_for_is_answered_by_command(scene: Scene) -> None:
    add(scene)
    time.sleep(1)
    challenge = scene.order()
    scene.owner.api("POST", f"/v1/challenges/{challenge}/sms")
    given = {"LEVERLOCK_SMS_CODE": scene.code(2)}
    arguments = ("approve", "--login", "alice", "--challenge", challenge, "--sms", "--json")
    done = scene.installation(*arguments, environment=given)
    assert done.json["answered"][0]["state"] == "approved"
    assert scene.texts(2)  # and no third was sent


def test_an_operator_passes_a_carriers_word_on(scene: Scene) -> None:
    add(scene)
    done = scene.installation.json("sms", "distrust", "--account", "alice")
    assert done["numbers"] == 1
    time.sleep(1)
    challenge = scene.order()
    ended = scene.installation("approve", "--login", "alice", "--challenge", challenge, "--sms", "--json")
    assert ended.code != 0
    assert "authenticator app" in ended.err or "in a terminal" in ended.err
    waits = scene.owner.api("GET", "/v1/environments")["environments"]
    [futures] = [one for one in waits if one["environment"] == "futures"]
    assert futures["sms"]["usable_at"] > time.time() * 1000 + 23 * 3_600_000


def test_language_switch_and_removal_by_command(scene: Scene) -> None:
    add(scene)
    assert scene.installation.json("sms", "language", "zh", "--login", "alice") == {"language": "zh"}
    code = {"LEVERLOCK_CODE": scene.owner.code()}
    removed = scene.installation("sms", "remove", "futures", "--login", "alice", "--json", environment=code)
    assert removed.json == {"environment": "futures", "removed": True}
    assert scene.installation("sms", "remove", "futures", "--login", "alice").code == 1
    assert scene.texts(2)[1] == "Leverlock合约:本手机不再用于短信备用验证。非本人操作请立即联系客服。"


def test_settings_that_others_can_reach_refuse_the_file_of_codes(installation: Installation, tmp_path: Path) -> None:
    providers = json.dumps([{"name": "file", "kind": "file", "path": str(tmp_path / "sms.jsonl")}])
    risky = {"LEVERLOCK__SMS__ENABLED": "true", "LEVERLOCK__SMS__PROVIDERS": providers}
    risky["LEVERLOCK__SERVER__API_URL"] = "https://security.example.com"
    ended = installation("config", "check", environment=risky)
    assert ended.code != 0
    assert "codes in the open" in ended.err
    del risky["LEVERLOCK__SERVER__API_URL"]
    assert installation("config", "check", environment=risky).code == 0


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        ({"name": "x"}, "needs a url"),
        ({"name": "X!", "url": "https://a.example", "form": {"t": "{text}"}}, "lower-case"),
        ({"name": "x", "url": "http://a.example/send", "form": {"t": "{text}"}}, "https"),
        ({"name": "x", "url": "https://u:p@a.example/", "form": {"t": "{text}"}}, "without user or password"),
        ({"name": "x", "url": "https://a.example", "form": {"t": "hello"}}, "{text} stands nowhere"),
        ({"name": "x", "url": "https://a.example", "form": {"t": "{text}{code}"}}, "nothing is put in for code"),
        ({"name": "x", "url": "https://a.example", "form": {"t": "{text}"}, "json": {"a": 1}}, "not both"),
        ({"name": "x", "url": "https://a.example", "form": {"t": "{text}"}, "accepted": "("}, "no regular expression"),
        ({"name": "x", "url": "https://a.example", "form": {"t": "{text}"}, "timeout_seconds": 26}, "at most 25 s"),
        ({"name": "x", "url": "https://a.example", "form": {"t": "{text}"}, "surprise": 1}, "no such setting"),
    ],
)
def test_providers_that_could_not_work_are_refused_with_the_reason(
    installation: Installation, provider: dict[str, object], reason: str
) -> None:
    given = {"LEVERLOCK__SMS__ENABLED": "true", "LEVERLOCK__SMS__PROVIDERS": json.dumps([provider])}
    ended = installation("config", "check", environment=given)
    assert ended.code != 0
    assert reason in ended.err
    assert "sms.providers" in ended.err


def test_a_providers_secret_is_never_shown(installation: Installation) -> None:
    provider = {"name": "x", "url": "https://a.example", "form": {"t": "{text}"}, "secret": "hush-hush"}
    given = {"LEVERLOCK__SMS__ENABLED": "true", "LEVERLOCK__SMS__PROVIDERS": json.dumps([provider])}
    shown = installation("config", "show", "--json", environment=given)
    assert shown.code == 0
    assert "hush-hush" not in shown.out
    assert "(set, not shown)" in shown.out
