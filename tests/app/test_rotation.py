"""Key rotation: everything opens at every moment, what was begun goes on, no secret stays under an older key (B84)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from leverlock.admin.desk import Desk
from leverlock.admin.operations import perform
from leverlock.app.redeem import Redeemed
from leverlock.app.reseal import RETIRE_AFTER_MS
from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason
from leverlock.store.sealed_columns import SEALED
from leverlock.store.sealing import Keyring, KeyringError, KeyringSealer
from leverlock.store.sqlite import SqliteStore
from leverlock.verifiers.password import PasswordHasher
from trail_state import must_agree
from world import Deployment, Owner, SettableClock, order, refused

FUTURES, SPOT = Environment.FUTURES, Environment.SPOT


async def no_probe(**_: Any) -> Any:
    raise AssertionError("no venue is asked")


@pytest.fixture
def desk(deployment: Deployment) -> Iterator[Desk]:
    passwords = PasswordHasher()
    world, clock = deployment.world, deployment.clock
    yield Desk(deployment.store, world, clock, passwords, no_probe, deployment.sealer, "command:test")
    passwords.close()


def do(desk: Desk, operation: str, **wanted: Any) -> dict[str, Any]:
    return asyncio.run(perform(desk, operation, json.dumps(wanted).encode()))


def rotate(desk: Desk) -> dict[str, Any]:
    """As the command does it."""
    begun, after, broken = do(desk, "keyring.rotate"), "", []
    resealed = 0
    while after is not None:
        piece = do(desk, "keyring.reseal", after=after)
        resealed, after = resealed + piece["resealed"], piece["next"]
        broken += piece["broken"]
    return {**begun, "resealed": resealed, "left": piece["left"], "broken": broken}


def versions(path: Path) -> set[int]:
    """The key versions of every sealed row, read by SQL of our own."""
    with closing(sqlite3.connect(path)) as raw:
        rows = [
            row[0]
            for table in ("authenticator", "api_key", "upstream")
            for row in raw.execute(f"SELECT key_version FROM {table} WHERE length(ciphertext) > 0")
        ]
    return set(rows)


def verifies(owner: Owner, symbol: str) -> None:
    approved = owner.approved(order(symbol=symbol))
    assert isinstance(owner.redeem(order(symbol=symbol), approved.grant), Redeemed)


@pytest.mark.bar("B84")
def test_every_table_with_a_ciphertext_is_rotated(tmp_path: Path) -> None:
    """A new sealed column cannot be forgotten: it is found in the schema, by its name."""
    SqliteStore.create(tmp_path / "a.db", clock=SettableClock())
    with closing(sqlite3.connect(tmp_path / "a.db")) as raw:
        tables = [row[0] for row in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        columns = {table: [row[1] for row in raw.execute(f"PRAGMA table_info({table})")] for table in tables}
    parts = ("ciphertext", "nonce", "key_version")
    found = {
        part: {table for table, names in columns.items() if [n for n in names if n.endswith(part)]} for part in parts
    }
    assert found["ciphertext"] == found["key_version"] == set(SEALED)
    assert found["nonce"] >= set(SEALED)  # a document's bytes lie in a file, under the key of its case
    twice = [table for table, names in columns.items() if len([n for n in names if n.endswith("ciphertext")]) > 1]
    assert not twice, "one sealed secret in a row, or an entry of its own for each"


@pytest.mark.bar("B84")
def test_after_a_rotation_everything_verifies_and_nothing_is_under_the_older_key(
    deployment: Deployment, desk: Desk
) -> None:
    alice, bob = deployment.owner("alice", enrolled=[SPOT, FUTURES]), deployment.owner("bob", enrolled=[FUTURES])
    key, secret = alice.key_and_secret()
    alice.enrol(FUTURES)  # the replaced one keeps its seed, and is sealed anew as well
    waiting = bob.asked(order(symbol="WAITING"))
    done = rotate(desk)
    assert done == {"version": 2, "new": True, "secrets": 6, "resealed": 6, "left": 0, "broken": []}
    assert versions(deployment.path) == {2}
    assert do(desk, "keyring.show") == {
        "current": 2,
        "versions": [{"version": 1, "secrets": 0}, {"version": 2, "secrets": 6}],
        "lost": 0,
    }
    bob.prove(waiting)
    verifies(alice, "AAA")
    verifies(bob, "BBB")
    stored = deployment.read(lambda tx: tx.key(alice.account_id, key.key_id))
    assert stored is not None
    assert stored.stored is not None
    assert deployment.sealer.open(stored.stored.secret, context=stored.stored.context) == secret.encode()
    for owner in (alice, bob):
        must_agree(
            deployment.path,
            owner.account_id,
            deployment.read(lambda tx, o=owner: tx.events(o.account_id, after_seq=0, limit=1000)),  # type: ignore[misc]
        )
    system = deployment.read(lambda tx: tx.events(SYSTEM_ACCOUNT, after_seq=0, limit=1000))
    assert [event.kind.value for event in system][-1] == "keyring.rotated"


@pytest.mark.bar("B84")
def test_a_rotation_that_was_broken_off_goes_on(deployment: Deployment, desk: Desk) -> None:
    """Whatever was done before stays done; no second key is made for what the first was made for."""
    owner = deployment.owner("alice", enrolled=[FUTURES])
    do(desk, "keyring.rotate")
    assert versions(deployment.path) == {1}
    verifies(owner, "BETWEEN")
    other = deployment.owner("bob", enrolled=[FUTURES])
    assert versions(deployment.path) == {1, 2}, "what is new is sealed under the new key at once"
    done = rotate(desk)
    assert (done["version"], done["new"], done["resealed"], done["left"]) == (2, False, 1, 0)
    assert versions(deployment.path) == {2}
    verifies(owner, "AFTER")
    verifies(other, "AFTER")
    assert rotate(desk)["version"] == 3


@pytest.mark.bar("B84")
def test_a_running_process_follows_a_rotation_that_another_one_makes(
    deployment: Deployment, desk: Desk, tmp_path: Path
) -> None:
    """It seals under the new key, and opens what was sealed under it."""
    owner = deployment.owner("alice", enrolled=[FUTURES])
    with Deployment.open(deployment.path.parent, clock=deployment.clock) as other:
        rotate(desk)
        elsewhere = Owner(other, owner.account_id, owner.login, seeds=owner.seeds, used=owner.used)
        elsewhere.sign_in()
        verifies(elsewhere, "ELSEWHERE")
        rotate(desk)
        other.owner("bob", enrolled=[FUTURES])
        assert versions(deployment.path) == {3}


@pytest.mark.bar("B84")
def test_the_older_key_goes_only_when_nothing_needs_it(deployment: Deployment, desk: Desk) -> None:
    owner = deployment.owner("alice", enrolled=[FUTURES])
    with refused(Reason.CONFLICT):
        do(desk, "keyring.retire")
    do(desk, "keyring.rotate")
    with refused(Reason.CONFLICT) as why:
        do(desk, "keyring.retire")
    assert "still need" in str(why.value)
    rotate(desk)
    with refused(Reason.CONFLICT) as why:
        do(desk, "keyring.retire")
    assert "just finished" in str(why.value)
    deployment.clock.tick(RETIRE_AFTER_MS)
    assert do(desk, "keyring.retire") == {"current": 2, "retired": [1]}
    assert list(Keyring.load(deployment.path.parent / "keyring.json").seal_keys) == [2]
    verifies(owner, "AFTER")
    assert rotate(desk)["version"] == 3


@pytest.mark.bar("B83")
@pytest.mark.bar("B84")
def test_a_damaged_row_is_left_alone_with_an_alarm_and_does_not_stop_the_rest(
    deployment: Deployment, desk: Desk
) -> None:
    alice, bob = deployment.owner("alice", enrolled=[FUTURES]), deployment.owner("bob", enrolled=[FUTURES])
    broken = alice.authenticators[FUTURES]
    with sqlite3.connect(deployment.path) as raw:
        raw.execute("UPDATE authenticator SET ciphertext = zeroblob(36) WHERE authenticator_id = ?", (broken,))
    done = rotate(desk)
    assert (done["resealed"], done["left"], done["broken"]) == (1, 0, [f"authenticator/{broken}"])
    assert deployment.store.alarms["seal.broken"] == 1
    verifies(bob, "BBB")
    deployment.clock.tick(RETIRE_AFTER_MS)
    assert do(desk, "keyring.retire") == {"current": 2, "retired": [1]}


@pytest.mark.bar("B84")
def test_hashes_and_signatures_keep_their_roots(deployment: Deployment, desk: Desk) -> None:
    """Recovery codes, grants and webhook secrets outlive a rotation, and so does what verifies old checkpoints."""
    path = deployment.path.parent / "keyring.json"
    before, mac = Keyring.load(path), deployment.sealer.mac("recovery", b"code")
    owner = deployment.owner("alice", enrolled=[FUTURES])
    approved = owner.approved(order())
    rotate(desk)
    after = Keyring.load(path)
    assert (after.mac_key, after.signing_key) == (before.mac_key, before.signing_key)
    assert deployment.sealer.mac("recovery", b"code") == mac
    assert isinstance(owner.redeem(order(), approved.grant), Redeemed), "a grant from before"


def test_a_keyring_is_replaced_as_a_whole_and_stays_private(deployment: Deployment, desk: Desk) -> None:
    path = deployment.path.parent / "keyring.json"
    rotate(desk)
    assert path.stat().st_mode & 0o777 == 0o600
    assert not path.with_name("keyring.json.new").exists()
    path.with_name("keyring.json.new").write_text("{")  # what a kill in the middle of a write leaves
    assert rotate(desk)["version"] == 3


def test_a_keyring_that_cannot_be_written_is_said_and_nothing_changes(tmp_path: Path) -> None:
    from leverlock.store.host import SystemEntropy

    keyring = Keyring.create(tmp_path / "keyring.json", entropy=SystemEntropy())
    nowhere = KeyringSealer(keyring, entropy=SystemEntropy(), path=tmp_path / "gone" / "keyring.json")
    with pytest.raises(KeyringError):
        nowhere.add_key()
    assert nowhere.current == 1
    without = KeyringSealer(keyring, entropy=SystemEntropy())
    with pytest.raises(KeyringError, match="no file"):
        without.add_key()


@pytest.mark.bar("B84")
def test_many_who_rotate_at_once_make_one_key_each_and_lose_none(deployment: Deployment, desk: Desk) -> None:
    """The file is changed by one at a time: no key that something may be sealed under is overwritten."""
    path = deployment.path.parent / "keyring.json"
    sealers = [KeyringSealer(Keyring.load(path), entropy=deployment.world.entropy, path=path) for _ in range(6)]
    made: list[int] = []
    threads = [threading.Thread(target=lambda s=sealer: made.append(s.add_key())) for sealer in sealers]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(made) == [2, 3, 4, 5, 6, 7]
    assert sorted(Keyring.load(path).seal_keys) == [1, 2, 3, 4, 5, 6, 7]
