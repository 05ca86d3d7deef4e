"""A client's public key, as he hands it in."""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from leverlock.domain.errors import Reason, Refused

FIELD = "ed25519_public_key"


def ed25519_public_key(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key given as PEM or as base64 of them. Raises Refused(MALFORMED)."""
    refused = Refused(Reason.MALFORMED, "expected an Ed25519 public key, as PEM or base64", field=FIELD)
    text = text.strip()
    if text.startswith("-----BEGIN"):
        try:
            key = load_pem_public_key(text.encode())
        except ValueError:
            raise refused from None
        if not isinstance(key, Ed25519PublicKey):
            raise refused
        return key.public_bytes_raw()
    try:
        raw = base64.b64decode(text, validate=True)
        Ed25519PublicKey.from_public_bytes(raw)
    except (binascii.Error, ValueError):
        raise refused from None
    return raw
