"""Seeds at rest: sealed, bound to their row, and useless anywhere else (B82, B83)."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from leverlock.domain.authenticator import SealedSecret, seal_context
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason
from leverlock.ports import SealBroken
from leverlock.store.host import SystemEntropy
from leverlock.store.sealing import KEY_BYTES, NONCE_BYTES, Keyring, KeyringError, KeyringSealer
from world import Deployment, Owner, order, refused

FUTURES, SPOT = Environment.FUTURES, Environment.SPOT
SEALED = "key_version, nonce, ciphertext"


def sealed_row(deployment: Deployment, authenticator_id: str) -> SealedSecret:
    with sqlite3.connect(deployment.path) as raw:
        query = f"SELECT {SEALED} FROM authenticator WHERE authenticator_id = ?"
        [row] = raw.execute(query, (authenticator_id,)).fetchall()
    return SealedSecret(*row)


def swap(deployment: Deployment, first: str, second: str) -> None:
    """Exchange the sealed seeds of two rows, by SQL, behind everybody's back."""
    one, two = sealed_row(deployment, first), sealed_row(deployment, second)
    with sqlite3.connect(deployment.path) as raw:
        for authenticator_id, sealed in ((first, two), (second, one)):
            raw.execute(
                "UPDATE authenticator SET key_version = ?, nonce = ?, ciphertext = ? WHERE authenticator_id = ?",
                (sealed.key_version, sealed.nonce, sealed.ciphertext, authenticator_id),
            )


@pytest.mark.bar("B82")
def test_the_row_holds_no_seed(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    sealed = sealed_row(deployment, owner.authenticators[FUTURES])
    seed = owner.seeds[FUTURES]
    assert len(sealed.nonce) == NONCE_BYTES
    assert len(sealed.ciphertext) == len(seed) + 16  # the tag of AES-GCM
    assert seed not in sealed.ciphertext
    context = seal_context(owner.account_id, FUTURES, owner.authenticators[FUTURES], 1)
    assert deployment.sealer.open(sealed, context=context) == seed


@pytest.mark.bar("B82")
@pytest.mark.parametrize("part", ["account", "environment", "authenticator", "generation", "key version"])
def test_every_part_of_its_place_is_bound(deployment: Deployment, part: str) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    sealed = sealed_row(deployment, owner.authenticators[FUTURES])
    place = {"account": owner.account_id, "environment": FUTURES, "authenticator": owner.authenticators[FUTURES]}
    sealer = deployment.sealer
    if part == "key version":
        keyring = Keyring.load(deployment.path.parent / "keyring.json")
        keys = {1: keyring.seal_keys[1], 2: keyring.seal_keys[1]}  # the same key under another version
        sealer = KeyringSealer(Keyring(2, keys, keyring.mac_key, keyring.signing_key), entropy=SystemEntropy())
        sealed = SealedSecret(2, sealed.nonce, sealed.ciphertext)
    elif part != "generation":
        place[part] = SPOT if part == "environment" else "other"
    context = seal_context(*place.values(), 2 if part == "generation" else 1)  # type: ignore[arg-type]
    with pytest.raises(SealBroken):
        sealer.open(sealed, context=context)


def answers_nothing(owner: Owner, environment: Environment = FUTURES) -> None:
    """Neither his own code nor that of the seed that was pasted in is accepted, and the tries are counted."""
    challenge = owner.asked(order())
    with refused(Reason.WRONG_CODE):
        owner.prove(challenge, code=owner.code(environment, offset=1))
    assert owner.challenge(challenge).wrong_answers == 1


@pytest.mark.bar("B82")
@pytest.mark.bar("B83")
def test_a_seed_pasted_from_another_environment_opens_nothing(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[SPOT, FUTURES])
    swap(deployment, owner.authenticators[SPOT], owner.authenticators[FUTURES])
    answers_nothing(owner, FUTURES)
    challenge = owner.asked(order())
    with refused(Reason.WRONG_CODE):
        owner.prove(challenge, code=owner.code(SPOT, offset=1))


@pytest.mark.bar("B82")
@pytest.mark.bar("B83")
def test_a_seed_pasted_from_another_account_opens_nothing(deployment: Deployment) -> None:
    alice, bob = deployment.owner("alice", enrolled=[FUTURES]), deployment.owner("bob", enrolled=[FUTURES])
    swap(deployment, alice.authenticators[FUTURES], bob.authenticators[FUTURES])
    alice.seeds[FUTURES], bob.seeds[FUTURES] = bob.seeds[FUTURES], alice.seeds[FUTURES]
    answers_nothing(alice)
    answers_nothing(bob)
    swap(deployment, alice.authenticators[FUTURES], bob.authenticators[FUTURES])
    alice.seeds[FUTURES], bob.seeds[FUTURES] = bob.seeds[FUTURES], alice.seeds[FUTURES]
    assert alice.approved(order(symbol="ETHUSDT"))


@pytest.mark.bar("B83")
def test_an_old_generation_pasted_back_opens_nothing(deployment: Deployment) -> None:
    owner = deployment.owner(enrolled=[FUTURES])
    old, old_seed = owner.authenticators[FUTURES], owner.seeds[FUTURES]
    owner.enrol(FUTURES)
    swap(deployment, old, owner.authenticators[FUTURES])
    owner.seeds[FUTURES] = old_seed
    answers_nothing(owner)


@pytest.mark.bar("B82")
def test_one_flipped_bit_opens_nothing(deployment: Deployment) -> None:
    sealed = deployment.sealer.seal(b"secret", context="c")
    for text, nonce in ((bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:], sealed.nonce),):
        with pytest.raises(SealBroken):
            deployment.sealer.open(SealedSecret(1, nonce, text), context="c")
    for broken in (SealedSecret(1, b"", sealed.ciphertext), SealedSecret(9, sealed.nonce, sealed.ciphertext)):
        with pytest.raises(SealBroken):
            deployment.sealer.open(broken, context="c")


