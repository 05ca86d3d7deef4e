"""Every step of WebAuthn 7.1 and 7.2, each with exactly one thing wrong; and whatever else a library may answer."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

import pytest
from fido2 import cbor
from fido2.utils import websafe_encode

from leverlock.domain.security_key import SecurityKey, counter_advances, signed_challenge
from leverlock.ports_security_keys import Assertion, Attestation, KeyDenied, NewCredential, RelyingParty, Signed
from leverlock.verifiers import webauthn
from leverlock.verifiers.webauthn import WebAuthnVerifier
from software_key import HONEST, ORIGIN, RP_ID, SoftwareKey, Spoilt, decoded

USER = b"acc_somebody"
PARTY = RelyingParty(RP_ID, "Leverlock", (ORIGIN, "https://app.example.com"))
ALGORITHMS = ("ES256", "EdDSA", "RS256")


def options(challenge: bytes) -> dict[str, Any]:
    return {"challenge": websafe_encode(challenge)}


def registered(key: SoftwareKey, spoilt: Spoilt = HONEST, *, party: RelyingParty = PARTY) -> NewCredential:
    challenge = os.urandom(32)
    answer = decoded(key.register(options(challenge), spoilt))
    return WebAuthnVerifier(party).verify_registration(Attestation(**answer), expected_challenge=challenge)


def stored(key: SoftwareKey, *, synced: bool | None = None) -> SecurityKey:
    """The credential as it is kept after an honest registration."""
    made = registered(key)
    kept = made.synced if synced is None else synced
    return SecurityKey("acc", "sk_1", made.credential_id, made.public_key, made.sign_count, kept, "key", (), 0, 0)


def signed(
    key: SoftwareKey, spoilt: Spoilt = HONEST, *, keys: list[SecurityKey] | None = None, party: RelyingParty = PARTY
) -> Signed:
    known = [stored(key)] if keys is None else keys
    challenge = signed_challenge(os.urandom(32), bytes(32))
    answer = decoded(key.sign(options(challenge), spoilt))
    return WebAuthnVerifier(party).verify_assertion(
        Assertion(**answer), expected_challenge=challenge, expected_user=USER, expected_keys=known
    )


class denied:
    """`with denied("origin"):` the block is denied by this very check."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.raises = pytest.raises(KeyDenied)

    def __enter__(self) -> None:
        self.caught = self.raises.__enter__()

    def __exit__(self, *problem: Any) -> bool:
        swallowed = self.raises.__exit__(*problem)
        assert self.caught.value.step == self.step, repr(self.caught.value)
        return bool(swallowed)


# -- what is accepted ------------------------------------------------------------------------------------------------
@pytest.mark.bar("B22")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("fmt", ["none", "packed"])
def test_an_honest_key_registers_and_signs(algorithm: str, fmt: str) -> None:
    key = SoftwareKey(algorithm)
    made = registered(key, Spoilt(fmt=fmt))
    assert made.credential_id == key.credential_id
    assert not made.synced
    kept = stored(key)
    result = signed(key, keys=[stored(SoftwareKey()), kept])
    assert result == Signed(kept, key.count)


@pytest.mark.bar("B22")
def test_the_longest_credential_id_and_an_extension_are_accepted() -> None:
    key = SoftwareKey(credential_id=os.urandom(1023))
    assert registered(key, Spoilt(extensions={"credProtect": 2})).credential_id == key.credential_id
    assert signed(key, Spoilt(extensions={"uvi": b"x"})).key.credential_id == key.credential_id


def test_a_key_that_may_be_copied_is_accepted_unless_only_device_bound_ones_are() -> None:
    key = SoftwareKey(synced=True)
    assert registered(key, Spoilt(backed_up=True)).synced
    assert signed(key, Spoilt(backed_up=True), keys=[stored(key)])


def test_a_touch_alone_is_enough_where_no_user_verification_is_asked_for() -> None:
    party = replace(PARTY, user_verification=False)
    key = SoftwareKey()
    assert registered(key, Spoilt(verified=False), party=party)
    assert signed(key, Spoilt(verified=False), party=party)


def test_the_user_handle_may_be_there_and_is_then_the_accounts() -> None:
    assert signed(SoftwareKey(user_handle=USER))


