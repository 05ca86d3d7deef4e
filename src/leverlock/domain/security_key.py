"""Security keys: FIDO2 credentials of one account, and the ceremonies in which they are used (M22).

    active ──► suspended   its counter ran back: there may be a copy of it (WebAuthn section 6.1.1)
       └─────► removed     with a key, or without one after a day; a suspended one as well

A key serves the login challenge at once. It authorises movements, and removes other keys, only a day after it was
added, so that whoever added one with a stolen session has to wait under the owner's eyes. A suspended one still
completes a login, behind the password, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_CREDENTIAL_ID: Final = 1023  # bytes, WebAuthn section 7.1 step 25
NONCE_BYTES: Final = 32
MAX_KEYS: Final = 10  # of one account; every one of them is named in the options of every ceremony


class SecurityKeyState(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"


STEPS: Final[dict[SecurityKeyState, frozenset[SecurityKeyState]]] = {
    SecurityKeyState.ACTIVE: frozenset({SecurityKeyState.SUSPENDED, SecurityKeyState.REMOVED}),
    SecurityKeyState.SUSPENDED: frozenset({SecurityKeyState.REMOVED}),
    SecurityKeyState.REMOVED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class SecurityKey:
    """A stored credential. `public_key` is its COSE form; `synced` is its backup-eligible flag, fixed when it was added
    (WebAuthn section 6.1.3)."""

    account_id: str
    key_id: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    synced: bool
    label: str
    transports: tuple[str, ...]
    created_at: int
    serves_movements_at: int
    state: SecurityKeyState = SecurityKeyState.ACTIVE
    last_used_at: int = 0

    @property
    def here(self) -> bool:
        """Whether it is still the account's: it completes a login."""
        return self.state is not SecurityKeyState.REMOVED

    def serves_movements(self, now_ms: int) -> bool:
        """Whether it authorises movements and the removal of other keys now."""
        return self.state is SecurityKeyState.ACTIVE and now_ms >= self.serves_movements_at


class Purpose(StrEnum):
    """What a ceremony is for. An assertion made for one never serves another (B24)."""

    REGISTER = "register"
    LOGIN = "login"
    MOVEMENT = "movement"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What a key is to sign: a random challenge, bound to purpose, account, session and, for a movement or a removal,
    to the challenge it answers. At most one is open for each of these; the newest counts (B23)."""

    account_id: str
    session_id: str
    purpose: Purpose
    subject: str  # the challenge it answers; empty for a login or a registration
    challenge: bytes
    expires_at: int
    label: str = ""  # of the key that is being registered


def signed_challenge(nonce: bytes, digest: bytes = b"") -> bytes:
    """What is to be signed: 32 random bytes, then the digest of the action, so that the key signs the action itself."""
    if len(nonce) != NONCE_BYTES or len(digest) not in (0, 32):
        raise ValueError("a WebAuthn challenge is 32 random bytes and, for an action, its digest")
    return nonce + digest


def may_step(before: SecurityKeyState, after: SecurityKeyState) -> bool:
    """Whether the machine above has this step."""
    return after in STEPS[before]


def counter_advances(stored: int, given: int) -> bool:
    """WebAuthn section 7.2 step 22: it grew, or this key does not count at all."""
    return given > stored or given == stored == 0
