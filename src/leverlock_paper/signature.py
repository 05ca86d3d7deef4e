"""Who calls: the API key, the freshness of the call and its signature over the raw bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from leverlock_paper.errors import refusal

DEFAULT_RECEIVE_WINDOW_MS = 5_000
LONGEST_RECEIVE_WINDOW_MS = 60_000
LEAD_MS = 1_000  # how far a caller's clock may run ahead of the venue's


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key of one account, with the real venue's permission flags."""

    key: str
    account: int
    kind: str  # "HMAC" or "ED25519"
    secret: str  # the HMAC secret, or the PEM of the Ed25519 public key
    reading: bool
    futures: bool
    withdrawals: bool
    universal_transfer: bool
    ip_restrict: bool
    ips: tuple[str, ...]
    created: int
    margin: bool


def check_freshness(now: int, timestamp: int, receive_window: int) -> None:
    """Not more than a second ahead, not older than the receive window. Raises -1021, -1131."""
    if receive_window > LONGEST_RECEIVE_WINDOW_MS:
        raise refusal(-1131)
    if timestamp >= now + LEAD_MS:
        raise refusal(-1021, "was 1000ms ahead of the server's time")
    if now - timestamp > receive_window:
        raise refusal(-1021, "is outside of the recvWindow")


def signed_text(raw_query: bytes, raw_body: bytes) -> tuple[bytes, str]:
    """The signed bytes (query and body joined with nothing, both without `signature`) and the signature."""
    found: list[bytes] = []
    kept: list[bytes] = []
    for raw in (raw_query, raw_body):
        pieces = raw.split(b"&") if raw else []
        found += [piece[len(b"signature=") :] for piece in pieces if piece.startswith(b"signature=")]
        kept.append(b"&".join(piece for piece in pieces if not piece.startswith(b"signature=")))
    if not found or not found[0]:
        raise refusal(-1102, "signature")
    if len(found) > 1:
        raise refusal(-1101, "signature")
    return b"".join(kept), found[0].decode("latin-1")


def check_signature(key: ApiKey, raw_query: bytes, raw_body: bytes) -> None:
    """HMAC-SHA256 in hex, or Ed25519 in (percent-encoded) base64. Raises -1022."""
    text, signature = signed_text(raw_query, raw_body)
    if key.kind == "HMAC":
        expected = hmac.new(key.secret.encode(), text, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.lower().encode("latin-1")):
            raise refusal(-1022)
        return
    try:
        public_key_of(key.secret).verify(base64.b64decode(unquote(signature), validate=True), text)
    except (InvalidSignature, binascii.Error, ValueError):
        raise refusal(-1022) from None


def public_key_of(pem: str) -> Ed25519PublicKey:
    """The Ed25519 key of a PEM text. Raises ValueError for anything else."""
    public_key = load_pem_public_key(pem.encode())
    if not isinstance(public_key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key")
    return public_key
