"""base64url without padding (RFC 4648 section 5): the one spelling that we write, and the only one that we read."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode


def base64url(raw: bytes) -> str:
    """The spelling of these bytes."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def bytes_of(text: str) -> bytes:
    """The bytes that are spelt so. Raises ValueError for any other spelling of them, and for nothing."""
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if not raw or base64url(raw) != text:
        raise ValueError("expected base64url without padding")
    return raw
