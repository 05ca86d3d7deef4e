"""Authenticators: enrolled secrets, each for one account and one environment, and their enrolment (M4-M14).

An app's secret is its seed; that of a phone number is the number itself, in E.164.

    pending ──► active ──► replaced   another one took its place
       │          ├──────► disabled   fifty wrong answers; only binding anew helps (B75)
       │          └──────► removed    protection was switched off, or a recovery took it
       └──► expired                   never confirmed in time, or given up for another attempt

A pending one answers nothing. The old one of an environment works until the new one is confirmed (B10).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leverlock.domain.attempts import UNTRIED, FactorBudget
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.totp import NEVER_USED


class AuthenticatorKind(StrEnum):
    TOTP = "totp"
    SMS = "sms"


class AuthenticatorState(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    REPLACED = "replaced"
    DISABLED = "disabled"
    REMOVED = "removed"
    EXPIRED = "expired"


ENROLMENT_STEPS: Final[dict[AuthenticatorState, frozenset[AuthenticatorState]]] = {
    AuthenticatorState.PENDING: frozenset({AuthenticatorState.ACTIVE, AuthenticatorState.EXPIRED}),
    AuthenticatorState.ACTIVE: frozenset(
        {AuthenticatorState.REPLACED, AuthenticatorState.DISABLED, AuthenticatorState.REMOVED}
    ),
    # A disabled one still has to make room when a new one is bound.
    AuthenticatorState.DISABLED: frozenset({AuthenticatorState.REPLACED, AuthenticatorState.REMOVED}),
    AuthenticatorState.REPLACED: frozenset(),
    AuthenticatorState.REMOVED: frozenset(),
    AuthenticatorState.EXPIRED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A secret as it is stored: AEAD ciphertext, its nonce, and the version of the key that opens it (B82)."""

    key_version: int
    nonce: bytes
    ciphertext: bytes

    def to_bytes(self) -> bytes:
        """One piece for a column of its own: key version (4 bytes), length of the nonce (1), nonce, ciphertext."""
        return self.key_version.to_bytes(4, "big") + bytes([len(self.nonce)]) + self.nonce + self.ciphertext

    @classmethod
    def from_bytes(cls, stored: bytes) -> SealedSecret:
        nonce_end = 5 + stored[4]
        return cls(int.from_bytes(stored[:4], "big"), stored[5:nonce_end], stored[nonce_end:])


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A sealed secret in its place: `table` and `row_id` say where, `context` is the associated data it is bound to."""

    account_id: str
    table: str
    row_id: str
    context: str
    secret: SealedSecret


@dataclass(frozen=True, slots=True)
class Authenticator:
    """A stored authenticator. `generation` counts the bindings of this account and environment, from 1.

    Of a phone number: `confirmed_at`, when the code sent to it came back; `usable_at`, from when on it may approve;
    `backup`, whether its owner wants it to.
    """

    account_id: str
    authenticator_id: str
    environment: Environment
    kind: AuthenticatorKind
    state: AuthenticatorState
    generation: int
    secret: SealedSecret
    created_at: int
    expires_at: int = 0
    session_id: str = ""
    last_step: int = NEVER_USED
    budget: FactorBudget = UNTRIED
    confirmed_at: int = 0
    usable_at: int = 0
    backup: bool = False

    @property
    def seal_context(self) -> str:
        return seal_context(self.account_id, self.environment, self.authenticator_id, self.generation, kind=self.kind)

    @property
    def was_bound(self) -> bool:
        """Whether it served once, whatever became of it."""
        return self.state not in (AuthenticatorState.PENDING, AuthenticatorState.EXPIRED)

    def is_open_to(self, session_id: str, now_ms: int) -> bool:
        """Whether this session may still finish this enrolment."""
        return self.session_id == session_id and now_ms < self.expires_at

    @property
    def stored(self) -> StoredSecret:
        """Its secret in its place."""
        return StoredSecret(self.account_id, "authenticator", self.authenticator_id, self.seal_context, self.secret)

    def must_be_confirmable(self, *, session_id: str, now_ms: int) -> None:
        """Raises Refused unless this pending enrolment belongs to this session and is still in time (B10)."""
        if self.session_id != session_id:
            raise Refused(Reason.UNKNOWN_ID, "no such enrolment")
        if not may_step(self.state, AuthenticatorState.ACTIVE):
            raise Refused(Reason.ENROLMENT_NOT_PENDING)
        if now_ms >= self.expires_at:
            raise Refused(Reason.ENROLMENT_EXPIRED)


def seal_context(
    account_id: str,
    environment: Environment,
    authenticator_id: str,
    generation: int,
    *,
    kind: AuthenticatorKind = AuthenticatorKind.TOTP,
) -> str:
    """The associated data of a sealed secret: a row pasted over another, or an old one, does not open (B82, B83)."""
    return f"{kind}|{account_id}|{environment}|{authenticator_id}|{generation}"


def may_step(before: AuthenticatorState, after: AuthenticatorState) -> bool:
    """Whether the machine above has this step."""
    return after in ENROLMENT_STEPS[before]
