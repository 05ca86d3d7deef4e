"""What the owner reads: the whole action, when it ends, a link; and no value that poses as our own text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from leverlock.domain.environment import Environment
from leverlock.domain.messages import Channel, Message
from leverlock.messengers.letters import MAX_SUBJECT, letter
from world import NOW_MS, Deployment, order

from .delivering import reach, waiting

HOSTILE = "BTC\r\nBcc: thief@example.com\n\x1b[2J\x1b[31m\u202eevil\u2028line\u0085next\x00\ufeff"


def message(body: dict[str, object], kind: str = "challenge.waiting") -> Message:
    document = json.dumps({"type": kind, **body}).encode()
    return Message("acc_x", "msg_x", Channel.EMAIL, "a@b.example", kind, document, NOW_MS, NOW_MS + 300_000)


def test_a_waiting_order_is_told_whole(deployment: Deployment) -> None:
    alice = deployment.owner(enrolled=[Environment.FUTURES])
    reach(alice, Channel.EMAIL, "alice@example.com")
    challenge = alice.asked(order(leverage=75, quantity="1.5", type="LIMIT", price="60000.5", time_in_force="GTC"))
    [ring] = [found for found in waiting(deployment) if found.kind == "challenge.waiting"]
    written = letter(ring, issuer="Leverlock")
    assert written.subject == "Leverlock: approve? buy 1.5 BTCUSDT limit at 60000.5 on 75x"
    bound = json.loads(challenge.intent)["fields"]
    assert len(bound) == 6
    for name, value in bound.items():
        assert f"  {name.replace('_', ' ')}: {value}\n" in written.text
    assert "leverage at the venue: 75\n" in written.text
    assert f"asked by: {alice.principal}\n" in written.text
    assert f"/approve/{challenge.challenge_id}\n" in written.text
    assert "UTC\n" in written.text.split("expires: ")[1][:30]


def test_the_expiry_is_utc_to_the_second() -> None:
    body: dict[str, object] = {
        "headline": "h",
        "lines": [],
        "asked_by": "key:k",
        "expires_at": 1_767_225_999_999,
        "url": "https://l.example/a",
    }
    assert "  expires: 2026-01-01 00:06:39 UTC\n" in letter(message(body), issuer="L").text


@pytest.mark.bar("B91")
def test_no_value_can_break_out_of_its_line() -> None:
    body: dict[str, object] = {
        "headline": HOSTILE,
        "lines": [["symbol", HOSTILE], [HOSTILE, "x"]],
        "asked_by": HOSTILE,
        "expires_at": NOW_MS,
        "url": HOSTILE,
    }
    plain = {name: "x" if isinstance(value, str) else value for name, value in body.items()}
    plain["lines"] = [["symbol", "x"], ["x", "x"]]
    written, harmless = letter(message(body), issuer="L"), letter(message(plain), issuer="L")
    assert len(written.text.splitlines()) == len(harmless.text.splitlines())
    assert len(written.subject.splitlines()) == 1
    for hidden in "\r\x1b\x00\u202e\u2028\u0085\ufeff":
        assert hidden not in written.text + written.subject


def test_a_long_headline_is_cut_in_the_subject_only() -> None:
    body: dict[str, object] = {
        "headline": "h" * 500,
        "lines": [],
        "asked_by": "k",
        "expires_at": NOW_MS,
        "url": "https://l.example/a",
    }
    written = letter(message(body), issuer="L")
    assert len(written.subject) == MAX_SUBJECT
    assert "h" * 500 in written.text


def test_a_notice_of_a_kind_nobody_worded_is_told_with_all_it_says() -> None:
    told = letter(message({"at": NOW_MS, "number_tail": "1234"}, kind="sms.number_changed"), issuer="L")
    assert told.subject == "L: sms number changed"
    assert "  when: 2026-01-01 00:00:15 UTC\n" in told.text
    assert "  number tail: 1234\n" in told.text


def test_every_retry_reads_the_same() -> None:
    notice = message({"at": NOW_MS, "key": "key_1"}, kind="key.created")
    assert letter(notice, issuer="L") == letter(replace(notice, attempts=7), issuer="L")
