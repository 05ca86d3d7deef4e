"""Acts on phone numbers, the codes sent to them, and what bounds the sending."""

from __future__ import annotations

from leverlock.domain.messages import Language
from leverlock.domain.sms_code import Delivery, SmsCode
from leverlock.store import rows
from leverlock.store.transaction import UnitOfWork


class SmsActs(UnitOfWork):
    """What SMS needs beside the acts on authenticators."""

    def confirm_number(self, account_id: str, authenticator_id: str) -> bool:
        return self._number_write("confirm_number", account_id, authenticator_id, now=self.now)

    def save_number(self, account_id: str, authenticator_id: str, *, usable_at: int, backup: bool) -> bool:
        return self._number_write("save_number", account_id, authenticator_id, usable_at=usable_at, backup=int(backup))

    def set_backup(self, account_id: str, authenticator_id: str, *, backup: bool) -> bool:
        return self._number_write("set_backup", account_id, authenticator_id, backup=int(backup))

    def distrust_number(self, account_id: str, authenticator_id: str, *, usable_at: int) -> bool:
        return self._number_write("distrust_number", account_id, authenticator_id, usable_at=usable_at)

    def number_used(self, account_id: str, authenticator_id: str) -> bool:
        return self._number_write("number_used", account_id, authenticator_id, now=self.now)

    def _number_write(self, name: str, account_id: str, authenticator_id: str, **values: int) -> bool:
        parameters = {"account_id": account_id, "authenticator_id": authenticator_id, **values}
        return self._cursor.write(name, parameters) == 1

    # -- codes -------------------------------------------------------------------------------------------------------
    def put_sms_code(self, code: SmsCode) -> None:
        self._cursor.write(
            "put_sms_code",
            {
                "account_id": code.account_id,
                "subject": code.subject,
                "authenticator_id": code.authenticator_id,
                "code_hash": code.code_hash,
                "message_id": code.message_id,
                "created_at": code.created_at,
                "expires_at": code.expires_at,
            },
        )

    def sms_code(self, account_id: str, subject: str) -> SmsCode | None:
        row = self._cursor.one("sms_code", {"account_id": account_id, "subject": subject})
        return None if row is None else rows.sms_code(row)

    def spend_sms_code(self, code: SmsCode) -> bool:
        named = {"account_id": code.account_id, "subject": code.subject, "code_hash": code.code_hash}
        return self._cursor.write("spend_sms_code", {**named, "now": self.now}) == 1

    def drop_sms_codes(self, account_id: str, *, authenticator_id: str = "") -> int:
        parameters = {"account_id": account_id, "authenticator_id": authenticator_id}
        dropped = [str(row[0]) for row in self._cursor.all("drop_sms_codes", parameters)]
        for message_id in dropped:
            self.drop_message(account_id, message_id)
        return len(dropped)

    def drop_message(self, account_id: str, message_id: str) -> bool:
        return self._cursor.write("message_done", {"account_id": account_id, "message_id": message_id}) == 1

    def note_sms_delivery(self, account_id: str, message_id: str, delivery: Delivery) -> bool:
        parameters = {"account_id": account_id, "message_id": message_id, "delivery": delivery.value}
        return self._cursor.write("note_sms_delivery", parameters) == 1

    # -- caps --------------------------------------------------------------------------------------------------------
    def take_sms_slot(self, subject: bytes, *, most: int, window_ms: int) -> int | None:
        found = self._cursor.one("sms_slots", {"subject": subject, "most": most})
        assert found is not None
        taken, oldest = found
        if taken < most:
            new = {"subject": subject, "slot": taken, "now": self.now}
            if self._cursor.write("new_sms_slot", new) == 1:
                return None
        old = {"subject": subject, "most": most, "now": self.now, "window_start": self.now - window_ms}
        if self._cursor.write("old_sms_slot", old) == 1:
            return None
        return max(int(oldest) + window_ms - self.now, 1)

    def sms_slots_since(self, subject: bytes, *, since: int) -> int:
        row = self._cursor.one("sms_slots_since", {"subject": subject, "since": since})
        assert row is not None
        return int(row[0])

    def draw_in_sms_slots(self, *, now_ms: int) -> None:
        self._cursor.write("draw_in_sms_slots", {"now": now_ms})

    # -- language ----------------------------------------------------------------------------------------------------
    def language(self, account_id: str) -> Language:
        row = self._cursor.one("language", {"account_id": account_id})
        return Language.ENGLISH if row is None else Language(row[0])

    def set_language(self, account_id: str, language: Language) -> bool:
        return self._cursor.write("set_language", {"account_id": account_id, "language": language.value}) == 1
