"""What the acts on the ways back promise; entered into the contract beside the others."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any

from leverlock.domain.account import SessionState
from leverlock.domain.messages import Address, AddressState, Channel
from store.contract import ALICE, BOB, FUTURES, SPOT, Stage, act, session
from world import NOW_MS


def hashed(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def issued(stage: Stage, *codes: str, environment: Any = FUTURES) -> None:
    stage.act("enable_protection", ALICE, environment)
    stage.act("issue_recovery_codes", ALICE, environment, hashes=[hashed(code) for code in codes])


@act
def begin_recovery(stage: Stage) -> None:
    stage.act("insert_session", session(1, state=SessionState.LOGIN_CHALLENGE))
    stage.act("insert_session", session(2, state=SessionState.FULL))
    assert stage.act("begin_recovery", ALICE, "ses_1")
    assert not stage.act("begin_recovery", ALICE, "ses_1")
    assert not stage.act("complete_session", ALICE, "ses_1")  # the login challenge is not open any more
    assert not stage.act("begin_recovery", ALICE, "ses_2")
    assert not stage.act("begin_recovery", BOB, "ses_1")


@act
def issue_recovery_codes(stage: Stage) -> None:
    for environment in (FUTURES, SPOT):
        stage.act("enable_protection", ALICE, environment)
    assert stage.act("issue_recovery_codes", ALICE, FUTURES, hashes=[b"a" * 32, b"b" * 32]) == 1
    assert stage.act("issue_recovery_codes", ALICE, SPOT, hashes=[b"a" * 32]) == 1
    assert stage.act("issue_recovery_codes", ALICE, FUTURES, hashes=[b"c" * 32]) == 2
    with sqlite3.connect(stage.deployment.path) as raw:
        found = "SELECT environment, code_hash, generation FROM recovery_code ORDER BY environment"
        assert raw.execute(found).fetchall() == [("futures", b"c" * 32, 2), ("spot", b"a" * 32, 1)]


@act
def use_recovery_code(stage: Stage) -> None:
    issued(stage, "one", "two")
    assert not stage.act("use_recovery_code", ALICE, SPOT, code_hash=hashed("one"))
    assert not stage.act("use_recovery_code", BOB, FUTURES, code_hash=hashed("one"))
    assert stage.act("use_recovery_code", ALICE, FUTURES, code_hash=hashed("one"))
    assert not stage.act("use_recovery_code", ALICE, FUTURES, code_hash=hashed("one"))
    issued(stage, "three")
    with sqlite3.connect(stage.deployment.path) as raw:  # a row of an older set is pasted back
        raw.execute("INSERT INTO recovery_code VALUES (?, 'futures', ?, 1)", (ALICE, hashed("two")))
    assert not stage.act("use_recovery_code", ALICE, FUTURES, code_hash=hashed("two"))
    assert stage.act("use_recovery_code", ALICE, FUTURES, code_hash=hashed("three"))


@act
def drop_recovery_codes(stage: Stage) -> None:
    issued(stage, "a", "b")
    issued(stage, "a", environment=SPOT)
    assert stage.act("drop_recovery_codes", ALICE, FUTURES) == 2
    assert stage.act("recovery_codes_left", ALICE) == {SPOT: 1}


@act
def recovery_codes_left(stage: Stage) -> None:
    assert stage.act("recovery_codes_left", ALICE) == {}
    issued(stage, "a", "b")
    assert stage.act("recovery_codes_left", ALICE) == {FUTURES: 2}
    assert stage.act("recovery_codes_left", BOB) == {}


def granted(stage: Stage, session_id: str = "ses_1") -> None:
    stage.act("grant_enrolment", ALICE, session_id, FUTURES, expires_at=NOW_MS + 10)


@act
def grant_enrolment(stage: Stage) -> None:
    granted(stage)
    stage.act("grant_enrolment", ALICE, "ses_1", FUTURES, expires_at=NOW_MS + 20)
    assert stage.act("enrolment_right", ALICE, "ses_1", FUTURES) == NOW_MS + 20


@act
def enrolment_right(stage: Stage) -> None:
    granted(stage)
    assert stage.act("enrolment_right", ALICE, "ses_1", FUTURES) == NOW_MS + 10
    assert stage.act("enrolment_right", ALICE, "ses_2", FUTURES) is None
    assert stage.act("enrolment_right", ALICE, "ses_1", SPOT) is None
    assert stage.act("enrolment_right", BOB, "ses_1", FUTURES) is None
    stage.clock.tick(10)
    assert stage.act("enrolment_right", ALICE, "ses_1", FUTURES) is None


@act
def drop_enrolment_rights(stage: Stage) -> None:
    granted(stage, "ses_1")
    granted(stage, "ses_2")
    assert stage.act("drop_enrolment_rights", ALICE, SPOT) == 0
    assert stage.act("drop_enrolment_rights", ALICE, FUTURES) == 2
    assert stage.act("enrolment_right", ALICE, "ses_1", FUTURES) is None


@act
def insert_reset_link(stage: Stage) -> None:
    stage.act("insert_reset_link", ALICE, token_hash=hashed("t"), expires_at=NOW_MS + 10)
    assert stage.act("reset_links_since", ALICE, since=NOW_MS - 1) == 1


@act
def reset_links_since(stage: Stage) -> None:
    for text in ("t", "u"):
        stage.act("insert_reset_link", ALICE, token_hash=hashed(text), expires_at=NOW_MS + 10)
        stage.clock.tick(5)
    assert stage.act("reset_links_since", ALICE, since=NOW_MS - 1) == 2
    assert stage.act("reset_links_since", ALICE, since=NOW_MS) == 1
    assert stage.act("reset_links_since", BOB, since=0) == 0


@act
def open_reset_link(stage: Stage) -> None:
    for text in ("t", "late"):
        stage.act("insert_reset_link", ALICE, token_hash=hashed(text), expires_at=NOW_MS + 10)
    assert not stage.act("open_reset_link", BOB, token_hash=hashed("t"))
    assert stage.act("open_reset_link", ALICE, token_hash=hashed("t"))
    assert not stage.act("open_reset_link", ALICE, token_hash=hashed("t"))
    stage.clock.tick(10)
    assert not stage.act("open_reset_link", ALICE, token_hash=hashed("late"))


@act
def void_reset_links(stage: Stage) -> None:
    for text in ("t", "u"):
        stage.act("insert_reset_link", ALICE, token_hash=hashed(text), expires_at=NOW_MS + 10)
    assert stage.act("void_reset_links", ALICE) == 2
    assert not stage.act("open_reset_link", ALICE, token_hash=hashed("u"))


def mail(number: int = 1, *, state: AddressState = AddressState.SERVING, until: int = 0) -> Address:
    return Address(ALICE, f"adr_{number}", Channel.EMAIL, f"{number}@example.com", state, until)


@act
def addresses(stage: Stage) -> None:
    leaving = mail(2, state=AddressState.LEAVING, until=NOW_MS + 10)
    for made in (mail(), leaving):
        stage.act("set_address", made)
    assert stage.act("addresses", ALICE) == [mail(), leaving]
    assert stage.act("addresses", BOB) == []
    stage.clock.tick(10)
    assert stage.act("addresses", ALICE) == [mail()]


@act
def set_address(stage: Stage) -> None:
    assert stage.act("set_address", mail())
    assert not stage.act("set_address", Address(ALICE, "adr_9", Channel.EMAIL, "1@example.com"))
    named = mail(2, state=AddressState.NAMED, until=NOW_MS + 10)
    assert stage.act("set_address", named, code_hash=hashed("first"))
    again = Address(ALICE, "adr_3", Channel.EMAIL, "2@example.com", AddressState.NAMED, NOW_MS + 10)
    assert stage.act("set_address", again, code_hash=hashed("second"))  # what was only named makes room
    assert stage.act("addresses", ALICE) == [mail(), again]


@act
def serve_address(stage: Stage) -> None:
    stage.act("set_address", mail(state=AddressState.NAMED, until=NOW_MS + 10), code_hash=hashed("code"))
    assert not stage.act("serve_address", ALICE, "adr_1", code_hash=hashed("other"))
    assert not stage.act("serve_address", BOB, "adr_1", code_hash=hashed("code"))
    assert stage.act("serve_address", ALICE, "adr_1", code_hash=hashed("code"))
    assert not stage.act("serve_address", ALICE, "adr_1", code_hash=hashed("code"))
    assert stage.act("addresses", ALICE) == [mail()]
    stage.act("set_address", mail(2, state=AddressState.NAMED, until=NOW_MS + 10), code_hash=hashed("late"))
    stage.clock.tick(10)
    assert not stage.act("serve_address", ALICE, "adr_2", code_hash=hashed("late"))


@act
def retire_address(stage: Stage) -> None:
    stage.act("set_address", mail())
    assert not stage.act("retire_address", BOB, "adr_1", until=NOW_MS + 10)
    assert stage.act("retire_address", ALICE, "adr_1", until=NOW_MS + 10)
    assert not stage.act("retire_address", ALICE, "adr_1", until=NOW_MS + 99)
    assert stage.act("addresses", ALICE) == [mail(state=AddressState.LEAVING, until=NOW_MS + 10)]
