"""What became of an SMS, as far as a provider says: who took it, and the receipt that may follow.

A receipt comes to an address of its own for each message, with a keyed hash in it: nobody signs in for it, and it can
change nothing but the word that its owner is shown.
"""

from __future__ import annotations

import hmac

from leverlock.app.sms_sending import terms
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.sms_code import Delivery
from leverlock.ports import Sealer, Transaction, World


def receipt_path(sealer: Sealer, account_id: str, message_id: str, provider: str) -> str:
    """Where this provider leaves the receipt of this message, below the API's address."""
    token = _token(sealer, account_id, message_id, provider)
    return f"/v1/sms/receipts/{provider}/{account_id}/{message_id}/{token}"


def note_handed_over(tx: Transaction, *, account_id: str, message_id: str, provider: str, provider_id: str) -> None:
    """A provider took the message, under this id of his."""
    tx.lock_account(account_id)
    tx.note_sms_delivery(account_id, message_id, Delivery.HANDED_OVER)
    details = {"message": message_id, "provider": provider, "provider_id": provider_id}
    tx.record(AuditEvent(EventKind.SMS_HANDED_OVER, f"provider:{provider}", details))


def note_receipt(
    tx: Transaction, world: World, *, provider: str, account_id: str, message_id: str, token: str, said: dict[str, str]
) -> Delivery | None:
    """A provider says what became of a message; None where what he says is neither yes nor no, or comes too late.

    Raises Refused: SMS_OFF, UNKNOWN_ID.
    """
    expected = terms(world).receipts.get(provider)
    if expected is None or not hmac.compare_digest(_token(world.sealer, account_id, message_id, provider), token):
        raise Refused(Reason.UNKNOWN_ID)
    word = said.get(expected.field, "")
    delivery = (
        Delivery.DELIVERED
        if word in expected.delivered
        else Delivery.UNDELIVERED
        if word in expected.undelivered
        else None
    )
    if delivery is None:
        return None
    tx.lock_account(account_id)
    if not tx.note_sms_delivery(account_id, message_id, delivery):
        return None
    details = {"message": message_id, "delivery": delivery.value}
    tx.record(AuditEvent(EventKind.SMS_RECEIPT, f"provider:{provider}", details))
    return delivery


def _token(sealer: Sealer, account_id: str, message_id: str, provider: str) -> str:
    return sealer.mac("sms-receipt", f"{provider}|{account_id}|{message_id}".encode()).hex()
