"""SMS codes: stored as HMAC under a key outside the database, compared in constant time (B15, B86)."""

from __future__ import annotations

import hmac
from typing import Final

from leverlock.domain.sms_code import NoMatch, SmsCode, hashed_as, is_sms_code
from leverlock.ports import Sealer

PURPOSE: Final = "sms-code"


class SmsCodeVerifier:
    """`ports_sms.SmsCodes`."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def hashed(self, account_id: str, subject: str, authenticator_id: str, code: str) -> bytes:
        return self._sealer.mac(PURPOSE, hashed_as(account_id, subject, authenticator_id, code))

    def verify(self, stored: SmsCode, code: str, *, now_ms: int) -> None:
        """The code is the live one of its subject; not yet spent. Raises NoMatch, Refused(SMS_CODE_EXPIRED)."""
        if not is_sms_code(code):
            raise NoMatch
        given = self.hashed(stored.account_id, stored.subject, stored.authenticator_id, code)
        if not hmac.compare_digest(given, stored.code_hash):
            raise NoMatch
        stored.must_be_live(now_ms)
