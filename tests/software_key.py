"""A security key in software: what a browser and an authenticator answer together, by `fido2` and `cryptography`.

    key = SoftwareKey()
    answer = key.register(options)            # options as the API gives them; the answer as the API takes it
    answer = key.sign(options)

Honest unless told otherwise: every part of an answer can be spoilt by its name (`Spoilt`), and is then signed as it is,
so that exactly one thing about it is wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from fido2 import cbor
from fido2.cose import ES256, RS256, CoseKey, EdDSA
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AuthenticatorData

RP_ID = "localhost"
ORIGIN = "http://localhost:8700"
FLAG = AuthenticatorData.FLAG


@dataclass(frozen=True, kw_only=True)
class Spoilt:
    """What is to be wrong, or different. None: as it should be."""

    type: str | None = None
    challenge: bytes | str | None = None
    origin: str | None = None
    cross_origin: Any = None
    top_origin: str | None = None
    client_data: bytes | None = None
    rp_id: str | None = None
    present: bool = True
    verified: bool = True
    eligible: bool | None = None
    backed_up: bool = False
    count: int | None = None
    credential_id: bytes | None = None  # as it is sent
    inner_id: bytes | None = None  # as it stands in the authenticator data
    user_handle: bytes | None = None
    public_key: dict[int, Any] | None = None
    fmt: str = "none"
    statement: dict[str, Any] | None = None
    trailing: bytes = b""
    extensions: dict[str, Any] | None = None
    signature: bytes | None = None
    signer: SoftwareKey | None = None


HONEST = Spoilt()


@dataclass
class SoftwareKey:
    """One authenticator with one credential for one site. `synced`: its secret may be copied to other devices."""

    algorithm: str = "ES256"
    synced: bool = False
    counts: bool = True
    rp_id: str = RP_ID
    origin: str = ORIGIN
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    count: int = 0
    user_handle: bytes | None = None  # a credential found without being named tells whose it is
    secret: Any = None

    def __post_init__(self) -> None:
        if self.algorithm == "ES256":
            self.secret = ec.generate_private_key(ec.SECP256R1())
        elif self.algorithm == "EdDSA":
            self.secret = ed25519.Ed25519PrivateKey.generate()
        else:
            self.secret = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_key(self) -> CoseKey:
        kind = {"ES256": ES256, "EdDSA": EdDSA, "RS256": RS256}[self.algorithm]
        return kind.from_cryptography_key(self.secret.public_key())

    def raw_signature(self, data: bytes) -> bytes:
        if self.algorithm == "ES256":
            return self.secret.sign(data, ec.ECDSA(hashes.SHA256()))
        if self.algorithm == "EdDSA":
            return self.secret.sign(data)
        return self.secret.sign(data, padding.PKCS1v15(), hashes.SHA256())

    # -- the two ceremonies ------------------------------------------------------------------------------------------
    def register(self, options: dict[str, Any], spoilt: Spoilt = HONEST) -> dict[str, Any]:
        """The answer to registration options."""
        client_data = self._client_data("webauthn.create", options, spoilt)
        public_key = dict(self.public_key) if spoilt.public_key is None else spoilt.public_key
        given = (spoilt.inner_id, spoilt.credential_id, self.credential_id)
        inner = next(one for one in given if one is not None)
        attested = bytes(16) + len(inner).to_bytes(2, "big") + inner + cbor.encode(public_key)
        data = self._authenticator_data(spoilt, attested)
        statement = spoilt.statement
        if statement is None:
            statement = {}
            if spoilt.fmt == "packed":
                signed = (spoilt.signer or self).raw_signature(data + hashlib.sha256(client_data).digest())
                statement = {"alg": self.public_key[3], "sig": spoilt.signature or signed}
        made = cbor.encode({"fmt": spoilt.fmt, "attStmt": statement, "authData": data})
        response = {"clientDataJSON": websafe_encode(client_data), "attestationObject": websafe_encode(made)}
        return self._credential(spoilt, {**response, "transports": ["usb"]})

    def sign(self, options: dict[str, Any], spoilt: Spoilt = HONEST) -> dict[str, Any]:
        """The answer to a request for a signature."""
        client_data = self._client_data("webauthn.get", options, spoilt)
        data = self._authenticator_data(spoilt)
        signature = (spoilt.signer or self).raw_signature(data + hashlib.sha256(client_data).digest())
        response = {
            "clientDataJSON": websafe_encode(client_data),
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(signature if spoilt.signature is None else spoilt.signature),
        }
        handle = spoilt.user_handle if spoilt.user_handle is not None else self.user_handle
        if handle is not None:
            response["userHandle"] = websafe_encode(handle)
        return self._credential(spoilt, response)

    # -- their parts -------------------------------------------------------------------------------------------------
    def _client_data(self, kind: str, options: dict[str, Any], spoilt: Spoilt) -> bytes:
        if spoilt.client_data is not None:
            return spoilt.client_data
        challenge = options["challenge"] if spoilt.challenge is None else spoilt.challenge
        told: dict[str, Any] = {
            "type": spoilt.type or kind,
            "challenge": websafe_encode(challenge) if isinstance(challenge, bytes) else challenge,
            "origin": spoilt.origin or self.origin,
            "crossOrigin": False if spoilt.cross_origin is None else spoilt.cross_origin,
        }
        if spoilt.top_origin is not None:
            told["topOrigin"] = spoilt.top_origin
        return json.dumps(told, separators=(",", ":")).encode()

    def _authenticator_data(self, spoilt: Spoilt, attested: bytes = b"") -> bytes:
        if spoilt.count is not None:
            self.count = spoilt.count
        elif self.counts:
            self.count += 1
        eligible = self.synced if spoilt.eligible is None else spoilt.eligible
        flags = FLAG(0)
        for flag, is_set in (
            (FLAG.UP, spoilt.present),
            (FLAG.UV, spoilt.verified),
            (FLAG.BE, eligible),
            (FLAG.BS, spoilt.backed_up),
            (FLAG.AT, bool(attested)),
            (FLAG.ED, spoilt.extensions is not None),
        ):
            flags |= flag if is_set else FLAG(0)
        site = hashlib.sha256((spoilt.rp_id or self.rp_id).encode()).digest()
        data = site + bytes([flags]) + self.count.to_bytes(4, "big") + bytes(attested)
        if spoilt.extensions is not None:
            data += cbor.encode(spoilt.extensions)
        return data + spoilt.trailing

    def _credential(self, spoilt: Spoilt, response: dict[str, Any]) -> dict[str, Any]:
        named = websafe_encode(spoilt.credential_id or self.credential_id)
        return {
            "id": named,
            "rawId": named,
            "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "clientExtensionResults": {},
            "response": response,
        }


def decoded(answer: dict[str, Any]) -> dict[str, Any]:
    """The parts of an answer as bytes, by the names that `Assertion` and `Attestation` have."""
    response = answer["response"]
    parts: dict[str, Any] = {
        "credential_id": websafe_decode(answer["rawId"]),
        "client_data": websafe_decode(response["clientDataJSON"]),
    }
    if "attestationObject" in response:
        return {**parts, "attestation_object": websafe_decode(response["attestationObject"])}
    handle = response.get("userHandle")
    return {
        **parts,
        "authenticator_data": websafe_decode(response["authenticatorData"]),
        "signature": websafe_decode(response["signature"]),
        "user_handle": None if handle is None else websafe_decode(handle),
    }
