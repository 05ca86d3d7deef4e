"""No value can forge, break or hide a record: N events in, N records out, each valid JSON on its own line (B91)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import rfc8785

from leverlock.app.trail import record_line, verify_account
from leverlock.domain.audit import AuditEvent, ChainedEvent, EventKind, link
from leverlock.domain.errors import Reason, Refused
from world import Deployment, refused

HOSTILE = {
    "crlf": 'x\r\n{"kind":"challenge.approved"}\r\n',
    "newlines": "a\nb\rc\x0bd\x0ce\x85f\u2028g\u2029h",
    "ansi": "\x1b[2J\x1b[31mapproved\x1b[0m\x9b1A",
    "bidi": "\u202eevorppa\u202c\u2066\u2069\u200f",
    "nul": "\x00\x01\x7f",
    "quotes": '"}],"kind":"x\\"\\',
    "megabyte": "A" * 1_000_000,
    "megabyte of escapes": "\x1b" * 200_000,
    "emoji and private use": "\U0001f600\ue000\ufeff",
    "lone surrogate": "a\ud800b",
    "surrogate in a name": {"\udfff": 1},
    "great number": 2**64,
    "negative great number": -(2**60),
    "not a number": float("nan"),
    "infinite": float("-inf"),
    "nested": [[{"x": ["\ud83d", 2**53]}]],
}


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment.create(tmp_path) as made:
        yield made


def records(deployment: Deployment, account_id: str) -> list[ChainedEvent]:
    return deployment.read(lambda tx: tx.events(account_id, after_seq=0, limit=1000))


def recorded(deployment: Deployment, account_id: str, *events: AuditEvent) -> None:
    def use_case(tx: object) -> None:
        tx.lock_account(account_id)  # type: ignore[attr-defined]
        for event in events:
            tx.record(event)  # type: ignore[attr-defined]

    deployment.run(use_case)


@pytest.mark.bar("B91")
def test_as_many_lines_come_out_as_records_went_in(deployment: Deployment) -> None:
    account = deployment.owner().account_id
    before = len(records(deployment, account))
    events = [AuditEvent(EventKind.ACTION_REFUSED, str(name), {"value": value}) for name, value in HOSTILE.items()]
    recorded(deployment, account, *events)
    stored = records(deployment, account)[before:]
    text = "".join(record_line(record) + "\n" for record in stored)
    assert text.isascii()
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    lines = text.splitlines()
    assert len(lines) == len(HOSTILE)
    for name, line in zip(HOSTILE, lines, strict=True):
        document = json.loads(line)["record"]
        assert document["principal"] == name
        assert document["kind"] == "action.refused"
        assert set(document) == {"version", "account", "seq", "at", "kind", "principal", "details"}
    count, findings = deployment.read(lambda tx: verify_account(tx, account_id=account))
    assert (count, findings) == (before + len(HOSTILE), [])


@pytest.mark.bar("B91")
@pytest.mark.parametrize("name", ["crlf", "newlines", "ansi", "bidi", "nul", "quotes", "megabyte"])
def test_what_json_can_say_is_recorded_as_it_was(deployment: Deployment, name: str) -> None:
    account = deployment.owner().account_id
    recorded(deployment, account, AuditEvent(EventKind.ACTION_REFUSED, "p", {"value": HOSTILE[name]}))
    last = records(deployment, account)[-1]
    assert json.loads(record_line(last))["record"]["details"]["value"] == HOSTILE[name]


@pytest.mark.bar("B91")
def test_what_json_cannot_say_is_written_out_and_stays_distinct(deployment: Deployment) -> None:
    account = deployment.owner().account_id
    details = {"one": "\ud800", "other": "\udbff", "number": 2**64, "nan": float("nan"), "safe": 2**53 - 1}
    recorded(deployment, account, AuditEvent(EventKind.ACTION_REFUSED, "p\ud800", details))
    document = json.loads(records(deployment, account)[-1].body)
    assert document["principal"] == "p\\ud800"
    assert document["details"] == {
        "one": "\\ud800",
        "other": "\\udbff",
        "number": "18446744073709551616",
        "nan": "nan",
        "safe": 2**53 - 1,
    }


@pytest.mark.bar("B91")
def test_a_line_can_be_checked_by_who_has_only_the_lines(deployment: Deployment) -> None:
    """The hash of a line follows from the line before it and RFC 8785; nothing of ours is needed."""
    account = deployment.owner().account_id
    recorded(deployment, account, *(AuditEvent(EventKind.ACTION_REFUSED, "p", {"v": v}) for v in HOSTILE.values()))
    head = bytes(32)
    for line in map(record_line, records(deployment, account)):
        document = json.loads(line)
        head = link(head, rfc8785.dumps(document["record"]))
        assert document["hash"] == head.hex()


@pytest.mark.bar("B91")
def test_a_refusal_over_a_hostile_value_is_recorded_and_harms_nobody_else(deployment: Deployment) -> None:
    """One commit carries many callers: a value of one that broke its record would refuse them all."""
    mallory, alice = deployment.owner("mallory"), deployment.owner("alice")

    def attack(tx: object) -> None:
        tx.lock_account(mallory.account_id)  # type: ignore[attr-defined]
        tx.if_refused(EventKind.ANSWER_REFUSED, "p", challenges=["\ud800" * 64])  # type: ignore[attr-defined]
        raise Refused(Reason.UNKNOWN_ID)

    def harmless(tx: object) -> int:
        tx.lock_account(alice.account_id)  # type: ignore[attr-defined]
        tx.record(AuditEvent(EventKind.SESSION_ENDED, "p"))  # type: ignore[attr-defined]
        return 1

    async def together() -> list[object]:
        jobs = [deployment.store.run(attack if n % 2 else harmless) for n in range(20)]
        return list(await asyncio.gather(*jobs, return_exceptions=True))

    outcomes = asyncio.run(together())
    assert outcomes[::2] == [1] * 10
    assert all(isinstance(o, Refused) and o.reason is Reason.UNKNOWN_ID for o in outcomes[1::2])
    kinds = [record.kind for record in records(deployment, mallory.account_id)]
    assert kinds.count(EventKind.ANSWER_REFUSED) == 10


@pytest.mark.bar("B91")
def test_an_answer_to_a_challenge_with_a_hostile_name_is_refused_and_recorded(deployment: Deployment) -> None:
    alice = deployment.owner()
    before = len(records(deployment, alice.account_id))
    with refused(Reason.UNKNOWN_ID):
        alice.prove("ch_\r\n\x1b[2J\u202e" + "x" * 1_000_000, code="123456")
    [record] = records(deployment, alice.account_id)[before:]
    assert record.kind is EventKind.ANSWER_REFUSED
    assert len(record.body) < 1_000
    assert len(record_line(record).splitlines()) == 1
