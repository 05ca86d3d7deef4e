"""The audit chain: what was edited, deleted, reordered or cut off is found, and no value forges a record (B90, B91)."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from leverlock.domain.audit import GENESIS, AuditEvent, ChainedEvent, EventKind, chain, link, merkle_root

ACCOUNT = "ac_aaaaaaaaaaaaaaaaaaaaaaaaaa"


def written(events: Sequence[AuditEvent], account_id: str = ACCOUNT) -> list[ChainedEvent]:
    """The events as a store writes them, one chain."""
    records: list[ChainedEvent] = []
    for seq, event in enumerate(events, start=1):
        previous = records[-1].hash if records else GENESIS
        records.append(chain(event, account_id=account_id, seq=seq, at_ms=1_000 * seq, previous=previous))
    return records


@functools.lru_cache(maxsize=4_096)
def said(body: bytes) -> tuple[int, int, str, str]:
    """What a record's own bytes say of its place, its time, its kind and its account."""
    read = json.loads(body)
    return read["seq"], read["at"], read["kind"], read["account"]


def fault(records: Sequence[ChainedEvent], checkpoint: bytes | None = None) -> int | None:
    """What a third party finds with SHA-256 and the description of the form alone: the first place that does not hold.

    One past the last record means that the chain holds and does not end where the checkpoint says.
    """
    previous = bytes(32)
    for place, record in enumerate(records, start=1):
        holds = (
            record.hash == hashlib.sha256(b"leverlock-audit-1\0" + previous + record.body).digest()
            and said(record.body) == (place, record.at_ms, record.kind, ACCOUNT)
            and (record.seq, record.account_id) == (place, ACCOUNT)
        )
        if not holds:
            return place
        previous = record.hash
    if checkpoint is not None and merkle_root([(ACCOUNT, len(records), previous)]) != checkpoint:
        return len(records) + 1
    return None


EVENTS = [
    AuditEvent(random.Random(n).choice(list(EventKind)), f"key:{n % 7}", {"n": str(n), "amount": "1.5", "legs": [n]})
    for n in range(1_000)
]
RECORDS = written(EVENTS)
CHECKPOINT = merkle_root([(ACCOUNT, len(RECORDS), RECORDS[-1].hash)])


# --- the chain --------------------------------------------------------------------------------------------------------


def test_the_bytes_of_version_1_are_pinned() -> None:
    event = AuditEvent(EventKind.GRANT_SPENT, "key:k", {"challenge": "ch", "leverage": "75", "symbol": "这是测试币456"})
    record = chain(event, account_id="ac", seq=2, at_ms=1_700_000_000_000, previous=bytes(range(32)))
    body = (
        '{"account":"ac","at":1700000000000,"details":{"challenge":"ch","leverage":"75","symbol":"这是测试币456"},'
        '"kind":"grant.spent","principal":"key:k","seq":2,"version":1}'
    ).encode()
    assert record.body == body
    assert record.hash == hashlib.sha256(b"leverlock-audit-1\0" + bytes(range(32)) + body).digest()
    assert record.hash == link(bytes(range(32)), body)
    assert bytes(32) == GENESIS


@pytest.mark.bar("B90")
def test_an_untouched_chain_holds() -> None:
    assert fault(RECORDS, CHECKPOINT) is None
    assert len({record.hash for record in RECORDS}) == len(RECORDS)


@pytest.mark.bar("B90")
def test_an_edit_of_any_record_is_found() -> None:
    """One character of each of 1,000 records; then the same with the record's own hash made to fit."""
    for place, record in enumerate(RECORDS, start=1):
        forged = record.body.replace(b'"amount":"1.5"', b'"amount":"9.5"')
        assert forged != record.body
        assert fault([*RECORDS[: place - 1], replace(record, body=forged), *RECORDS[place:]]) == place
        previous = RECORDS[place - 2].hash if place > 1 else GENESIS
        fitted = replace(record, body=forged, hash=link(previous, forged))
        assert fault([*RECORDS[: place - 1], fitted, *RECORDS[place:]], CHECKPOINT) == place + 1


