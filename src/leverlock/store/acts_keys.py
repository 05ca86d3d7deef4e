"""Acts on API keys, upstream accounts and integrators."""

from __future__ import annotations

import json

from leverlock.domain.api_key import ApiKey, KeyState, LegacyUse, Upstream
from leverlock.domain.host_statement import IntegratorKey
from leverlock.domain.key_terms import KeyTerms
from leverlock.domain.limits import DAY
from leverlock.store import rows
from leverlock.store.transaction import UnitOfWork


class KeyActs(UnitOfWork):
    """Who may ask besides the owner, and with what the gateway signs."""

    def insert_key(self, key: ApiKey) -> bool:
        name = {"api_key": key.api_key, "account_id": key.account_id, "key_id": key.key_id}
        if self._cursor.write("claim_api_key", name) != 1:
            return False
        self._cursor.write(
            "insert_key",
            {
                **name,
                "label": key.label,
                "algorithm": key.algorithm.value,
                "state": key.state.value,
                "upstream_id": key.upstream_id,
                "created_at": key.created_at,
                "legacy": int(key.legacy),
                "otp_allowed": int(key.otp_allowed),
                "key_version": None if key.secret is None else key.secret.key_version,
                "nonce": None if key.secret is None else key.secret.nonce,
                "ciphertext": None if key.secret is None else key.secret.ciphertext,
                "public_key": key.public_key,
                "scopes": " ".join(sorted(key.scopes)),
                "ips": " ".join(key.ips),
            },
        )
        return True

    def key(self, account_id: str, key_id: str) -> ApiKey | None:
        row = self._cursor.one("key", {"account_id": account_id, "key_id": key_id})
        return None if row is None else rows.api_key(row)

    def key_by_name(self, api_key: str) -> ApiKey | None:
        row = self._cursor.one("key_name", {"api_key": api_key})
        return None if row is None else self.key(row[0], row[1])

    def keys(self, account_id: str) -> list[ApiKey]:
        return [rows.api_key(row) for row in self._cursor.all("keys", {"account_id": account_id})]

    def set_key_state(self, account_id: str, key_id: str, *, before: KeyState, after: KeyState) -> bool:
        parameters = {"account_id": account_id, "key_id": key_id, "before": before.value, "after": after.value}
        return self._cursor.write("set_key_state", parameters) == 1

    def edit_key(self, key: ApiKey, terms: KeyTerms) -> bool:
        parameters = {
            "account_id": key.account_id,
            "key_id": key.key_id,
            "label": terms.label,
            "scopes": " ".join(sorted(terms.scopes)),
            "ips": " ".join(terms.ips),
            "otp_allowed": int(terms.otp_allowed),
            # Two edits within one millisecond are two: each is later than the one before.
            "now": max(self.now, key.edited_at + 1),
            "edited_before": key.edited_at,
        }
        return self._cursor.write("edit_key", parameters) == 1

    # -- legacy keys -------------------------------------------------------------------------------------------------
    def mark_keys_legacy(self, account_id: str, *, ends_at: int | None) -> list[str]:
        return self._named("mark_keys_legacy", account_id=account_id, ends_at=ends_at)

    def date_legacy_keys(self, account_id: str, *, ends_at: int | None) -> list[str]:
        return self._named("date_legacy_keys", account_id=account_id, ends_at=ends_at)

    def end_legacy_keys(self, account_id: str) -> list[str]:
        return self._named("end_legacy_keys", account_id=account_id, now=self.now)

    def tell_legacy_keys(self, account_id: str, *, until: int, told: int) -> list[str]:
        return self._named("tell_legacy_keys", account_id=account_id, until=until, told=told)

    def legacy_accounts(self, *, until: int, soon: int, limit: int) -> list[str]:
        return self._named("legacy_accounts", until=until, soon=soon, now=self.now, limit=limit)

    def add_legacy_use(self, use: LegacyUse) -> None:
        self._cursor.write(
            "add_legacy_use",
            {
                "account_id": use.account_id,
                "key_id": use.key_id,
                "action": use.action,
                "day": use.last_at // DAY,
                "uses": use.uses,
                "last_at": use.last_at,
            },
        )

    def legacy_uses(self, account_id: str, *, since: int) -> list[LegacyUse]:
        found = self._cursor.all("legacy_uses", {"account_id": account_id, "since": since // DAY})
        return [LegacyUse(account_id, *row) for row in found]

    def _named(self, statement: str, **parameters: str | int | None) -> list[str]:
        return [str(row[0]) for row in self._cursor.all(statement, parameters)]

    def insert_upstream(self, upstream: Upstream) -> None:
        self._cursor.write(
            "insert_upstream",
            {
                "account_id": upstream.account_id,
                "upstream_id": upstream.upstream_id,
                "label": upstream.label,
                "dialect": upstream.dialect,
                "base_urls": json.dumps(upstream.base_urls, sort_keys=True),
                "api_key": upstream.api_key,
                "algorithm": upstream.algorithm.value,
                "key_version": upstream.secret.key_version,
                "nonce": upstream.secret.nonce,
                "ciphertext": upstream.secret.ciphertext,
                "created_at": upstream.created_at,
            },
        )

    def upstream(self, account_id: str, upstream_id: str) -> Upstream | None:
        row = self._cursor.one("upstream", {"account_id": account_id, "upstream_id": upstream_id})
        return None if row is None else rows.upstream(row)

    def upstreams(self, account_id: str | None) -> list[Upstream]:
        if account_id is None:
            return [rows.upstream(row) for row in self._cursor.all("upstreams", {})]
        return [rows.upstream(row) for row in self._cursor.all("upstreams_of", {"account_id": account_id})]

    def remove_upstream(self, account_id: str, upstream_id: str) -> bool:
        return self._cursor.write("remove_upstream", {"account_id": account_id, "upstream_id": upstream_id}) == 1

    # -- integrators: a directory of the deployment ------------------------------------------------------
    def insert_integrator(self, integrator_id: str, *, name: str, token_hash: bytes) -> bool:
        parameters = {"integrator_id": integrator_id, "name": name, "token_hash": token_hash, "now": self.now}
        return self._cursor.write("insert_integrator", parameters) == 1

    def integrator_of_token(self, token_hash: bytes) -> str | None:
        row = self._cursor.one("integrator_of_token", {"token_hash": token_hash})
        return None if row is None else str(row[0])

    def integrators(self) -> list[tuple[str, str, bool]]:
        return [(row[0], row[1], bool(row[2])) for row in self._cursor.all("integrators", {})]

    def insert_integrator_key(self, key: IntegratorKey) -> bool:
        parameters = {
            "key_id": key.key_id,
            "integrator_id": key.integrator_id,
            "algorithm": key.algorithm.value,
            "public_key": key.public_key,
            "created_at": key.created_at,
        }
        return self._cursor.write("insert_integrator_key", parameters) == 1

    def integrator_key(self, key_id: str) -> IntegratorKey | None:
        row = self._cursor.one("integrator_key", {"key_id": key_id})
        return None if row is None else rows.integrator_key(row)

    def integrator_keys(self) -> list[IntegratorKey]:
        return [rows.integrator_key(row) for row in self._cursor.all("integrator_keys", {})]

    def remove_integrator_key(self, key_id: str) -> bool:
        return self._cursor.write("remove_integrator_key", {"key_id": key_id}) == 1

    def burn_statement(self, account_id: str, mark: bytes, *, expires_at: int) -> bool:
        parameters = {"account_id": account_id, "mark": mark, "expires_at": expires_at}
        return self._cursor.write("burn_statement", parameters) == 1

    def revoke_integrator(self, integrator_id: str) -> bool:
        return self._cursor.write("revoke_integrator", {"integrator_id": integrator_id}) == 1