# -- one thing wrong -------------------------------------------------------------------------------------------------
CLIENT = {
    "type": ("type", {"type": "webauthn.other"}),
    "challenge": ("challenge", {"challenge": os.urandom(32)}),
    "challenge with padding": ("challenge", {"challenge": "padded"}),
    "another port": ("origin", {"origin": "http://localhost:8701"}),
    "another scheme": ("origin", {"origin": "https://localhost:8700"}),
    "a page below": ("origin", {"origin": ORIGIN + "/"}),
    "a subdomain": ("origin", {"origin": "https://x.app.example.com"}),
    "another case": ("origin", {"origin": "https://APP.example.com"}),
    "in a frame": ("cross_origin", {"cross_origin": True}),
    "in a frame, said as text": ("cross_origin", {"cross_origin": "false"}),
    "in a frame, said as a number": ("cross_origin", {"cross_origin": 0}),
    "under another page": ("cross_origin", {"top_origin": "https://evil.example"}),
    "under our own page": ("cross_origin", {"top_origin": ORIGIN}),
    "no JSON": ("client_data", {"client_data": b"{"}),
    "a list": ("client_data", {"client_data": b"[]"}),
    "not UTF-8": ("client_data", {"client_data": b"\xff{}"}),
    "deep": ("client_data", {"client_data": b"[" * 4000}),
    "nothing": ("form", {"client_data": b""}),
    "too much": ("form", {"client_data": b"{" + b" " * 4096 + b"}"}),
}
AUTHENTICATOR = {
    "another site": ("rp_id", {"rp_id": "localhost.example"}),
    "nobody there": ("user_presence", {"present": False}),
    "user not verified": ("user_verification", {"verified": False}),
    "backed up but not eligible": ("backup", {"eligible": False, "backed_up": True}),
    "bytes behind it": ("NotPlain", {"trailing": b"\x00"}),
}
REGISTRATION = {
    **CLIENT,
    **AUTHENTICATOR,
    "a get for a create": ("type", {"type": "webauthn.get"}),
    "an id of nothing": ("credential", {"inner_id": b""}),
    "an id of 1024 bytes": ("credential", {"credential_id": bytes(1024)}),
    "another id within": ("credential", {"inner_id": bytes(32)}),
    "ES384": ("algorithm", {"public_key": {1: 2, 3: -35, -1: 2, -2: bytes(48), -3: bytes(48)}}),
    "RS1": ("algorithm", {"public_key": {1: 3, 3: -65535, -1: bytes(256), -2: b"\x01\x00\x01"}}),
    "no algorithm": ("KeyError", {"public_key": {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}}),
    "a statement of none": ("attestation", {"statement": {"sig": b"x"}}),
    "an attestation by its maker": (
        "attestation",
        {"fmt": "packed", "statement": {"alg": -7, "sig": b"", "x5c": [b""]}},
    ),
    "U2F": ("attestation", {"fmt": "fido-u2f", "statement": {"sig": b"", "x5c": [b""]}}),
    "TPM": ("attestation", {"fmt": "tpm", "statement": {"alg": -7, "sig": b"", "ver": "2.0"}}),
    "SafetyNet": ("attestation", {"fmt": "android-safetynet", "statement": {"ver": "1", "response": b""}}),
    "of no known format": ("attestation", {"fmt": "x", "statement": {}}),
    "by another key": ("signature", {"fmt": "packed", "signer": SoftwareKey()}),
    "a spoilt signature": ("signature", {"fmt": "packed", "signature": b"\x30\x00"}),
}
ASSERTION = {
    **CLIENT,
    **AUTHENTICATOR,
    "a create for a get": ("type", {"type": "webauthn.create"}),
    "another's signature": ("signature", {"signer": SoftwareKey()}),
    "no signature": ("signature", {"signature": b""}),
    "a long signature": ("form", {"signature": bytes(1025)}),
    "another key": ("not_allowed", {"credential_id": bytes(32)}),
    "another user": ("user", {"user_handle": b"acc_somebody_else"}),
    "an empty user": ("user", {"user_handle": b""}),
    "eligible all at once": ("backup", {"eligible": True}),
}


