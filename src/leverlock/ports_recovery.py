"""The part of `ports.Transaction` that concerns coming back: codes, links, and where the owner hears of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from leverlock.domain.environment import Environment
from leverlock.domain.messages import Address


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A new password, hashed outside the transaction. `fingerprint`: of that slow hash, so that an approval can name
    the password that it is for and betrays nothing about it."""

    stored_hash: str
    fingerprint: str


class RecoveryTransaction(Protocol):
    """How the owner of one account comes back, and where he is told that somebody did."""

    def begin_recovery(self, account_id: str, session_id: str) -> bool: ...
    def issue_recovery_codes(self, account_id: str, environment: Environment, *, hashes: Sequence[bytes]) -> int:
        """A new set in place of the one before; its number."""
        ...

    def use_recovery_code(self, account_id: str, environment: Environment, *, code_hash: bytes) -> bool: ...
    def drop_recovery_codes(self, account_id: str, environment: Environment) -> int: ...
    def recovery_codes_left(self, account_id: str) -> dict[Environment, int]: ...
    def grant_enrolment(
        self, account_id: str, session_id: str, environment: Environment, *, expires_at: int
    ) -> None: ...
    def enrolment_right(self, account_id: str, session_id: str, environment: Environment) -> int | None:
        """Until when this session may bind a new authenticator without the present one, if it may now."""
        ...

    def drop_enrolment_rights(self, account_id: str, environment: Environment) -> int: ...
    def insert_reset_link(self, account_id: str, *, token_hash: bytes, expires_at: int) -> None: ...
    def reset_links_since(self, account_id: str, *, since: int) -> int: ...
    def open_reset_link(self, account_id: str, *, token_hash: bytes) -> bool: ...
    def void_reset_links(self, account_id: str) -> int: ...

    # -- where he is told ----------------------------------------------------------------------------------------------
    def addresses(self, account_id: str) -> list[Address]:
        """All that are not over: named, serving, leaving."""
        ...

    def set_address(self, address: Address, *, code_hash: bytes | None = None) -> bool:
        """Write a new one; False where this target serves already."""
        ...

    def serve_address(self, account_id: str, address_id: str, *, code_hash: bytes) -> bool: ...
    def retire_address(self, account_id: str, address_id: str, *, until: int) -> bool: ...
