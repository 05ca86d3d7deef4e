"""What the acts on numbers, codes and caps promise (`ports_sms.SmsTransaction`)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from leverlock.domain.authenticator import Authenticator, AuthenticatorKind, AuthenticatorState
from leverlock.domain.messages import Channel, Language, Message
from leverlock.domain.sms_code import Delivery, SmsCode
from store.contract import ALICE, BOB, FUTURES, Stage, act, active, authenticator
from world import NOW_MS

SMS = AuthenticatorKind.SMS
SUBJECT = hashlib.sha256(b"a number").digest()


def entered(stage: Stage, number: int = 7) -> Authenticator:
    made = replace(authenticator(number), kind=SMS)
    stage.act("insert_authenticator", made)
    return made


def bound(stage: Stage, number: int = 7, *, usable_at: int = NOW_MS) -> Authenticator:
    made = entered(stage, number)
    assert stage.act("confirm_number", ALICE, made.authenticator_id)
    assert stage.act("save_number", ALICE, made.authenticator_id, usable_at=usable_at, backup=True)
    return made


def found(stage: Stage, made: Authenticator) -> Authenticator:
    stored = stage.read(lambda tx: tx.authenticator(ALICE, made.authenticator_id))
    assert stored is not None
    return stored


def code(subject: str = "ch_1", digits: bytes = b"1", *, number: str = "au_7") -> SmsCode:
    return SmsCode(
        ALICE, subject, number, hashlib.sha256(digits).digest(), f"msg_{digits.decode()}", NOW_MS, NOW_MS + 1000
    )


@act
def confirm_number(stage: Stage) -> None:
    made = entered(stage)
    assert stage.act("confirm_number", ALICE, made.authenticator_id)
    assert found(stage, made).confirmed_at == NOW_MS
    assert found(stage, made).state is AuthenticatorState.PENDING
    assert not stage.act("confirm_number", ALICE, made.authenticator_id)
    app = authenticator(8)
    stage.act("insert_authenticator", app)
    assert not stage.act("confirm_number", ALICE, app.authenticator_id)


@act
def save_number(stage: Stage) -> None:
    made = entered(stage)
    assert not stage.act("save_number", ALICE, made.authenticator_id, usable_at=5, backup=True)
    assert stage.act("confirm_number", ALICE, made.authenticator_id)
    assert stage.act("save_number", ALICE, made.authenticator_id, usable_at=5, backup=True)
    stored = found(stage, made)
    assert (stored.state, stored.usable_at, stored.backup) == (AuthenticatorState.ACTIVE, 5, True)
    assert not stage.act("save_number", ALICE, made.authenticator_id, usable_at=6, backup=False)
    assert stage.read(lambda tx: tx.bound_authenticator(ALICE, FUTURES)) is None  # no app is bound by it
    app = active(stage, 9)
    assert stage.read(lambda tx: tx.bound_authenticator(ALICE, FUTURES)).authenticator_id == app.authenticator_id  # type: ignore[union-attr]
    number = stage.read(lambda tx: tx.bound_authenticator(ALICE, FUTURES, kind=SMS))
    assert number is not None
    assert number.authenticator_id == made.authenticator_id


@act
def set_backup(stage: Stage) -> None:
    made = bound(stage)
    assert stage.act("set_backup", ALICE, made.authenticator_id, backup=False)
    assert not found(stage, made).backup
    assert not stage.act("set_backup", BOB, made.authenticator_id, backup=True)
    assert stage.act("remove_authenticator", ALICE, made.authenticator_id)
    assert not stage.act("set_backup", ALICE, made.authenticator_id, backup=True)


@act
def distrust_number(stage: Stage) -> None:
    made = bound(stage)
    assert stage.act("distrust_number", ALICE, made.authenticator_id, usable_at=NOW_MS + 9)
    assert stage.act("distrust_number", ALICE, made.authenticator_id, usable_at=NOW_MS + 3)
    assert found(stage, made).usable_at == NOW_MS + 9
    assert not stage.act("distrust_number", ALICE, active(stage, 9).authenticator_id, usable_at=NOW_MS + 3)


@act
def number_used(stage: Stage) -> None:
    made = bound(stage, usable_at=NOW_MS + 1)
    assert not stage.act("number_used", ALICE, made.authenticator_id)
    stage.clock.tick(1)
    assert stage.act("number_used", ALICE, made.authenticator_id)
    assert stage.act("remove_authenticator", ALICE, made.authenticator_id)
    assert not stage.act("number_used", ALICE, made.authenticator_id)


@act
def put_sms_code(stage: Stage) -> None:
    stage.act("put_sms_code", code())
    stage.act("note_sms_delivery", ALICE, "msg_1", Delivery.DELIVERED)
    stage.act("put_sms_code", code(digits=b"2"))
    stage.act("put_sms_code", code("ch_2"))
    assert stage.read(lambda tx: tx.sms_code(ALICE, "ch_1")) == code(digits=b"2")
    assert not stage.act("spend_sms_code", code())  # the first is dead


@act
def sms_code(stage: Stage) -> None:
    assert stage.read(lambda tx: tx.sms_code(ALICE, "ch_1")) is None
    stage.act("put_sms_code", code())
    assert stage.read(lambda tx: tx.sms_code(ALICE, "ch_1")) == code()
    assert stage.read(lambda tx: tx.sms_code(BOB, "ch_1")) is None


@act
def spend_sms_code(stage: Stage) -> None:
    stage.act("put_sms_code", code())
    assert not stage.act("spend_sms_code", code(digits=b"2"))
    assert stage.act("spend_sms_code", code())
    assert not stage.act("spend_sms_code", code())
    stage.act("put_sms_code", code())
    stage.clock.tick(1000)
    assert not stage.act("spend_sms_code", code())


@act
def drop_sms_codes(stage: Stage) -> None:
    sms = Message(ALICE, "msg_1", Channel.SMS, "au_7", "sms.code", b"x", NOW_MS, NOW_MS + 1000)
    stage.act("put_message", sms)
    stage.act("put_sms_code", code())
    stage.act("put_sms_code", code("ch_2", b"2", number="au_8"))
    assert stage.act("drop_sms_codes", ALICE, authenticator_id="au_7") == 1
    assert stage.read(lambda tx: tx.due_messages(limit=9)) == []
    assert stage.read(lambda tx: tx.sms_code(ALICE, "ch_2")) is not None
    assert stage.act("drop_sms_codes", BOB) == 0
    assert stage.act("drop_sms_codes", ALICE) == 1


@act
def drop_message(stage: Stage) -> None:
    sms = Message(ALICE, "msg_1", Channel.SMS, "au_7", "sms.code", b"x", NOW_MS, NOW_MS + 1000)
    stage.act("put_message", sms)
    assert not stage.act("drop_message", BOB, "msg_1")
    assert stage.act("drop_message", ALICE, "msg_1")
    assert not stage.act("drop_message", ALICE, "msg_1")


@act
def note_sms_delivery(stage: Stage) -> None:
    stage.act("put_sms_code", code())

    def now() -> Delivery:
        stored = stage.read(lambda tx: tx.sms_code(ALICE, "ch_1"))
        assert stored is not None
        return stored.delivery

    assert stage.act("note_sms_delivery", ALICE, "msg_1", Delivery.DELIVERED)
    assert not stage.act("note_sms_delivery", ALICE, "msg_1", Delivery.HANDED_OVER)  # it came late
    assert not stage.act("note_sms_delivery", ALICE, "msg_1", Delivery.UNDELIVERED)
    assert now() is Delivery.DELIVERED
    stage.act("put_sms_code", code(digits=b"2"))
    assert stage.act("note_sms_delivery", ALICE, "msg_2", Delivery.HANDED_OVER)
    assert stage.act("note_sms_delivery", ALICE, "msg_2", Delivery.UNDELIVERED)
    assert not stage.act("note_sms_delivery", ALICE, "msg_1", Delivery.DELIVERED)
    assert now() is Delivery.UNDELIVERED


def take(stage: Stage, *, most: int = 2, window_ms: int = 100) -> object:
    return stage.act("take_sms_slot", SUBJECT, most=most, window_ms=window_ms)


@act
def take_sms_slot(stage: Stage) -> None:
    assert take(stage) is None
    stage.clock.tick(60)
    assert take(stage) is None
    assert take(stage) == 40
    stage.clock.tick(39)
    assert take(stage) == 1
    stage.clock.tick(1)
    assert take(stage) is None  # the first is 100 ms old
    assert take(stage) == 60
    stage.clock.tick(1000)
    assert [take(stage, most=1), take(stage, most=1)] == [None, 100]  # a smaller cap holds at once
    assert take(stage, most=3) is None


@act
def sms_slots_since(stage: Stage) -> None:
    take(stage)
    stage.clock.tick(50)
    take(stage)
    assert stage.read(lambda tx: tx.sms_slots_since(SUBJECT, since=NOW_MS - 1)) == 2
    assert stage.read(lambda tx: tx.sms_slots_since(SUBJECT, since=NOW_MS)) == 1
    assert stage.read(lambda tx: tx.sms_slots_since(bytes(32), since=0)) == 0


@act
def draw_in_sms_slots(stage: Stage) -> None:
    stage.clock.tick(1000)
    take(stage, most=1)
    stage.act("draw_in_sms_slots", now_ms=NOW_MS)
    assert stage.read(lambda tx: tx.sms_slots_since(SUBJECT, since=NOW_MS)) == 0
    assert stage.read(lambda tx: tx.sms_slots_since(SUBJECT, since=NOW_MS - 1)) == 1


@act
def language(stage: Stage) -> None:
    assert stage.read(lambda tx: tx.language(ALICE)) is Language.ENGLISH
    assert stage.act("set_language", ALICE, Language.CHINESE)
    assert stage.read(lambda tx: tx.language(ALICE)) is Language.CHINESE
    assert stage.read(lambda tx: tx.language(BOB)) is Language.ENGLISH


@act
def set_language(stage: Stage) -> None:
    assert stage.act("set_language", ALICE, Language.CHINESE)
    assert not stage.act("set_language", ALICE, Language.CHINESE)
    assert stage.act("set_language", ALICE, Language.ENGLISH)