@pytest.mark.bar("B22")
@pytest.mark.bar("B28")
@pytest.mark.parametrize("wrong", REGISTRATION)
def test_a_registration_with_one_thing_wrong_is_denied(wrong: str) -> None:
    step, spoilt = REGISTRATION[wrong]
    with denied(step):
        registered(SoftwareKey(), Spoilt(**spoilt))


@pytest.mark.bar("B22")
@pytest.mark.bar("B25")
@pytest.mark.parametrize("wrong", ASSERTION)
def test_an_assertion_with_one_thing_wrong_is_denied(wrong: str) -> None:
    step, spoilt = ASSERTION[wrong]
    key = SoftwareKey()
    known = [stored(key)]
    with denied(step):
        signed(key, Spoilt(**spoilt), keys=known)


@pytest.mark.bar("B22")
@pytest.mark.parametrize("spelling", ["=", "==", "\n", " "])
def test_the_challenge_has_one_spelling(spelling: str) -> None:
    key, challenge = SoftwareKey(), os.urandom(32)
    answer = decoded(key.register(options(challenge), Spoilt(challenge=websafe_encode(challenge) + spelling)))
    with denied("challenge"):
        WebAuthnVerifier(PARTY).verify_registration(Attestation(**answer), expected_challenge=challenge)


@pytest.mark.bar("B22")
@pytest.mark.parametrize("name", ["origin", "challenge", "type", "crossOrigin"])
def test_a_name_that_stands_twice_is_no_client_data(name: str) -> None:
    """`json.loads` keeps the last of two: which one another reader keeps is not ours to guess."""
    key, challenge = SoftwareKey(), os.urandom(32)
    known = stored(key)
    honest = decoded(key.sign(options(challenge)))["client_data"]
    doubled = b'{"%s":"x",%s' % (name.encode(), honest[1:])
    answer = decoded(key.sign(options(challenge), Spoilt(client_data=doubled)))
    with denied("client_data"):
        WebAuthnVerifier(PARTY).verify_assertion(
            Assertion(**answer), expected_challenge=challenge, expected_user=USER, expected_keys=[known]
        )


@pytest.mark.bar("B25")
def test_an_account_without_keys_always_fails() -> None:
    with denied("not_allowed"):
        signed(SoftwareKey(), keys=[])


@pytest.mark.bar("B29")
@pytest.mark.parametrize("eligible", [False, True])
@pytest.mark.parametrize("backed_up", [False, True])
@pytest.mark.parametrize("was", [False, True])
def test_the_backup_flags(eligible: bool, backed_up: bool, was: bool) -> None:
    """BS implies BE, and BE never changes."""
    key = SoftwareKey()
    known = [stored(key, synced=was)]
    spoilt = Spoilt(eligible=eligible, backed_up=backed_up)
    if eligible == was and (eligible or not backed_up):
        assert signed(key, spoilt, keys=known)
    else:
        with denied("backup"):
            signed(key, spoilt, keys=known)


@pytest.mark.bar("B29")
def test_where_only_device_bound_keys_serve_one_that_may_be_copied_is_refused() -> None:
    party = replace(PARTY, device_bound=True)
    with denied("synced"):
        registered(SoftwareKey(synced=True), party=party)
    assert registered(SoftwareKey(), party=party)


# -- the library -----------------------------------------------------------------------------------------------------
def _raise(*_: Any, **__: Any) -> Any:
    raise RuntimeError("the library broke")


ANSWERS = {"None": lambda **_: None, "False": lambda **_: False, "True": lambda **_: True, "{}": lambda **_: {}}