@pytest.mark.bar("B90")
def test_a_deletion_of_any_record_is_found() -> None:
    for place in range(1, len(RECORDS) + 1):
        assert fault([*RECORDS[: place - 1], *RECORDS[place:]], CHECKPOINT) == place


@pytest.mark.bar("B90")
def test_an_exchange_of_any_two_neighbours_is_found() -> None:
    for place in range(1, len(RECORDS)):
        swapped = list(RECORDS)
        swapped[place - 1], swapped[place] = swapped[place], swapped[place - 1]
        assert fault(swapped) == place


@pytest.mark.bar("B90")
def test_a_tail_cut_off_anywhere_is_found_by_the_checkpoint() -> None:
    """The chain itself cannot know that it is short: that is what checkpoints are for."""
    for kept in range(len(RECORDS)):
        assert fault(RECORDS[:kept]) is None
        assert fault(RECORDS[:kept], CHECKPOINT) == kept + 1


@pytest.mark.bar("B90")
def test_a_chain_rewritten_from_any_record_on_is_found_by_the_checkpoint() -> None:
    for place in range(0, len(RECORDS), 97):
        events = list(EVENTS)
        events[place] = AuditEvent(EventKind.CHALLENGE_APPROVED, "session:thief", {})
        forged = written(events)
        assert fault(forged) is None
        assert fault(forged, CHECKPOINT) == len(forged) + 1


@pytest.mark.bar("B90")
def test_a_record_of_another_account_does_not_fit() -> None:
    foreign = written(EVENTS[:10], "ac_bbbbbbbbbbbbbbbbbbbbbbbbbb")
    assert fault([*RECORDS[:9], foreign[9], *RECORDS[10:]]) == 10


# --- checkpoints ------------------------------------------------------------------------------------------------------


def heads(count: int) -> list[tuple[str, int, bytes]]:
    return [(f"ac{n}", n + 1, hashlib.sha256(str(n).encode()).digest()) for n in range(count)]


@pytest.mark.bar("B90")
def test_the_root_is_the_tree_written_out() -> None:
    def leaf(account: str, seq: int, head: bytes) -> bytes:
        return hashlib.sha256(b"\x00" + account.encode() + b"\x00" + seq.to_bytes(8, "big") + head).digest()

    def node(left: bytes, right: bytes) -> bytes:
        return hashlib.sha256(b"\x01" + left + right).digest()

    a, b, c, d, e = (leaf(*head) for head in heads(5))
    roots = [merkle_root(heads(count)) for count in range(6)]
    assert roots[0] == hashlib.sha256(b"\x02").digest()
    assert roots[1:4] == [a, node(a, b), node(node(a, b), c)]
    assert roots[4:] == [node(node(a, b), node(c, d)), node(node(node(a, b), node(c, d)), e)]


@pytest.mark.bar("B90")
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 33])
def test_every_leaf_counts_with_all_its_parts(count: int) -> None:
    original, root = heads(count), merkle_root(heads(count))
    for place, (account, seq, head) in enumerate(original):
        changes = [
            ("other", seq, head),
            (account, seq + 1, head),
            (account, seq, bytes(32)),
            (account + "\0", seq, head),
        ]
        for changed in changes:
            assert merkle_root([*original[:place], changed, *original[place + 1 :]]) != root
        assert merkle_root(original[:place] + original[place + 1 :]) != root
        assert merkle_root([*original[: place + 1], original[place], *original[place + 1 :]]) != root
    for left, right in itertools.pairwise(range(count)):
        swapped = list(original)
        swapped[left], swapped[right] = swapped[right], swapped[left]
        assert merkle_root(swapped) != root


@pytest.mark.bar("B90")
def test_roots_of_different_sizes_differ() -> None:
    """Also where a list ends in a repetition, which trees that pad with the last leaf cannot tell."""
    roots = [merkle_root(heads(count)) for count in range(70)]
    padded = [merkle_root([*heads(count), heads(count)[-1]]) for count in range(1, 70)]
    assert len(set(roots) | set(padded)) == len(roots) + len(padded)


