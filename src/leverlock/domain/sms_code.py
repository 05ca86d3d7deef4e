"""SMS codes: digits for exactly one purpose, hashed under a key, gone once used (B15).

A code belongs to one challenge, or to the enrolment of one number. Sending another for the same purpose replaces it;
what was counted against its guesser stays (B16).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leverlock.domain.errors import Reason, Refused

_ANSWER: Final = re.compile(r"[0-9]{6,8}", re.ASCII)
_SURPLUS: Final = (
    8  # random bytes drawn; the bias of the remainder is below 2^-37 (FIPS 186-5 appendix A.2.1 asks 64 bit)
)


class Delivery(StrEnum):
    """How far the SMS got, as far as a provider says."""

    WAITING = "waiting"  # committed, not yet taken by a provider
    HANDED_OVER = "handed_over"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class SmsCode:
    """A code as it is stored. `subject` is the id of its challenge, or of the number that is being enrolled."""

    account_id: str
    subject: str
    authenticator_id: str
    code_hash: bytes
    message_id: str
    created_at: int
    expires_at: int
    delivery: Delivery = Delivery.WAITING

    def must_be_live(self, now_ms: int) -> None:
        """Raises Refused(SMS_CODE_EXPIRED) once its time is over."""
        if now_ms >= self.expires_at:
            raise Refused(Reason.SMS_CODE_EXPIRED)


class NoMatch(Exception):
    """The digits are not those that were sent for this."""


def digits_of(random: bytes, *, digits: int) -> str:
    """A decimal code from at least `_SURPLUS` random bytes, zero-padded, all values equally likely."""
    if len(random) < _SURPLUS:
        raise ValueError(f"a code is drawn from {_SURPLUS} random bytes")
    return str(int.from_bytes(random, "big") % 10**digits).zfill(digits)


def is_sms_code(text: object) -> bool:
    """Whether an answer has the only accepted form: a string of six to eight ASCII digits (B8)."""
    return isinstance(text, str) and _ANSWER.fullmatch(text) is not None


def hashed_as(account_id: str, subject: str, authenticator_id: str, code: str) -> bytes:
    """What the keyed hash of a code covers: an answer for another purpose, or to another number, has another hash."""
    return f"{account_id}|{subject}|{authenticator_id}|{code}".encode()


def message_context(account_id: str, message_id: str) -> str:
    """The associated data of an SMS in the outbox: pasted over another message, it does not open."""
    return f"sms-message|{account_id}|{message_id}"
