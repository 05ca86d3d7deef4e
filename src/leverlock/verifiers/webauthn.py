"""WebAuthn: verifies what a security key signed (Level 3, sections 7.1 and 7.2).

The library parses authenticator data and public keys, and verifies signatures. What it leaves to its caller is checked
here, each by the name that the audit trail is told:

    form            the bytes are as large and as plainly built as an honest answer's
    client_data     one JSON object, no name twice                            7.1 step 6, 7.2 step 9
    challenge       exactly ours, letter by letter                            7.1 step 8, 7.2 step 11
    origin          one of the pages that were set, exactly                   7.1 step 9, 7.2 step 12
    cross_origin    no other page's frame, and no page above it               7.1 steps 10-11, 7.2 steps 13-14
    credential      named as it was sent, at most 1023 bytes                  7.1 step 25
    attestation     none, or by the credential itself: nobody is asked who made a key
    algorithm       one of those that were offered                            7.1 step 20
    backup          BS implies BE; BE is as it was when the key was added     7.1 steps 16-17, 7.2 steps 18-19
    synced          a key that may be copied, where only device-bound ones serve
    not_allowed     one of the account's own keys that may answer here        7.2 steps 5-6
    user            the user handle, where there is one, is this account's    7.2 step 6

Whatever else goes wrong, and whatever the library answers but a plain success, is a denial (B26).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from webauthn import verify_authentication_response, verify_registration_response
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import parse_authenticator_data, parse_cbor
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    AuthenticatorData,
    RegistrationCredential,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from leverlock.domain.base64url import base64url
from leverlock.domain.security_key import MAX_CREDENTIAL_ID, SecurityKey
from leverlock.ports_security_keys import Assertion, Attestation, KeyDenied, NewCredential, RelyingParty, Signed
from leverlock.verifiers.plain_cbor import must_be_plain

# In the order of preference. RS256 is what keys inside some laptops speak.
ALGORITHMS: Final = (
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)
MAX_CLIENT_DATA: Final = 4096  # bytes; an origin and a challenge take 300
MAX_AUTHENTICATOR_DATA: Final = 4096  # the longest credential id, a public key, and room for extensions
MAX_SIGNATURE: Final = 1024  # RSA of 8192 bits

_HEAD: Final = 37  # hash of the RP id, flags, counter
_ATTESTED: Final = 18  # AAGUID, and the length of the credential id
_AT, _ED = 0x40, 0x80


class WebAuthnVerifier:
    """`ports.SecurityKeyVerifier`."""

    def __init__(self, relying_party: RelyingParty) -> None:
        self._party = relying_party

    @property
    def relying_party(self) -> RelyingParty:
        return self._party

    @property
    def algorithms(self) -> tuple[int, ...]:
        return tuple(int(algorithm) for algorithm in ALGORITHMS)

    def verify_registration(self, attestation: Attestation, *, expected_challenge: bytes) -> NewCredential:
        """The credential that a registration made. Raises KeyDenied for whatever is not exactly right."""
        try:
            return self._registration(attestation, expected_challenge)
        except KeyDenied:
            raise
        except Exception as problem:
            raise KeyDenied(_step_of(problem)) from problem

    def verify_assertion(
        self,
        assertion: Assertion,
        *,
        expected_challenge: bytes,
        expected_user: bytes,
        expected_keys: Sequence[SecurityKey],
    ) -> Signed:
        """Which of these keys signed the challenge. Its counter is returned, not judged. Raises KeyDenied."""
        try:
            return self._assertion(assertion, expected_challenge, expected_user, expected_keys)
        except KeyDenied:
            raise
        except Exception as problem:
            raise KeyDenied(_step_of(problem)) from problem

    def _registration(self, attestation: Attestation, expected_challenge: bytes) -> NewCredential:
        self._check_client_data(attestation.client_data, "webauthn.create", expected_challenge)
        _must(0 < len(attestation.credential_id) <= MAX_CREDENTIAL_ID, "credential")
        data = _attested(attestation.attestation_object)
        verified = verify_registration_response(
            credential=RegistrationCredential(
                id=base64url(attestation.credential_id),
                raw_id=attestation.credential_id,
                response=AuthenticatorAttestationResponse(
                    client_data_json=attestation.client_data, attestation_object=attestation.attestation_object
                ),
            ),
            expected_challenge=expected_challenge,
            expected_rp_id=self._party.rp_id,
            expected_origin=list(self._party.origins),
            require_user_presence=True,
            require_user_verification=self._party.user_verification,
            supported_pub_key_algs=list(ALGORITHMS),
        )
        _must(isinstance(verified, VerifiedRegistration), "library")
        _must(verified.credential_id == attestation.credential_id, "credential")
        _must(not (self._party.device_bound and data.flags.be), "synced")
        return NewCredential(
            verified.credential_id, verified.credential_public_key, verified.sign_count, synced=data.flags.be
        )

    def _assertion(
        self, assertion: Assertion, expected_challenge: bytes, expected_user: bytes, keys: Sequence[SecurityKey]
    ) -> Signed:
        key = next((one for one in keys if one.credential_id == assertion.credential_id), None)
        if key is None:
            raise KeyDenied("not_allowed")
        _must(assertion.user_handle is None or assertion.user_handle == expected_user, "user")
        self._check_client_data(assertion.client_data, "webauthn.get", expected_challenge)
        _must(len(assertion.signature) <= MAX_SIGNATURE, "form")
        data = _authenticator_data(assertion.authenticator_data)
        verified = verify_authentication_response(
            credential=AuthenticationCredential(
                id=base64url(assertion.credential_id),
                raw_id=assertion.credential_id,
                response=AuthenticatorAssertionResponse(
                    client_data_json=assertion.client_data,
                    authenticator_data=assertion.authenticator_data,
                    signature=assertion.signature,
                    user_handle=assertion.user_handle,
                ),
            ),
            expected_challenge=expected_challenge,
            expected_rp_id=self._party.rp_id,
            expected_origin=list(self._party.origins),
            credential_public_key=key.public_key,
            credential_current_sign_count=0,  # judged by our own store, after everything else (B27)
            require_user_verification=self._party.user_verification,
        )
        _must(isinstance(verified, VerifiedAuthentication), "library")
        _must(verified.credential_id == key.credential_id, "credential")
        _must(data.flags.be == key.synced, "backup")
        return Signed(key, verified.new_sign_count)

    def _check_client_data(self, raw: bytes, wanted: str, challenge: bytes) -> None:
        """What the browser says it was asked, by which page, in whose frame."""
        _must(0 < len(raw) <= MAX_CLIENT_DATA, "form")
        told = _object(raw)
        _must(told.get("type") == wanted, "type")
        _must(told.get("challenge") == base64url(challenge), "challenge")
        _must(told.get("origin") in self._party.origins, "origin")
        _must(told.get("crossOrigin", False) is False and "topOrigin" not in told, "cross_origin")


def _must(holds: bool, step: str) -> None:
    if holds is not True:
        raise KeyDenied(step)


def _attested(attestation_object: bytes) -> AuthenticatorData:
    """The authenticator data of a registration, once its form is plain and its attestation one that is accepted."""
    _must(len(attestation_object) <= 2 * MAX_AUTHENTICATOR_DATA, "form")
    must_be_plain(attestation_object)
    decoded = parse_cbor(attestation_object)
    _must(isinstance(decoded, dict) and set(decoded) == {"fmt", "attStmt", "authData"}, "form")
    statement = decoded["attStmt"]
    _must(isinstance(statement, dict) and isinstance(decoded["authData"], bytes), "form")
    by_itself = decoded["fmt"] == "packed" and set(statement) == {"alg", "sig"}
    _must(by_itself or (decoded["fmt"] == "none" and not statement), "attestation")
    data = _authenticator_data(decoded["authData"])
    _must(data.flags.at and data.attested_credential_data is not None, "form")
    return data


def _authenticator_data(raw: bytes) -> AuthenticatorData:
    """The library's reading of authenticator data whose variable part is plain and ends where the data ends."""
    _must(_HEAD <= len(raw) <= MAX_AUTHENTICATOR_DATA, "form")
    flags, rest, items = raw[32], raw[_HEAD:], 0
    if flags & _AT:
        length = int.from_bytes(rest[_ATTESTED - 2 : _ATTESTED], "big")
        _must(0 < length <= MAX_CREDENTIAL_ID and len(rest) > _ATTESTED + length, "credential")
        rest, items = rest[_ATTESTED + length :], 1
    must_be_plain(rest, items=items + bool(flags & _ED))
    data = parse_authenticator_data(raw)
    _must(data.flags.be or not data.flags.bs, "backup")
    return data


def _object(raw: bytes) -> dict[str, Any]:
    """Client data as one JSON object in which no name stands twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _must(len(dict(pairs)) == len(pairs), "client_data")
        return dict(pairs)

    try:
        told = json.loads(raw.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise KeyDenied("client_data") from None
    _must(isinstance(told, dict), "client_data")
    return told  # type: ignore[no-any-return]


_STEPS: Final = {
    "RP ID": "rp_id",
    "not present": "user_presence",
    "presence": "user_presence",
    "verifi": "user_verification",
    "alg": "algorithm",
    "signature": "signature",
}


def _step_of(problem: Exception) -> str:
    """The library's refusal by the name that ours have; the kind of exception for whatever else it was."""
    said = str(problem)
    for words, step in _STEPS.items():
        if words in said:
            return step
    return type(problem).__name__