# --- hostile values ---------------------------------------------------------------------------------------------------

FORGED = '{"account":"ac","at":1,"details":{},"kind":"grant.spent","principal":"x","seq":3,"version":1}'
HOSTILE = {
    "CRLF and a record": f"x\r\n{FORGED}\r\n",
    "LF and a record": f"x\n{FORGED}",
    "the end of the string and a record": f'"}}}}\n{FORGED}',
    "ANSI colours and cursor": "\x1b[2K\x1b[1A\x1b[32mapproved\x1b[0m",
    "C1 controls": "\x9b31m\x85",
    "bidirectional override": "\u202eevorppa\u202c\u2066\u2069",
    "NUL and the other controls": "".join(map(chr, range(32))),
    "backslashes": "\\\\n\\u000a\\",
    "a megabyte": "A" * 2**20,
    "a megabyte of line ends": "\r\n" * 2**19,
    "beyond the basic plane": "🪙" * 1_000,
    "line separators": "\u2028\u2029\u0085",
}


@pytest.mark.bar("B91")
@pytest.mark.parametrize("value", HOSTILE.values(), ids=list(HOSTILE))
def test_no_value_forges_or_breaks_a_record(value: str) -> None:
    """N events in, N lines out, each one JSON object that says what was put in."""
    places = [
        AuditEvent(EventKind.ANSWER_REFUSED, "key:k", {"detail": value}),
        AuditEvent(EventKind.ANSWER_REFUSED, "key:k", {value: "as a key"}),
        AuditEvent(EventKind.ANSWER_REFUSED, value, {"list": [value, {"deep": value}]}),
    ]
    records = written([EVENTS[0], *places, EVENTS[1]])
    file = b"".join(record.body + b"\n" for record in records)
    lines = file.split(b"\n")[:-1]
    assert len(lines) == len(file.splitlines()) == len(records) == 5
    for seq, (line, event) in enumerate(zip(lines, [EVENTS[0], *places, EVENTS[1]], strict=True), start=1):
        read = json.loads(line)
        assert (read["seq"], read["kind"], read["principal"]) == (seq, event.kind.value, event.principal)
        assert read["details"] == event.details
        assert not any(byte < 0x20 for byte in line), "a raw control character"
    assert fault(records) is None


@pytest.mark.bar("B91")
@pytest.mark.parametrize(
    ("value", "written_out"),
    [
        ("a\ud800b", "a\\ud800b"),
        (["\udfff", ("x",)], ["\\udfff", ["x"]]),
        ({"\ud83d": {"deep": "\udc00"}}, {"\\ud83d": {"deep": "\\udc00"}}),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**53, "9007199254740992"),
        (-(2**70), "-1180591620717411303424"),
    ],
    ids=repr,
)
def test_what_json_has_no_form_for_is_written_out(value: object, written_out: object) -> None:
    """A caller can send such a value, and must not keep the refusal from being recorded by it."""
    (record,) = written([AuditEvent(EventKind.ANSWER_REFUSED, "key:k", {"value": value, "other": 1})])
    assert json.loads(record.body)["details"] == {"value": written_out, "other": 1}
    assert b"\n" not in record.body
    assert fault([record]) is None


@pytest.mark.bar("B91")
@pytest.mark.parametrize("value", [b"bytes", {1: "a"}, object()], ids=["bytes", "a key that is no text", "an object"])
def test_what_only_a_mistake_of_ours_can_put_there_is_never_half_written(value: object) -> None:
    """The use case fails, and with it what it wanted to do: no audit, no approval (B89)."""
    with pytest.raises(ValueError):
        chain(AuditEvent(EventKind.ANSWER_REFUSED, "k", {"a": value}), account_id="a", seq=1, at_ms=1, previous=GENESIS)


def test_every_kind_of_event_has_a_word_of_its_own() -> None:
    words = [kind.value for kind in EventKind]
    assert len(set(words)) == len(words)
    assert all(word.replace("_", "").replace(".", "", 1).isalpha() and word.islower() for word in words)
