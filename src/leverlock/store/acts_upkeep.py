"""Acts on messages, idempotency, the audit trail, and the settings of the deployment."""

from __future__ import annotations

from collections import Counter

from leverlock.domain.audit import ChainedEvent
from leverlock.domain.authenticator import SealedSecret, StoredSecret
from leverlock.domain.limits import DAY, HOUR, MINUTE
from leverlock.domain.messages import Message
from leverlock.store import rows
from leverlock.store.sealed_columns import SEALED, stored_secret
from leverlock.store.transaction import UnitOfWork

IDEMPOTENCY_KEPT_MS = 1 * DAY
CHANGES_KEPT_MS = 10 * MINUTE
SIGN_IN_TRIES_KEPT_MS = 1 * DAY
UNDELIVERED_KEPT_MS = 7 * DAY
LEGACY_USES_KEPT_MS = 90 * DAY
RESET_LINKS_KEPT_MS = 7 * DAY  # as long as any window in which they are counted
SMS_CODES_KEPT_MS = 1 * HOUR
SMS_SLOTS_KEPT_MS = 30 * DAY  # the longest window that settings allow
STATEMENTS_KEPT_MS = 1 * DAY  # after they ran out, which is a minute after they were made


class UpkeepActs(UnitOfWork):
    """Everything beside the accounts' own state."""

    def due_messages(self, *, limit: int) -> list[Message]:
        return [rows.message(row) for row in self._cursor.all("due_messages", {"now": self.now, "limit": limit})]

    def message_done(self, message: Message) -> bool:
        parameters = {"account_id": message.account_id, "message_id": message.message_id}
        return self._cursor.write("message_done", parameters) == 1

    def message_failed(self, message: Message, *, next_at: int | None, reason: str) -> bool:
        parameters = {"account_id": message.account_id, "message_id": message.message_id}
        return self._cursor.write("message_failed", {**parameters, "next_at": next_at, "reason": reason}) == 1

    def hasten_messages(self, account_id: str, *, now_ms: int) -> None:
        self._cursor.write("hasten_messages", {"account_id": account_id, "now": now_ms})

    # -- idempotency -------------------------------------------------------------------------------------------------
    def claim_idempotency(
        self, account_id: str, *, principal: str, key: str, fingerprint: bytes
    ) -> tuple[bytes, bytes | None] | None:
        named = {"account_id": account_id, "principal": principal, "key": key}
        if self._cursor.write("claim_idempotency", {**named, "fingerprint": fingerprint, "now": self.now}) == 1:
            return None
        row = self._cursor.one("idempotency", named)
        assert row is not None
        return row[0], row[1]

    def store_answer(self, account_id: str, *, principal: str, key: str, answer: bytes) -> None:
        named = {"account_id": account_id, "principal": principal, "key": key}
        self._cursor.write("store_answer", {**named, "answer": answer})

    # -- the audit trail ---------------------------------------------------------------------------------------------
    def events(self, account_id: str, *, after_seq: int, limit: int) -> list[ChainedEvent]:
        parameters = {"account_id": account_id, "after_seq": after_seq, "limit": limit}
        return [rows.event(row) for row in self._cursor.all("events", parameters)]

    def changed_heads(self, *, after: int) -> tuple[int, list[tuple[str, int, bytes]]]:
        row = self._cursor.one("last_event_no", {})
        assert row is not None
        until = int(row[0])
        return until, self.heads_between(after=after, until=until)

    def heads_between(self, *, after: int, until: int) -> list[tuple[str, int, bytes]]:
        found = self._cursor.all("changed_heads", {"after": after, "until": until})
        return [(row[0], row[1], row[2]) for row in found]

    def lift_events(self, *, above: int, by: int) -> None:
        self._cursor.write("lift_events", {"above": above, "by": by})

    # -- sealed secrets ----------------------------------------------------------------------------------------------
    def sealed_secrets(self, account_id: str, *, other_than: int) -> list[StoredSecret]:
        parameters = {"account_id": account_id, "version": other_than}
        return [
            stored_secret(account_id, table, row)
            for table in SEALED
            for row in self._cursor.all(f"sealed_{table}", parameters)
        ]

    def reseal(self, stored: StoredSecret, secret: SealedSecret) -> bool:
        parameters = {
            "account_id": stored.account_id,
            "row_id": stored.row_id,
            "version_before": stored.secret.key_version,
            "nonce_before": stored.secret.nonce,
            "key_version": secret.key_version,
            "nonce": secret.nonce,
            "ciphertext": secret.ciphertext,
        }
        return self._cursor.write(f"reseal_{stored.table}", parameters) == 1

    def sealed_versions(self) -> dict[int, int]:
        counts: Counter[int] = Counter()
        for table in SEALED:
            counts.update({row[0]: row[1] for row in self._cursor.all(f"versions_{table}", {})})
        return dict(counts)

    # -- settings, snapshots, pruning --------------------------------------------------------------------------------
    def note_change(self, account_id: str) -> None:
        self._cursor.write("note_change", {"account_id": account_id, "now": self.now})

    def changes(self, *, after: int) -> tuple[int, list[str]]:
        found = self._cursor.all("changes", {"after": after})
        return (found[-1][0] if found else after), [str(row[1]) for row in found]

    def last_change(self) -> int:
        row = self._cursor.one("last_change_no", {})
        assert row is not None
        return int(row[0])

    def setting(self, name: str) -> str | None:
        row = self._cursor.one("setting", {"name": name})
        return None if row is None else str(row[0])

    def set_setting(self, name: str, value: str) -> None:
        self._cursor.write("set_setting", {"name": name, "value": value})

    def drop_setting(self, name: str) -> None:
        self._cursor.write("drop_setting", {"name": name})

    def reset_high_water(self, *, now_ms: int) -> None:
        self._cursor.write("reset_high_water", {"now": str(now_ms)})

    def prune(self, *, limit: int) -> int:
        ages = {
            "prune_idempotency": IDEMPOTENCY_KEPT_MS,
            "prune_changes": CHANGES_KEPT_MS,
            "prune_sign_in_tries": SIGN_IN_TRIES_KEPT_MS,
            "prune_wallet_access": 0,
            "prune_enrolment_rights": 0,
            "prune_reset_links": RESET_LINKS_KEPT_MS,
            "prune_addresses": 0,
            "prune_ceremonies": 0,
            "prune_messages": UNDELIVERED_KEPT_MS,
            "prune_legacy_uses": LEGACY_USES_KEPT_MS,
            "prune_sms_codes": SMS_CODES_KEPT_MS,
            "prune_sms_slots": SMS_SLOTS_KEPT_MS,
            "prune_statements": STATEMENTS_KEPT_MS,
        }
        return sum(self._cursor.write(name, {"before": self.now - kept, "limit": limit}) for name, kept in ages.items())
