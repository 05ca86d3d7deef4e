"""Sending an SMS: its row is committed with what it is about, number and text sealed, and delivered afterwards (B19).

A retry sends the same row, so the same code under the same reference; another code comes only with another call, and
kills the one before.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from leverlock.app.alarms import seal_broken
from leverlock.app.sms_guard import take_place
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.authenticator import Authenticator, SealedSecret
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.limits import HOUR
from leverlock.domain.messages import Channel, Message
from leverlock.domain.phone import PhoneNumber
from leverlock.domain.sms_code import SmsCode, digits_of, message_context
from leverlock.ports import SealBroken, Transaction, World
from leverlock.ports_sms import SmsTerms

CODE_KIND = "sms.code"
NOTICE_KIND = "sms.notice"
NOTICE_LIFE_MS = 1 * HOUR
CODE_RANDOM_BYTES = 8


def terms(world: World) -> SmsTerms:
    """How this deployment uses SMS. Raises Refused(SMS_OFF) where it does not."""
    if world.sms is None:
        raise Refused(Reason.SMS_OFF)
    return world.sms


UNREADABLE = "?"  # how a number is shown that does not open in its place


def number_of(tx: Transaction, world: World, authenticator: Authenticator) -> PhoneNumber:
    """The number that is sealed in it. Raises Refused(SMS_NOT_USABLE) when it does not open in its place (B83)."""
    try:
        return PhoneNumber(_opened(world, authenticator))
    except SealBroken:
        seal_broken(tx, world, authenticator.stored, by="verifier:sms")
        raise Refused(Reason.SMS_NOT_USABLE) from None


def masked_number(world: World, authenticator: Authenticator) -> str:
    """The number as it is shown; what does not open can still be seen, and taken away."""
    try:
        return PhoneNumber(_opened(world, authenticator)).masked
    except SealBroken:
        return UNREADABLE


def _opened(world: World, authenticator: Authenticator) -> str:
    return world.sealer.open(authenticator.secret, context=authenticator.seal_context).decode()


def send_code(
    tx: Transaction,
    world: World,
    *,
    subject: str,
    authenticator: Authenticator,
    number: PhoneNumber,
    text: Callable[[str], str],
    source: str,
    by: str,
) -> SmsCode:
    """Draw a code for `subject`, in place of the one it may have, and write down the SMS that carries it.

    `text` says what the SMS is about, given its code. Raises Refused: SMS_OFF, SMS_THROTTLED.
    """
    account_id, limits, sms = authenticator.account_id, world.limits, terms(world)
    take_place(tx, world, number=number, account_id=account_id, source=source)
    digits = digits_of(world.entropy.bytes(CODE_RANDOM_BYTES), digits=limits.sms_digits)
    before = tx.sms_code(account_id, subject)
    if before is not None:
        tx.drop_message(account_id, before.message_id)
    code = SmsCode(
        account_id=account_id,
        subject=subject,
        authenticator_id=authenticator.authenticator_id,
        code_hash=sms.codes.hashed(account_id, subject, authenticator.authenticator_id, digits),
        message_id=make_id("msg", world.entropy.bytes(ID_BYTES)),
        created_at=tx.now,
        expires_at=tx.now + limits.sms_code_life_ms,
    )
    tx.put_sms_code(code)
    _put(tx, world, authenticator, number, text(digits), kind=CODE_KIND, message=(code.message_id, code.expires_at))
    details = {
        "subject": subject,
        "authenticator": authenticator.authenticator_id,
        "number": number.masked,
        "message": code.message_id,
        "expires_at": code.expires_at,
    }
    tx.record(AuditEvent(EventKind.SMS_CODE_SENT, by, details))
    return code


def send_notice(tx: Transaction, world: World, *, authenticator: Authenticator, text: str) -> None:
    """Tell a number what became of it. It holds no code, and there is one for each change that a code approved."""
    try:
        number = PhoneNumber(_opened(world, authenticator))
    except SealBroken:
        return  # nobody knows whom to tell; the addresses are told all the same
    message = (make_id("msg", world.entropy.bytes(ID_BYTES)), tx.now + NOTICE_LIFE_MS)
    _put(tx, world, authenticator, number, text, kind=NOTICE_KIND, message=message)


def _put(
    tx: Transaction,
    world: World,
    authenticator: Authenticator,
    number: PhoneNumber,
    text: str,
    *,
    kind: str,
    message: tuple[str, int],
) -> None:
    message_id, expires_at = message
    account_id = authenticator.account_id
    body = json.dumps({"number": number.e164, "text": text}, ensure_ascii=False).encode()
    sealed: SealedSecret = world.sealer.seal(body, context=message_context(account_id, message_id))
    tx.put_message(
        Message(
            account_id=account_id,
            message_id=message_id,
            channel=Channel.SMS,
            target=authenticator.authenticator_id,
            kind=kind,
            body=sealed.to_bytes(),
            created_at=tx.now,
            expires_at=expires_at,
        )
    )
