"""Acts on security keys and the ceremonies that wait for one."""

from __future__ import annotations

from leverlock.domain.security_key import Ceremony, Purpose, SecurityKey, SecurityKeyState
from leverlock.ports_security_keys import Signed
from leverlock.store import rows
from leverlock.store.transaction import TakenCeremony, UnitOfWork


class SecurityKeyActs(UnitOfWork):
    """`ports_security_keys.SecurityKeyTransaction` in named SQL."""

    def security_keys(self, account_id: str) -> list[SecurityKey]:
        return [rows.security_key(row) for row in self._cursor.all("security_keys", {"account_id": account_id})]

    def security_key(self, account_id: str, key_id: str) -> SecurityKey | None:
        row = self._cursor.one("security_key", {"account_id": account_id, "key_id": key_id})
        return None if row is None else rows.security_key(row)

    def insert_security_key(self, key: SecurityKey) -> bool:
        name = {"credential_id": key.credential_id, "account_id": key.account_id, "key_id": key.key_id}
        if self._cursor.write("claim_credential", name) != 1:
            return False
        self._cursor.write(
            "insert_security_key",
            {
                **name,
                "public_key": key.public_key,
                "sign_count": key.sign_count,
                "synced": int(key.synced),
                "label": key.label,
                "transports": " ".join(key.transports),
                "created_at": key.created_at,
                "serves_movements_at": key.serves_movements_at,
            },
        )
        return True

    def rename_security_key(self, account_id: str, key_id: str, *, label: str) -> bool:
        parameters = {"account_id": account_id, "key_id": key_id, "label": label}
        return self._cursor.write("rename_security_key", parameters) == 1

    def key_signed(self, signed: Signed) -> bool:
        named = {"account_id": signed.key.account_id, "key_id": signed.key.key_id}
        return self._cursor.write("key_signed", {**named, "sign_count": signed.sign_count, "now": self.now}) == 1

    def set_security_key_state(self, key: SecurityKey, *, to: SecurityKeyState) -> bool:
        named = {"account_id": key.account_id, "key_id": key.key_id}
        parameters = {**named, "before": key.state.value, "after": to.value}
        return self._cursor.write("set_security_key_state", parameters) == 1

    def open_ceremony(self, ceremony: Ceremony) -> None:
        self._cursor.write(
            "open_ceremony",
            {
                **TakenCeremony.of(ceremony).named,
                "challenge": ceremony.challenge,
                "expires_at": ceremony.expires_at,
                "label": ceremony.label,
            },
        )

    def take_ceremony(self, account_id: str, session_id: str, purpose: Purpose, subject: str = "") -> Ceremony | None:
        taken = TakenCeremony(account_id, session_id, purpose, subject)
        row = self.take_and_keep(taken)
        if row is None:
            return None
        ceremony = rows.ceremony(row)
        return ceremony if self.now < ceremony.expires_at else None
