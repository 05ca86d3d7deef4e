"""The keys of the dialect: HMAC-SHA256 (hex) and Ed25519 (base64), for checking and for making signatures."""

import binascii
import hmac
from typing import Final, Protocol
from urllib.parse import quote_from_bytes, unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_HEX_LENGTH: Final = 64
_HEX_DIGITS: Final = b"0123456789abcdef"
_BASE64_LENGTH: Final = 88  # 64 bytes


class VerifyingKey(Protocol):
    """What the gateway holds of a client's key."""

    def decoded(self, wire: bytes) -> bytes | None:
        """The signature's bytes from its wire form, None when that form is not the canonical one.

        One signature has one accepted spelling (and, for base64, its percent-encoded twin), so that equal
        signatures are equal bytes in the replay cache.
        """

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether `signature` (decoded) was made over exactly `text`."""


class SigningKey(Protocol):
    """What the gateway holds of its own key at the venue."""

    def signed(self, text: bytes) -> bytes:
        """The signature over `text` in wire form, percent-encoded where it needs to be."""


class HmacKey:
    """A shared secret: HMAC-SHA256 over the text, 64 lower-case hex digits on the wire."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if not secret:
            raise ValueError("An HMAC secret cannot be empty.")
        self._secret: Final = secret

    def __repr__(self) -> str:
        return "HmacKey(...)"

    def decoded(self, wire: bytes) -> bytes | None:
        if len(wire) != _HEX_LENGTH or wire.translate(None, _HEX_DIGITS):
            return None
        return binascii.unhexlify(wire)

    def verifies(self, text: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(self._secret, text, "sha256"), signature)

    def signed(self, text: bytes) -> bytes:
        return binascii.hexlify(hmac.digest(self._secret, text, "sha256"))


class Ed25519ClientKey:
    """A client's public key: the gateway can check his signatures and cannot make them."""

    __slots__ = ("_public",)

    def __init__(self, public: Ed25519PublicKey) -> None:
        self._public: Final = public

    def decoded(self, wire: bytes) -> bytes | None:
        # Clients send base64 either percent-encoded or as it is; a literal `+` means itself in a signature.
        if b"%" in wire:
            wire = unquote_to_bytes(wire)
        if len(wire) != _BASE64_LENGTH:
            return None
        try:
            signature = binascii.a2b_base64(wire, strict_mode=True)
        except binascii.Error:
            return None
        # The last character before the padding has four unused bits; only the spelling with zeros counts.
        if binascii.b2a_base64(signature, newline=False) != wire:
            return None
        return signature

    def verifies(self, text: bytes, signature: bytes) -> bool:
        try:
            self._public.verify(signature, text)
        except InvalidSignature:
            return False
        return True


class Ed25519VenueKey:
    """The gateway's private key at the venue."""

    __slots__ = ("_private",)

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private: Final = private

    def __repr__(self) -> str:
        return "Ed25519VenueKey(...)"

    def signed(self, text: bytes) -> bytes:
        encoded = binascii.b2a_base64(self._private.sign(text), newline=False)
        return quote_from_bytes(encoded, safe="").encode("ascii")
