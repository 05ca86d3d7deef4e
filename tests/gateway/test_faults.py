"""A fault in any part denies, tells an id and nothing else, and the process lives on (B92); no secret shows (B85)."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.live import SYMBOL, Client, Live, Party, wait_for
from gateway.test_threshold import LEG
from leverlock import logs
from venue_process import PaperVenue

CANARY = "canary-7f3a"


class Fault(Exception):
    """What breaks; its words must not come out."""


def fails(*_: Any, **__: Any) -> Any:
    raise Fault(f"secret {CANARY}")


async def fails_later(*_: Any, **__: Any) -> Any:
    raise Fault(f"secret {CANARY}")


Break = Callable[[pytest.MonkeyPatch, Live], None]


def module(path: str, replacement: Any = fails) -> Break:
    return lambda patch, live: patch.setattr(f"leverlock.gateway.{path}", replacement)


def method(find: Callable[[Live], Any], name: str, replacement: Any = fails) -> Break:
    return lambda patch, live: patch.setattr(find(live), name, replacement)


BEFORE: dict[str, Break] = {
    "the path": module("app.canonical_path"),
    "the key": method(lambda live: live.snapshot, "key", fails_later),
    "the signer": module("callers.VenueAccount"),
    "the venue's clock": method(lambda live: live.venues, "now_ms", fails_later),
    "the signature": module("callers.verified_call"),
    "the replay cache": method(lambda live: live.gateway._callers, "_seen", None),
    "the reader": module("app.read"),
    "the lanes": method(lambda live: live.gateway._facts, "order"),
    "the facts": method(lambda live: live.gateway._facts, "asked_by_call"),
    "the judge": module("gate.decide"),
    "the metric": method(lambda live: live.meter, "decision"),
    "the store": method(lambda live: live.deployment.store, "run", fails_later),
    "the use case": module("gate.redeem_or_ask"),
    "the policy": lambda patch, live: patch.setitem(live.deployment.world.__dict__, "policy", fails),
}
AFTER: dict[str, Break] = {
    "the writer": module("app.write"),
    "the sender": module("app.forward", fails_later),
}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The product's own log."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    yield stream
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def approved(live: Live) -> tuple[Party, Client, str]:
    alice = live.party(leverage={SYMBOL: 75}, ring=True)
    bot = live.client(alice)
    challenge = bot.order(**LEG).challenge
    live.approve(alice, challenge)
    live.venue.clear_calls()
    return alice, bot, challenge


@pytest.mark.bar("B92")
@pytest.mark.parametrize("name", [*BEFORE, *AFTER])
def test_a_fault_says_an_id_and_nothing_else(
    live: Live, monkeypatch: pytest.MonkeyPatch, log: io.StringIO, name: str
) -> None:
    alice, bot, challenge = approved(live)
    with monkeypatch.context() as patch:
        (BEFORE | AFTER)[name](patch, live)
        answer = bot.order(**LEG)
    assert (answer.status, answer.code) == (500, -1000), answer
    assert set(answer.json) == {"code", "msg"}
    incident = answer.json["msg"].rpartition("incident=")[2]
    assert len(incident) == 16
    assert CANARY not in answer.body.decode()
    assert "Fault" not in answer.body.decode()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    [told] = [line for line in lines if line.get("exception")]
    [access] = [line for line in lines if line.get("correlation") == incident and line["event"] == "call"]
    assert (told["correlation"], access["status"]) == (incident, 500)
    assert live.executed() == []
    spent = live.state(alice, challenge) == "consumed"
    assert spent is (name in AFTER)
    # The process lives on, and what was not spent is still good.
    again = bot.order(**LEG)
    assert again.stepped_up if spent else again.status == 200, again


@pytest.mark.bar("B45")
@pytest.mark.bar("B92")
@pytest.mark.parametrize("name", ["the writer", "the sender"])
def test_a_fault_behind_a_spent_grant_is_recorded_and_told(
    live: Live, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    alice, bot, challenge = approved(live)
    with monkeypatch.context() as patch:
        AFTER[name](patch, live)
        assert bot.order(**LEG).status == 500
    [event] = [event for event in live.events(alice) if event["kind"] == "execution.unknown"]
    assert (event["challenge"], event["because"]) == (challenge, "fault")
    assert "execution.unknown" in [message["type"] for message in live.messages(alice)]


@pytest.mark.bar("B92")
@pytest.mark.parametrize("part", ["app.refusals.answer", "app.refusals.refusal", "gate.refusals.step_up"])
def test_a_fault_in_a_refusal_is_a_refusal(live: Live, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    alice = live.party(leverage={SYMBOL: 75})
    bot = live.client(alice)
    unknown = live.client(alice)
    with monkeypatch.context() as patch:
        patch.setattr(f"leverlock.gateway.{part}", fails)
        patch.setattr("leverlock.gateway.refusals.failure", live_failure(live))
        if part.endswith("answer"):
            broken = bot.call("POST", "/fapi/v1/order", {**LEG, "side": "?"})
        elif part.endswith("refusal"):
            broken = live.send("POST", "/fapi/v1/order", headers={"X-MBX-APIKEY": "lk" + "a" * 40})
        else:
            broken = bot.order()
    assert (broken.status, broken.code) == (500, -1000)
    assert CANARY not in broken.body.decode()
    assert unknown.order().stepped_up


def live_failure(live: Live) -> Callable[[str], Any]:
    from leverlock.gateway.refusals import Answer

    def failure(incident: str) -> Answer:
        text = json.dumps({"code": -1000, "msg": f"incident={incident}"})
        return Answer(500, ((b"content-type", b"application/json"),), text.encode())

    return failure


@pytest.mark.bar("B98")
def test_a_key_whose_venue_has_no_such_host_is_refused(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = live.party()
    bot = live.client(alice)
    assert bot.call("GET", "/sapi/v1/asset/transfer", {"type": "UMFUTURE_MAIN"}).status == 200
    [view] = [view for view in live.snapshot._keys.values() if view.key.key_id == bot.key_id]
    monkeypatch.delitem(view.upstream.base_urls, "sapi")  # type: ignore[arg-type]
    assert bot.call("GET", "/sapi/v1/asset/transfer", {"type": "UMFUTURE_MAIN"}).code == -40106


# -- secrets ---------------------------------------------------------------------------------------------------------
def forms(secret: bytes) -> list[bytes]:
    """A secret as somebody might have written it down."""
    return [
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        base64.b32encode(secret).rstrip(b"="),
        base64.b32encode(secret).rstrip(b"=").lower(),
        base64.b64encode(secret).rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
    ]


@pytest.mark.bar("B85")
def test_no_secret_is_in_a_log_an_answer_a_record_or_a_message(
    paper: PaperVenue, venue: PaperVenue, tmp_path: Path, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed, codes, our secret, the venue's secret and the grant, through every kind of ending a call has."""
    logging.getLogger().setLevel(logging.DEBUG)
    with Live(tmp_path, paper) as live:
        alice = live.party(leverage={SYMBOL: 75}, ring=True)
        bot, terminal = live.client(alice), live.client(alice, otp_allowed=True)
        owner = alice.owner
        answers = [bot.order(), bot.limit(), bot.order(side="?"), bot.order(**{"": "x"}), bot.call("GET", "/x")]
        code, wrong = owner.fresh_code(), owner.wrong_code()
        answers += [terminal.order(otp=wrong), bot.order(otp=code), terminal.order(otp=code)]
        used, code = code, owner.fresh_code()
        answers += [terminal.order(otp=used), bot.limit()]
        [approval] = owner.prove(answers[-1].challenge, code=code)
        with monkeypatch.context() as patch:
            patch.setattr("leverlock.gateway.app.forward", fails_later)
            answers.append(bot.limit())
        for fault in ({"cut": True}, {"status": 503, "code": -1}, {"when": "after", "cut": True}):
            live.venue.add_fault("/fapi/v1/order", method="POST", **fault)
            code = owner.fresh_code()
            answers.append(terminal.limit(otp=code))
        answers.append(live.send("POST", "/fapi/v1/order", bot.signed(LEG)[:-3], {"X-MBX-APIKEY": bot.key.api_key}))
        answers.append(bot.poll(answers[0].challenge))
        wait_for(lambda: "a call failed" in log.getvalue())
        records = live.deployment.read(lambda tx: tx.events(alice.account_id, after_seq=0, limit=1000))
        told = live.deployment.read(lambda tx: tx.due_messages(limit=1000))
        heads = [f"{name}: {value}".encode() for answer in answers for name, value in answer.headers.items()]
        said = {
            "log": log.getvalue().encode(),
            "answers": b"\n".join([answer.body for answer in answers] + heads),
            "records": b"\n".join(record.body for record in records),
            "messages": b"\n".join(message.body for message in told),
            "repr": repr([*live.snapshot._keys.values(), *live.gateway._callers._accounts.values()]).encode(),
            "received": json.dumps(live.venue.calls()).encode(),
        }
    assert [answer.status for answer in answers].count(500) == 1
    secrets = {
        "seed": next(iter(owner.seeds.values())),
        "our secret": bot.key.secret.encode(),
        "their secret": terminal.key.secret.encode(),
        "the venue's secret": alice.venue_key.secret.encode(),
        "the grant": approval.grant.removeprefix("gr_").encode(),
    }
    found = [
        (name, place)
        for name, secret in secrets.items()
        for place, text in said.items()
        for form in forms(secret)
        if form in text
    ]
    assert found == []
    # Six digits turn up by chance in ids and times; as a value or a parameter they do not.
    for place, text in said.items():
        for digits in (code, used, wrong):
            for frame in (f"otp={digits}", f'"{digits}"', f"code={digits}", f" {digits} ", f"'{digits}'"):
                assert frame.encode() not in text, (place, frame)
