"""What a host says about its own user: who he is, and that he has just typed his password (semantics 14).

A venue has logins and passwords already. Its back end may say, about one action of one account, that the password was
checked; that stands for the password alone, never for a code or a key of the owner's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

TYPE: Final = "leverlock-identity+jwt"  # RFC 8725 section 3.11: what it is for, so that no other token passes for it
SKEW_MS: Final = 5_000  # how far a host's clock may be ahead of ours
JTI_MIN: Final = 16  # characters
JTI_MAX: Final = 128


class Algorithm(StrEnum):
    """One for each kind of key; which one is the key's to say, never the token's (RFC 8725 section 3.1)."""

    EDDSA = "EdDSA"  # Ed25519, RFC 8037
    ES256 = "ES256"  # P-256, RFC 7518


@dataclass(frozen=True, slots=True)
class IntegratorKey:
    """A host's public key, registered by an operator. `public_key` is its DER SubjectPublicKeyInfo."""

    key_id: str
    integrator_id: str
    algorithm: Algorithm
    public_key: bytes
    created_at: int
    removed: bool = False


@dataclass(frozen=True, slots=True)
class HostStatement:
    """A statement whose signature, form and time hold. Times are milliseconds."""

    jti: str
    issued_at: int
    expires_at: int
    authenticated_at: int
    password_verified_at: int


class StatementFault(StrEnum):
    """Why a statement does not hold: for the audit trail, and for the host that has to mend it."""

    FORM = "form"  # not a compact JWS with exactly the header and the claims that are documented
    KEY = "key"  # no key of this id, or not this host's
    ALGORITHM = "algorithm"  # another than the key's
    TYPE = "type"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    SUBJECT = "subject"
    AUDIENCE = "audience"
    ACTION = "action"  # made about another action
    TIME = "time"  # too old, run out, or from a time to come
    PASSWORD_TIME = "password_time"  # the password was typed too long ago
    USED = "used"


class StatementBroken(Exception):
    """A statement does not hold. Always a refusal."""

    def __init__(self, fault: StatementFault) -> None:
        super().__init__(fault.value)
        self.fault = fault
