"""API keys: what a client holds instead of the venue's own key, and the upstream account each one reaches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leverlock.domain.authenticator import SealedSecret


class KeyAlgorithm(StrEnum):
    HMAC_SHA256 = "hmac-sha256"
    ED25519 = "ed25519"


class KeyState(StrEnum):
    ACTIVE = "active"
    FROZEN = "frozen"  # the owner said "this was not me"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key issued by Leverlock for one upstream account.

    `secret` is sealed for HMAC (the server must compute the same MAC); for Ed25519 only `public_key` is kept.
    `legacy`: existed when the account first switched Futures protection on, and not edited since (M21).
    `otp_allowed`: its calls may carry a code (semantics 5), for terminals with a human in front; off by default.
    """

    account_id: str
    key_id: str
    api_key: str
    label: str
    algorithm: KeyAlgorithm
    state: KeyState
    upstream_id: str
    created_at: int
    legacy: bool = False
    otp_allowed: bool = False
    secret: SealedSecret | None = None
    public_key: bytes | None = None

    @property
    def principal(self) -> str:
        return f"key:{self.key_id}"

    @property
    def seal_context(self) -> str:
        return key_context(self.account_id, self.key_id)


@dataclass(frozen=True, slots=True)
class Upstream:
    """An account at a venue whose real key lives here, sealed; clients only ever hold ours."""

    account_id: str
    upstream_id: str
    label: str
    dialect: str
    base_urls: dict[str, str]
    api_key: str
    algorithm: KeyAlgorithm
    secret: SealedSecret
    created_at: int
    removed: bool = False

    @property
    def seal_context(self) -> str:
        return upstream_context(self.account_id, self.upstream_id)


def key_context(account_id: str, key_id: str) -> str:
    """The associated data of a sealed key secret."""
    return f"api-key|{account_id}|{key_id}"


def upstream_context(account_id: str, upstream_id: str) -> str:
    """The associated data of a sealed venue key."""
    return f"upstream|{account_id}|{upstream_id}"