def distinct_nonces(deployment: Deployment, count: int) -> int:
    return len({deployment.sealer.seal(b"x" * 20, context="c").nonce for _ in range(count)})


@pytest.mark.bar("B82")
def test_nonces_do_not_repeat(deployment: Deployment) -> None:
    assert distinct_nonces(deployment, 100_000) == 100_000


@pytest.mark.soak
@pytest.mark.bar("B82")
def test_a_million_nonces_do_not_repeat(deployment: Deployment) -> None:
    assert distinct_nonces(deployment, 1_000_000) == 1_000_000


def test_keyed_hashes_have_a_key_for_each_purpose(deployment: Deployment) -> None:
    hashes = {deployment.sealer.mac(purpose, b"m") for purpose in ("grant", "recovery", "other")}
    assert len(hashes) == 3
    assert deployment.sealer.mac("grant", b"m") in hashes


# -- the keyring file ------------------------------------------------------------------------------------------------
def test_a_keyring_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    Keyring.create(path, entropy=SystemEntropy())
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(KeyringError, match="chmod 600"):
        Keyring.load(path)


def test_a_keyring_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    Keyring.create(path, entropy=SystemEntropy())
    before = path.read_bytes()
    with pytest.raises(KeyringError, match="exists already"):
        Keyring.create(path, entropy=SystemEntropy())
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 2},
        {"current": 7},
        {"seal_keys": {"1": "AAAA"}},
        {"mac_key": "not base64!"},
        {"signing_key": None},
        {"seal_keys": []},
    ],
)
def test_a_damaged_keyring_is_named_not_used(tmp_path: Path, damage: dict[str, object]) -> None:
    path = tmp_path / "keyring.json"
    Keyring.create(path, entropy=SystemEntropy())
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(KeyringError, match="no keyring of version"):
        Keyring.load(path)


def test_a_keyring_does_not_print_its_keys(tmp_path: Path) -> None:
    made = Keyring.create(tmp_path / "keyring.json", entropy=SystemEntropy())
    assert repr(made) == "Keyring(current=1, versions=[1])"
    assert {len(key) for key in made.seal_keys.values()} == {KEY_BYTES}
