"""The host's statement as a signed token: a compact JWS (RFC 7515) with every choice pinned (RFC 8725, B87).

The header has `alg`, `typ` and `kid` and nothing else; the algorithm is the one of the registered key, so the token
chooses none. The claims are exactly those below. What is left out, added or of another type is refused.

| claim | what it must be |
|---|---|
| `iss` | the integrator's id |
| `sub` | the account's id |
| `aud` | this deployment's API, as one string |
| `jti` | 16 to 128 characters, never used before |
| `iat`, `exp` | seconds; at most 60 s old, and valid for at most 60 s |
| `action_digest` | the digest of the very action that is asked for, in hex |
| `authenticated_at` | seconds; when the host's session began |
| `password_verified_at` | seconds; when the password was typed, at most 60 s ago |
"""

from __future__ import annotations

import hmac
import json
import warnings
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey

from leverlock.domain.errors import Reason, Refused
from leverlock.domain.host_statement import (
    JTI_MAX,
    JTI_MIN,
    SKEW_MS,
    TYPE,
    Algorithm,
    HostStatement,
    IntegratorKey,
    StatementBroken,
    StatementFault,
)
from leverlock.domain.limits import Limits

# RFC 9864 deprecates the name because it leaves the curve open; here the registered key says which one it is.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)

MAX_LENGTH: Final = 4096
HEADER: Final = frozenset({"alg", "typ", "kid"})
TEXTS: Final = ("iss", "sub", "aud", "jti", "action_digest")
TIMES: Final = ("iat", "exp", "authenticated_at", "password_verified_at")
FARTHEST: Final = 2**40  # seconds; a time behind it is no time


class HostStatementVerifier:
    """`ports.StatementVerifier`. `audience` is this deployment's own name, which a statement must be made for."""

    def __init__(self, *, audience: str, limits: Limits) -> None:
        self.audience = audience
        self._limits = limits

    def key_id(self, statement: str) -> str:
        """The id of the key it says it was signed with; nothing is verified yet. Raises StatementBroken."""
        return str(_header(statement)["kid"])

    def verify(
        self,
        statement: str,
        *,
        key: IntegratorKey,
        expected_issuer: str,
        expected_subject: str,
        expected_digest: str,
        now_ms: int,
    ) -> HostStatement:
        """What it says, once everything about it holds. Raises StatementBroken, and returns nothing else."""
        header = _header(statement)
        _must(header["typ"] == TYPE, StatementFault.TYPE)
        _must(header["alg"] == key.algorithm.value, StatementFault.ALGORITHM)
        _must(header["kid"] == key.key_id, StatementFault.KEY)
        claims = _claims(_payload(statement, key))
        _must(_same(claims["iss"], expected_issuer), StatementFault.ISSUER)
        _must(_same(claims["sub"], expected_subject), StatementFault.SUBJECT)
        _must(_same(claims["aud"], self.audience), StatementFault.AUDIENCE)
        _must(_same(claims["action_digest"], expected_digest), StatementFault.ACTION)
        told = HostStatement(claims["jti"], *(claims[name] * 1000 for name in TIMES))
        life, latest = self._limits.statement_life_ms, now_ms + SKEW_MS
        in_time = now_ms - life <= told.issued_at <= latest and now_ms < told.expires_at <= told.issued_at + life
        _must(in_time, StatementFault.TIME)
        _must(told.authenticated_at <= told.password_verified_at <= latest, StatementFault.PASSWORD_TIME)
        _must(now_ms - life <= told.password_verified_at, StatementFault.PASSWORD_TIME)
        return told


def integrator_public_key(text: str) -> tuple[Algorithm, bytes]:
    """The algorithm and the DER of a host's public key given as PEM. Raises Refused(MALFORMED)."""
    refused = Refused(Reason.MALFORMED, "expected an Ed25519 or P-256 public key as PEM", field="public_key")
    try:
        key = load_pem_public_key(text.strip().encode())
    except (ValueError, UnsupportedAlgorithm, UnicodeEncodeError):
        raise refused from None
    if isinstance(key, Ed25519PublicKey):
        algorithm = Algorithm.EDDSA
    elif isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        algorithm = Algorithm.ES256
    else:
        raise refused
    return algorithm, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _header(statement: str) -> dict[str, Any]:
    _must(len(statement) <= MAX_LENGTH and statement.isascii() and statement.count(".") == 2, StatementFault.FORM)
    try:
        header: Any = jws.extract_compact(statement.encode()).protected
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise StatementBroken(StatementFault.FORM) from None
    named = isinstance(header, dict) and set(header) == HEADER
    _must(named and all(isinstance(value, str) for value in header.values()), StatementFault.FORM)
    return dict(header)


def _payload(statement: str, key: IntegratorKey) -> bytes:
    """The bytes that the signature covers."""
    public = load_der_public_key(key.public_key)
    verifying = OKPKey.import_key(public) if isinstance(public, Ed25519PublicKey) else ECKey.import_key(public)  # type: ignore[arg-type]
    try:
        return jws.deserialize_compact(statement, verifying, algorithms=[key.algorithm.value]).payload
    except (JoseError, ValueError, TypeError):
        raise StatementBroken(StatementFault.SIGNATURE) from None


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise StatementBroken(StatementFault.FORM) from None
    return _checked(claims)


def _checked(claims: Any) -> dict[str, Any]:
    _must(isinstance(claims, dict) and set(claims) == {*TEXTS, *TIMES}, StatementFault.FORM)
    _must(all(isinstance(claims[name], str) and claims[name].isascii() for name in TEXTS), StatementFault.FORM)
    _must(all(type(claims[name]) is int and 0 <= claims[name] <= FARTHEST for name in TIMES), StatementFault.FORM)
    jti = claims["jti"]
    _must(JTI_MIN <= len(jti) <= JTI_MAX and jti.isprintable(), StatementFault.FORM)
    return dict(claims)


def _same(told: str, expected: str) -> bool:
    return hmac.compare_digest(told.encode(), expected.encode())


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _must(holds: bool, fault: StatementFault) -> None:
    if not holds:
        raise StatementBroken(fault)