@pytest.mark.bar("B26")
@pytest.mark.parametrize("answer", [*ANSWERS, "raises"])
def test_whatever_the_library_answers_but_a_success_is_a_denial(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    key = SoftwareKey()
    known = [stored(key)]
    for name in ("verify_registration_response", "verify_authentication_response"):
        monkeypatch.setattr(webauthn, name, ANSWERS.get(answer, _raise))
    with pytest.raises(KeyDenied):
        signed(key, keys=known)
    with pytest.raises(KeyDenied):
        registered(key)


# -- bombs -----------------------------------------------------------------------------------------------------------
BOMBS = {
    "a list of 2^62": b"\x9b\x40" + bytes(7),
    "a text of 2^32": b"\x7b" + (2**32).to_bytes(8, "big"),
    "nested": b"\x81" * 2000,
    "nested maps": b"\xa1\x01" * 2000,
    "an indefinite list": b"\x9f\x00\xff",
    "a bignum": b"\xc2\x58\x20" + bytes(32),
    "a decimal of 10^(10^9)": b"\xc4\x82\x1a\x3b\x9a\xca\x00\x01",
    "a bigfloat": b"\xc5\x82\x1a\x3b\x9a\xca\x00\x03",
    "a shared list": b"\xd8\x1c\x81\xd8\x1d\x00",
    "a float": b"\xfb" + bytes(8),
    "a break": b"\xff",
    "many items": b"\x99\x04\x00" + b"\x00" * 1024,
    "nothing": b"",
    "cut off": b"\x19\x01",
}


@pytest.mark.bar("B22")
@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("place", ["attestation", "key", "extensions"])
def test_cbor_that_is_no_honest_answer_is_denied_before_it_is_decoded(bomb: str, place: str) -> None:
    key, challenge = SoftwareKey(), os.urandom(32)
    answer = decoded(key.register(options(challenge)))
    data = bytearray(cbor.decode(answer["attestation_object"])["authData"])
    if place == "key":
        data = data[: 37 + 18 + 32] + BOMBS[bomb]
    elif place == "extensions":
        data[32] |= 0x80
        data += BOMBS[bomb]
    made = cbor.encode({"fmt": "none", "attStmt": {}, "authData": bytes(data)})
    answer["attestation_object"] = BOMBS[bomb] if place == "attestation" else made
    began = time.perf_counter()
    with pytest.raises(KeyDenied):
        WebAuthnVerifier(PARTY).verify_registration(Attestation(**answer), expected_challenge=challenge)
    assert time.perf_counter() - began < 0.2


@pytest.mark.bar("B22")
@pytest.mark.parametrize("spelling", ["a tag before it", "no length", "bytes behind it"])
def test_an_honest_answer_has_one_spelling(spelling: str) -> None:
    """What a general decoder reads as the same is not what an authenticator says."""
    key, challenge = SoftwareKey(), os.urandom(32)
    answer = decoded(key.register(options(challenge)))
    honest = answer["attestation_object"]
    assert honest[0] == 0xA3
    spelt = {
        "a tag before it": b"\xd9\xd9\xf7" + honest,
        "no length": b"\xbf" + honest[1:] + b"\xff",
        "bytes behind it": honest + b"\x00",
    }[spelling]
    with denied("NotPlain"):
        WebAuthnVerifier(PARTY).verify_registration(
            Attestation(**{**answer, "attestation_object": spelt}), expected_challenge=challenge
        )


@pytest.mark.parametrize("length", [0, 36, 54, 86])
def test_authenticator_data_that_is_cut_off_is_denied(length: int) -> None:
    key, challenge = SoftwareKey(), os.urandom(32)
    answer = decoded(key.register(options(challenge)))
    data = cbor.decode(answer["attestation_object"])["authData"]
    answer["attestation_object"] = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data[:length]})
    with pytest.raises(KeyDenied):
        WebAuthnVerifier(PARTY).verify_registration(Attestation(**answer), expected_challenge=challenge)


# -- the rules beside it ---------------------------------------------------------------------------------------------
@pytest.mark.bar("B27")
@pytest.mark.parametrize(
    ("stored_count", "given", "fits"),
    [(0, 0, True), (0, 1, True), (5, 6, True), (5, 5, False), (5, 4, False), (5, 0, False)],
)
def test_the_counter_grows_or_is_not_counted_at_all(stored_count: int, given: int, fits: bool) -> None:
    assert counter_advances(stored_count, given) is fits


@pytest.mark.bar("B23")
@pytest.mark.parametrize(("nonce", "digest"), [(31, 0), (33, 0), (0, 0), (32, 31), (32, 33)])
def test_a_challenge_is_32_random_bytes_and_the_digest_of_the_action(nonce: int, digest: int) -> None:
    with pytest.raises(ValueError):
        signed_challenge(bytes(nonce), bytes(digest))
