"""The demo's security key: a FIDO2 authenticator in software, with one credential and no attestation.

What a browser and a key answer together (WebAuthn Level 3, sections 5.8.1, 6.1 and 6.5): the client's data as JSON, the
authenticator's data, and a signature over both.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT_AND_VERIFIED: Final = 0x05
WITH_CREDENTIAL: Final = 0x40
ES256: Final = -7


@dataclass
class DemoKey:
    """`origin` is the page that asks; `rp_id` the domain that the key is registered for."""

    rp_id: str
    origin: str
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    secret: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    count: int = 0

    def register(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to registration options, as the API takes it."""
        numbers = self.secret.public_key().public_numbers()
        public_key = cbor2.dumps(
            {1: 2, 3: ES256, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        )
        credential = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + public_key
        data = self._data(PRESENT_AND_VERIFIED | WITH_CREDENTIAL) + credential
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", options)
        return self._answer({"clientDataJSON": _text(client), "attestationObject": _text(made)})

    def sign(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request for a signature."""
        client, data = self._client("webauthn.get", options), self._data(PRESENT_AND_VERIFIED)
        signature = self.secret.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {"clientDataJSON": _text(client), "authenticatorData": _text(data), "signature": _text(signature)}
        )

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        told = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(told).encode()

    def _data(self, flags: int) -> bytes:
        self.count += 1
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _answer(self, response: dict[str, str]) -> dict[str, Any]:
        name = _text(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
