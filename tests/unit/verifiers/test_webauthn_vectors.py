"""The specification's own vectors: what another hand made is read as it stands, and what comes from a frame is not."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leverlock.domain.security_key import SecurityKey
from leverlock.ports_security_keys import Assertion, Attestation, KeyDenied, RelyingParty
from leverlock.verifiers import webauthn
from leverlock.verifiers.webauthn import WebAuthnVerifier

VECTORS = Path(__file__).parents[2] / "vectors" / "webauthn.toml"
CREDENTIALS = {one["section"]: one for one in tomllib.loads(VECTORS.read_text())["credential"]}
# The specification's authenticator did not verify its user in all of them.
PARTY = RelyingParty("example.org", "Example", ("https://example.org",), user_verification=False)


def raw(vector: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(vector[name])


def registered(vector: dict[str, Any], party: RelyingParty = PARTY) -> SecurityKey:
    attestation = Attestation(
        raw(vector, "credential_id"), raw(vector, "registration_client_data"), raw(vector, "attestation_object")
    )
    challenge = raw(vector, "registration_challenge")
    made = WebAuthnVerifier(party).verify_registration(attestation, expected_challenge=challenge)
    return SecurityKey(
        "acc", "sk_1", made.credential_id, made.public_key, made.sign_count, made.synced, "key", (), 0, 0
    )


def signed(vector: dict[str, Any], key: SecurityKey, party: RelyingParty = PARTY) -> SecurityKey:
    parts = ("credential_id", "client_data", "authenticator_data", "signature")
    assertion = Assertion(*(raw(vector, name) for name in parts))
    challenge = raw(vector, "challenge")
    verifier = WebAuthnVerifier(party)
    named = {"expected_challenge": challenge, "expected_user": b"", "expected_keys": [key]}
    return verifier.verify_assertion(assertion, **named).key


@pytest.mark.bar("B22")
def test_what_the_specification_accepts_is_accepted() -> None:
    vector = CREDENTIALS["16.2"]
    key = registered(vector)
    assert key.synced
    assert signed(vector, key) == key


@pytest.mark.bar("B22")
def test_and_is_denied_where_its_user_has_to_be_verified() -> None:
    vector, strict = CREDENTIALS["16.2"], replace(PARTY, user_verification=True)
    key = registered(vector)
    for attempt in (lambda: registered(vector, strict), lambda: signed(vector, key, strict)):
        with pytest.raises(KeyDenied) as caught:
            attempt()
        assert caught.value.step == "user_verification"


@pytest.mark.bar("B22")
@pytest.mark.parametrize("section", ["16.4", "16.5"])
def test_what_comes_from_a_frame_is_denied_and_for_nothing_else(section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vector = CREDENTIALS[section]
    with pytest.raises(KeyDenied) as caught:
        registered(vector)
    assert caught.value.step == vector["denied"]
    real = webauthn._must
    with monkeypatch.context() as without:
        without.setattr(webauthn, "_must", lambda holds, step: None if step == "cross_origin" else real(holds, step))
        key = registered(vector)
        assert signed(vector, key) == key  # all else about it is right
    with pytest.raises(KeyDenied) as caught:
        signed(vector, key)
    assert caught.value.step == vector["denied"]
