"""The part of `ports.Transaction` that concerns SMS: numbers, codes and caps; with it a deployment's terms and the
verifier of its codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from leverlock.domain.messages import Language
from leverlock.domain.sms_code import Delivery, SmsCode


class SmsCodes(Protocol):
    """Makes and checks the keyed hashes of SMS codes."""

    def hashed(self, account_id: str, subject: str, authenticator_id: str, code: str) -> bytes:
        """How a code is stored."""
        ...

    def verify(self, stored: SmsCode, code: str, *, now_ms: int) -> None:
        """Raises NoMatch for other digits, Refused(SMS_CODE_EXPIRED) for the right ones too late; returns nothing."""
        ...


@dataclass(frozen=True, slots=True)
class ReceiptTerms:
    """How a provider words his receipts: which parameter, and which of its values mean yes and no."""

    field: str
    delivered: frozenset[str]
    undelivered: frozenset[str]


@dataclass(frozen=True, slots=True)
class SmsTerms:
    """How a deployment uses SMS.

    `host` stands in the last line of each text; `countries`, when not empty, are the only ones served; `receipts` by
    the name of the provider.
    """

    codes: SmsCodes
    host: str
    countries: frozenset[str] = frozenset()
    receipts: Mapping[str, ReceiptTerms] = field(default_factory=dict)


class SmsTransaction(Protocol):
    """Numbers, the codes sent to them, and what bounds the sending."""

    def confirm_number(self, account_id: str, authenticator_id: str) -> bool: ...
    def save_number(self, account_id: str, authenticator_id: str, *, usable_at: int, backup: bool) -> bool: ...
    def set_backup(self, account_id: str, authenticator_id: str, *, backup: bool) -> bool: ...
    def distrust_number(self, account_id: str, authenticator_id: str, *, usable_at: int) -> bool: ...
    def number_used(self, account_id: str, authenticator_id: str) -> bool:
        """A code of an active, usable number was right; its wrong answers before are forgiven."""
        ...

    def put_sms_code(self, code: SmsCode) -> None:
        """The live code of its subject; the one before is dead."""
        ...

    def sms_code(self, account_id: str, subject: str) -> SmsCode | None: ...
    def spend_sms_code(self, code: SmsCode) -> bool: ...
    def drop_sms_codes(self, account_id: str, *, authenticator_id: str = "") -> int:
        """Those of one number, or all, with the messages of theirs that were not sent yet."""
        ...

    def drop_message(self, account_id: str, message_id: str) -> bool: ...
    def note_sms_delivery(self, account_id: str, message_id: str, delivery: Delivery) -> bool: ...
    def take_sms_slot(self, subject: bytes, *, most: int, window_ms: int) -> int | None:
        """One of `most` in any window of this length. None when it was taken, else the milliseconds to wait."""
        ...

    def sms_slots_since(self, subject: bytes, *, since: int) -> int: ...
    def draw_in_sms_slots(self, *, now_ms: int) -> None:
        """What was counted from a time ahead counts from `now_ms`."""
        ...

    def language(self, account_id: str) -> Language: ...
    def set_language(self, account_id: str, language: Language) -> bool: ...
