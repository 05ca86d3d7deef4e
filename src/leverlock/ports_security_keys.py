"""The part of `ports.Transaction` that concerns security keys and their ceremonies; with it the verifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from leverlock.domain.security_key import Ceremony, Purpose, SecurityKey, SecurityKeyState


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who we are to a key. `rp_id` is a domain, `origins` the exact pages that may use a key registered for it."""

    rp_id: str
    name: str
    origins: tuple[str, ...]
    device_bound: bool = False  # refuse keys whose secret may be copied to other devices (NIST SP 800-63B-4, AAL3)
    user_verification: bool = True  # a PIN or a fingerprint, and not a touch alone


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a browser answered to a registration, decoded and still untrusted."""

    credential_id: bytes
    client_data: bytes
    attestation_object: bytes
    transports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a browser answered to a request for a signature, decoded and still untrusted."""

    credential_id: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    user_handle: bytes | None = None


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What a verified registration is about."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    synced: bool


@dataclass(frozen=True, slots=True)
class Signed:
    """A verified signature: whose, and what the key's counter says. Whether the counter fits is for the caller."""

    key: SecurityKey
    sign_count: int


class KeyDenied(Exception):
    """An attestation or assertion was not accepted. `step` names the check, for the audit trail."""

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self.step = step


class SecurityKeyVerifier(Protocol):
    """Verifies what keys sign (WebAuthn Level 3, sections 7.1 and 7.2)."""

    @property
    def relying_party(self) -> RelyingParty: ...

    @property
    def algorithms(self) -> tuple[int, ...]:
        """The COSE algorithms that are offered, the preferred one first."""
        ...

    def verify_registration(self, attestation: Attestation, *, expected_challenge: bytes) -> NewCredential:
        """The credential. Raises KeyDenied; returns nothing else."""
        ...

    def verify_assertion(
        self,
        assertion: Assertion,
        *,
        expected_challenge: bytes,
        expected_user: bytes,
        expected_keys: Sequence[SecurityKey],
    ) -> Signed:
        """Which of `expected_keys` signed. Raises KeyDenied; returns nothing else."""
        ...


class SecurityKeyTransaction(Protocol):
    """Security keys of an account, and the ceremonies that wait for one."""

    def security_keys(self, account_id: str) -> list[SecurityKey]:
        """Those that were not removed, the oldest first."""
        ...

    def security_key(self, account_id: str, key_id: str) -> SecurityKey | None: ...
    def insert_security_key(self, key: SecurityKey) -> bool:
        """False when the credential is known already, of whichever account and whether removed or not (B28)."""
        ...

    def rename_security_key(self, account_id: str, key_id: str, *, label: str) -> bool: ...
    def key_signed(self, signed: Signed) -> bool:
        """Its counter and its use are written down; False when the counter that is stored is not below (B27)."""
        ...

    def set_security_key_state(self, key: SecurityKey, *, to: SecurityKeyState) -> bool: ...
    def open_ceremony(self, ceremony: Ceremony) -> None:
        """The only one of this session, purpose and subject from here on."""
        ...

    def take_ceremony(self, account_id: str, session_id: str, purpose: Purpose, subject: str = "") -> Ceremony | None:
        """It is gone from here on, also when the use case raises (B23). None when another was quicker or it is late."""
        ...
