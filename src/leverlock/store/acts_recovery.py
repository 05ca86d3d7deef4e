"""Acts on the ways back: recovery codes, the right to bind anew that they open, links by mail, and addresses."""

from __future__ import annotations

from collections.abc import Sequence

from leverlock.domain.environment import Environment
from leverlock.domain.messages import Address
from leverlock.store import rows
from leverlock.store.transaction import UnitOfWork


class RecoveryActs(UnitOfWork):
    """How the owner of one account comes back, and where he is told that somebody did."""

    # -- recovery codes ----------------------------------------------------------------------------------------------
    def issue_recovery_codes(self, account_id: str, environment: Environment, *, hashes: Sequence[bytes]) -> int:
        scope = {"account_id": account_id, "environment": environment.value}
        row = self._cursor.one("next_code_set", scope)
        assert row is not None, "only an environment that was on has codes"
        generation = int(row[0])
        self._cursor.write("drop_recovery_codes", scope)
        for code_hash in hashes:
            self._cursor.write("insert_recovery_code", {**scope, "code_hash": code_hash, "generation": generation})
        return generation

    def use_recovery_code(self, account_id: str, environment: Environment, *, code_hash: bytes) -> bool:
        named = {"account_id": account_id, "environment": environment.value, "code_hash": code_hash}
        return self._cursor.write("use_recovery_code", named) == 1

    def drop_recovery_codes(self, account_id: str, environment: Environment) -> int:
        scope = {"account_id": account_id, "environment": environment.value}
        return self._cursor.write("drop_recovery_codes", scope)

    def recovery_codes_left(self, account_id: str) -> dict[Environment, int]:
        found = self._cursor.all("recovery_codes_left", {"account_id": account_id})
        return {Environment(environment): int(codes) for environment, codes in found}

    # -- the right to bind anew --------------------------------------------------------------------------------------
    def grant_enrolment(self, account_id: str, session_id: str, environment: Environment, *, expires_at: int) -> None:
        named = {"account_id": account_id, "session_id": session_id, "environment": environment.value}
        self._cursor.write("grant_enrolment", {**named, "expires_at": expires_at})

    def enrolment_right(self, account_id: str, session_id: str, environment: Environment) -> int | None:
        named = {"account_id": account_id, "session_id": session_id, "environment": environment.value}
        row = self._cursor.one("enrolment_right", {**named, "now": self.now})
        return None if row is None else int(row[0])

    def drop_enrolment_rights(self, account_id: str, environment: Environment) -> int:
        scope = {"account_id": account_id, "environment": environment.value}
        return self._cursor.write("drop_enrolment_rights", scope)

    # -- a forgotten password ----------------------------------------------------------------------------------------
    def insert_reset_link(self, account_id: str, *, token_hash: bytes, expires_at: int) -> None:
        named = {"account_id": account_id, "token_hash": token_hash}
        self._cursor.write("insert_reset_link", {**named, "now": self.now, "expires_at": expires_at})

    def reset_links_since(self, account_id: str, *, since: int) -> int:
        row = self._cursor.one("reset_links_since", {"account_id": account_id, "since": since})
        assert row is not None
        return int(row[0])

    def open_reset_link(self, account_id: str, *, token_hash: bytes) -> bool:
        named = {"account_id": account_id, "token_hash": token_hash, "now": self.now}
        return self._cursor.write("open_reset_link", named) == 1

    def void_reset_links(self, account_id: str) -> int:
        return self._cursor.write("void_reset_links", {"account_id": account_id})

    # -- addresses ---------------------------------------------------------------------------------------------------
    def addresses(self, account_id: str) -> list[Address]:
        found = self._cursor.all("addresses", {"account_id": account_id, "now": self.now})
        return [rows.address(row) for row in found]

    def set_address(self, address: Address, *, code_hash: bytes | None = None) -> bool:
        target = {"account_id": address.account_id, "channel": address.channel.value, "target": address.target}
        self._cursor.write("forget_named_address", target)
        named = {**target, "address_id": address.address_id, "state": address.state.value, "replaces": address.replaces}
        return self._cursor.write("set_address", {**named, "until": address.until, "code_hash": code_hash}) == 1

    def serve_address(self, account_id: str, address_id: str, *, code_hash: bytes) -> bool:
        named = {"account_id": account_id, "address_id": address_id, "code_hash": code_hash, "now": self.now}
        return self._cursor.write("serve_address", named) == 1

    def retire_address(self, account_id: str, address_id: str, *, until: int) -> bool:
        named = {"account_id": account_id, "address_id": address_id, "until": until}
        return self._cursor.write("retire_address", named) == 1
