"""What the acts on security keys, ceremonies and the aftermath of refusals promise, on whatever engine is given."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from leverlock.domain.attempts import AccountBudget
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.security_key import Ceremony, Purpose, SecurityKey, SecurityKeyState
from leverlock.ports import Charge, Transaction
from leverlock.ports_security_keys import Signed
from store.contract import ALICE, BOB, Stage, act
from world import NOW_MS

ACTIVE, SUSPENDED, REMOVED = SecurityKeyState.ACTIVE, SecurityKeyState.SUSPENDED, SecurityKeyState.REMOVED


def key(number: int = 1, *, account: str = ALICE, count: int = 5) -> SecurityKey:
    return SecurityKey(
        account,
        f"sk_{number}",
        b"credential" + bytes([number]),
        b"public",
        count,
        synced=True,
        label="blue",
        transports=("nfc", "usb"),
        created_at=NOW_MS + number,
        serves_movements_at=NOW_MS + number + 10,
    )


def ceremony(purpose: Purpose = Purpose.LOGIN, subject: str = "", challenge: bytes = bytes(32)) -> Ceremony:
    return Ceremony(ALICE, "ses_1", purpose, subject, challenge, NOW_MS + 10, "blue")


def stored(stage: Stage, key_id: str = "sk_1") -> SecurityKey:
    found = stage.read(lambda tx: tx.security_key(ALICE, key_id))
    assert found is not None
    return found


@act
def insert_security_key(stage: Stage) -> None:
    assert stage.act("insert_security_key", key())
    assert stored(stage) == key()
    again = replace(key(2), credential_id=key().credential_id)
    assert not stage.act("insert_security_key", again)
    assert not stage.act("insert_security_key", replace(again, account_id=BOB))
    assert stage.act("set_security_key_state", key(), to=REMOVED)
    assert not stage.act("insert_security_key", replace(again, account_id=BOB))  # removed, and known for ever


@act
def security_key(stage: Stage) -> None:
    stage.act("insert_security_key", key())
    assert stage.read(lambda tx: tx.security_key(BOB, "sk_1")) is None
    assert stage.read(lambda tx: tx.security_key(ALICE, "sk_2")) is None


@act
def security_keys(stage: Stage) -> None:
    for number in (3, 1, 2):
        stage.act("insert_security_key", key(number))
    stage.act("insert_security_key", key(4, account=BOB))
    stage.act("set_security_key_state", key(2), to=REMOVED)
    stage.act("set_security_key_state", key(3), to=SUSPENDED)
    found = stage.read(lambda tx: tx.security_keys(ALICE))
    assert [(one.key_id, one.state) for one in found] == [("sk_1", ACTIVE), ("sk_3", SUSPENDED)]


@act
def rename_security_key(stage: Stage) -> None:
    stage.act("insert_security_key", key())
    assert stage.act("rename_security_key", ALICE, "sk_1", label="green")
    assert stored(stage).label == "green"
    assert not stage.act("rename_security_key", BOB, "sk_1", label="red")
    stage.act("set_security_key_state", key(), to=REMOVED)
    assert not stage.act("rename_security_key", ALICE, "sk_1", label="red")


@act
def key_signed(stage: Stage) -> None:
    stage.act("insert_security_key", key(count=5))
    for given, taken in ((5, False), (4, False), (0, False), (7, True), (6, False), (7, False), (8, True)):
        assert stage.act("key_signed", Signed(key(), given)) is taken, given
    assert (stored(stage).sign_count, stored(stage).last_used_at) == (8, NOW_MS)
    stage.act("insert_security_key", key(2, count=0))
    assert stage.act("key_signed", Signed(key(2), 0))
    assert stage.act("key_signed", Signed(key(2), 0))
    assert stage.act("key_signed", Signed(key(2), 3))
    assert not stage.act("key_signed", Signed(key(2), 0))
    stage.act("set_security_key_state", key(2), to=REMOVED)
    assert not stage.act("key_signed", Signed(key(2), 9))


@act
def set_security_key_state(stage: Stage) -> None:
    stage.act("insert_security_key", key())
    assert not stage.act("set_security_key_state", replace(key(), state=SUSPENDED), to=REMOVED)
    assert stage.act("set_security_key_state", key(), to=SUSPENDED)
    assert not stage.act("set_security_key_state", key(), to=REMOVED)  # it is not what it was when it was read
    assert stage.act("set_security_key_state", stored(stage), to=REMOVED)
    assert stored(stage).state is REMOVED


@act
def open_ceremony(stage: Stage) -> None:
    stage.act("open_ceremony", ceremony(challenge=b"a" * 32))
    stage.act("open_ceremony", ceremony(challenge=b"b" * 32))
    stage.act("open_ceremony", ceremony(Purpose.MOVEMENT, "ch_1", b"c" * 64))
    stage.act("open_ceremony", ceremony(Purpose.MOVEMENT, "ch_2", b"d" * 64))
    assert stage.act("take_ceremony", ALICE, "ses_1", Purpose.LOGIN) == ceremony(challenge=b"b" * 32)
    taken = stage.act("take_ceremony", ALICE, "ses_1", Purpose.MOVEMENT, "ch_1")
    assert taken == ceremony(Purpose.MOVEMENT, "ch_1", b"c" * 64)
    assert stage.act("take_ceremony", ALICE, "ses_1", Purpose.MOVEMENT, "ch_2") is not None


@act
def take_ceremony(stage: Stage) -> None:
    """Once, by its own session, purpose and subject; in time; and also when the use case raises (B23)."""
    stage.act("open_ceremony", ceremony())
    for other in ((BOB, "ses_1", Purpose.LOGIN), (ALICE, "ses_2", Purpose.LOGIN), (ALICE, "ses_1", Purpose.REGISTER)):
        assert stage.act("take_ceremony", *other) is None
    assert stage.act("take_ceremony", ALICE, "ses_1", Purpose.LOGIN, "ch_1") is None

    def refuse(tx: Transaction) -> None:
        tx.lock_account(ALICE)
        assert tx.take_ceremony(ALICE, "ses_1", Purpose.LOGIN) == ceremony()
        assert tx.take_ceremony(ALICE, "ses_1", Purpose.LOGIN) is None
        raise Refused(Reason.WRONG_CODE)

    with pytest.raises(Refused):
        stage.run(refuse)
    assert stage.act("take_ceremony", ALICE, "ses_1", Purpose.LOGIN) is None
    stage.act("open_ceremony", ceremony())
    stage.clock.tick(10)
    assert stage.act("take_ceremony", ALICE, "ses_1", Purpose.LOGIN) is None
    stage.act("open_ceremony", replace(ceremony(), session_id="ses_9"))
    assert stage.act("prune", limit=10) == 0
    stage.clock.tick(1)
    assert stage.act("prune", limit=10) == 1


def last(stage: Stage) -> dict[str, Any]:
    events = stage.read(lambda tx: tx.events(ALICE, after_seq=0, limit=100))
    return json.loads(events[-1].body)  # type: ignore[no-any-return]


@act
def note_refusal(stage: Stage) -> None:
    def refuse(tx: Transaction) -> None:
        tx.lock_account(ALICE)
        tx.note_refusal(step="unheard")
        tx.if_refused(EventKind.ANSWER_REFUSED, "p", purpose="login")
        tx.note_refusal(step="origin")
        raise Refused(Reason.WRONG_CODE)

    with pytest.raises(Refused):
        stage.run(refuse)
    assert last(stage)["details"] == {"purpose": "login", "step": "origin", "reason": "wrong_code"}


@act
def after_refusal(stage: Stage) -> None:
    """In the commit of the charge, and only when the use case raised."""
    stage.act("insert_security_key", key())

    def run(tx: Transaction, *, fail: bool) -> None:
        tx.lock_account(ALICE)
        tx.if_refused(EventKind.ANSWER_REFUSED, "p")
        tx.charge(Charge(AccountBudget((NOW_MS,))))
        tx.rename_security_key(ALICE, "sk_1", label="taken back")

        def suspend() -> None:
            tx.set_security_key_state(key(), to=SUSPENDED)
            tx.record(AuditEvent(EventKind.SECURITY_KEY_SUSPENDED, "p"))

        tx.after_refusal(suspend)
        if fail:
            raise Refused(Reason.WRONG_CODE)

    with pytest.raises(Refused):
        stage.run(lambda tx: run(tx, fail=True))
    assert (stored(stage).state, stored(stage).label) == (SUSPENDED, "blue")
    assert last(stage)["kind"] == EventKind.SECURITY_KEY_SUSPENDED
    stage.act("insert_security_key", key(2))
    stage.run(lambda tx: run(tx, fail=False))
    assert stored(stage, "sk_2").state is ACTIVE
