"""API keys: what a client holds instead of the venue's own key, and the upstream account each one reaches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leverlock.domain.authenticator import SealedSecret, StoredSecret
from leverlock.domain.key_terms import READ_ONLY, KeyTerms, Scope, allowed_from


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
    `legacy`: existed when the account first switched Futures protection on, and not edited since (M21); it ends at
    `legacy_ends_at`, where an operator set a date. `otp_allowed`: its calls may carry a code (semantics 5), for
    terminals with a human in front; off by default. `ips`: whence it may be used; empty means from anywhere.
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
    scopes: frozenset[Scope] = READ_ONLY
    ips: tuple[str, ...] = ()
    edited_at: int = 0
    legacy_ends_at: int | None = None

    @property
    def terms(self) -> KeyTerms:
        """What its owner agreed to."""
        return KeyTerms(self.label, self.scopes, self.ips, self.otp_allowed)

    def legacy_at(self, now_ms: int) -> bool:
        """Whether it is spared the challenges of semantics 6 now."""
        return self.legacy and (self.legacy_ends_at is None or now_ms < self.legacy_ends_at)

    def may_come_from(self, peer: str) -> bool:
        """Whether its list of addresses has the peer."""
        return allowed_from(self.ips, peer)

    @property
    def live(self) -> bool:
        """Whether it may be used, or may be again."""
        return self.state is not KeyState.REVOKED

    @property
    def principal(self) -> str:
        return f"key:{self.key_id}"

    @property
    def seal_context(self) -> str:
        return key_context(self.account_id, self.key_id)

    @property
    def stored(self) -> StoredSecret | None:
        """Its secret in its place; None where only a public key is kept."""
        if self.secret is None:
            return None
        return StoredSecret(self.account_id, "api_key", self.key_id, self.seal_context, self.secret)


@dataclass(frozen=True, slots=True)
class LegacyUse:
    """How often a legacy key was spared a challenge, and when last: what would break if the sparing ended.

    A statistic. It is counted in memory and written now and then; nothing is decided by it.
    """

    account_id: str
    key_id: str
    action: str
    uses: int
    last_at: int


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

    @property
    def stored(self) -> StoredSecret:
        """The venue's key in its place."""
        return StoredSecret(self.account_id, "upstream", self.upstream_id, self.seal_context, self.secret)


def key_context(account_id: str, key_id: str) -> str:
    """The associated data of a sealed key secret."""
    return f"api-key|{account_id}|{key_id}"


def upstream_context(account_id: str, upstream_id: str) -> str:
    """The associated data of a sealed venue key."""
    return f"upstream|{account_id}|{upstream_id}"
