"""The snapshot: no request waits for the database, and nothing revoked is believed for longer than a second (B88)."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any, TypeVar

import pytest

from leverlock.app import accounts, answers, api_keys
from leverlock.app.alarms import report_broken
from leverlock.domain.challenge import Denial
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason
from leverlock.ports import UseCase
from leverlock.store.snapshot import Snapshot
from world import Deployment, Owner, order, refused

FUTURES = Environment.FUTURES
MINUTE = 60_000
T = TypeVar("T")


class LateStore:
    """The store, whose next `read` comes back only when told, although it looked at once."""

    def __init__(self, deployment: Deployment) -> None:
        self.store = deployment.store
        self.hold: asyncio.Event | None = None
        self.reads = 0

    async def run(self, use_case: UseCase[T]) -> T:
        return await self.store.run(use_case)

    async def read(self, use_case: UseCase[T]) -> T:
        hold, self.hold = self.hold, None
        self.reads += 1
        result = await self.store.read(use_case)
        if hold is not None:
            await hold.wait()
        return result


def snapshot_of(deployment: Deployment) -> tuple[Snapshot, LateStore]:
    store = LateStore(deployment)
    world, broken = deployment.world, report_broken(deployment.world, by="test:")
    return Snapshot(store, deployment.sealer, deployment.clock, world.limits, broken=broken), store


def revoke(owner: Owner, key_id: str) -> None:
    world = owner.deployment.world
    owner.deployment.run(
        lambda tx: api_keys.revoke_key(tx, world, account_id=owner.account_id, key_id=key_id, by="test:")
    )


@pytest.mark.bar("B88")
def test_an_ordinary_request_reads_nothing(deployment: Deployment) -> None:
    owner = deployment.owner()
    key, secret = owner.key_and_secret()
    snapshot, store = snapshot_of(deployment)

    async def walk() -> None:
        view = await snapshot.key(key.api_key)
        assert view.secret == secret.encode()
        assert view.upstream_secret == b"venue-secret"
        assert not view.account.standing(FUTURES).protected
        before = store.reads
        for _ in range(100):
            assert await snapshot.key(key.api_key) is view
        assert store.reads == before

    asyncio.run(walk())


@pytest.mark.bar("B88")
@pytest.mark.bar("B52")
@pytest.mark.parametrize("how", ["revoked", "frozen", "locked", "enabled"])
def test_what_changed_is_known_within_a_second(deployment: Deployment, how: str) -> None:
    owner = deployment.owner(enrolled=[Environment.SPOT])
    key = owner.key()
    snapshot, _ = snapshot_of(deployment)
    world = deployment.world

    async def walk() -> None:
        assert (await snapshot.key(key.api_key)).account.active
        if how == "revoked":
            revoke(owner, key.key_id)
        elif how == "locked":
            deployment.run(lambda tx: accounts.lock(tx, world, account_id=owner.account_id, by="operator:"))
        else:
            owner.enrol(FUTURES)
            if how == "frozen":
                deployment.run(lambda tx: tx.set_setting("policy_version", world.policy().version))
                challenge = owner.asked(order(), principal=owner.key("other").principal)
                deployment.run(
                    lambda tx: answers.deny(
                        tx,
                        world,
                        account_id=owner.account_id,
                        answered_by=owner.principal,
                        challenge_id=challenge.challenge_id,
                        denial=Denial.NOT_ME,
                    )
                )
                frozen = deployment.read(lambda tx: tx.key(owner.account_id, challenge.principal.partition(":")[2]))
                assert frozen is not None
                with refused(Reason.KEY_FROZEN):
                    await snapshot.key(frozen.api_key)
                return
        deployment.clock.tick(world.limits.snapshot_age_ms + 1)
        if how == "revoked":
            with refused(Reason.NOT_AUTHENTICATED):
                await snapshot.key(key.api_key)
        elif how == "locked":
            assert not (await snapshot.key(key.api_key)).account.active
        else:
            assert (await snapshot.key(key.api_key)).account.standing(FUTURES).protected

    asyncio.run(walk())


@pytest.mark.bar("B88")
@pytest.mark.parametrize("kind", ["key", "account"])
def test_a_read_that_was_overtaken_by_a_change_is_not_kept(deployment: Deployment, kind: str) -> None:
    """The read sees the old state; the change commits and is followed; only then the old view arrives."""
    owner = deployment.owner()
    key = owner.key()
    snapshot, store = snapshot_of(deployment)

    async def walk() -> None:
        await snapshot.refresh()
        store.hold = hold = asyncio.Event()
        asked: Any = snapshot.key(key.api_key) if kind == "key" else snapshot.account(owner.account_id)
        reading = asyncio.ensure_future(asked)
        while store.reads < 3:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        if kind == "key":
            revoke(owner, key.key_id)
        else:
            owner.enrol(FUTURES)
        await snapshot.refresh()
        hold.set()
        await reading
        if kind == "key":
            with refused(Reason.NOT_AUTHENTICATED):
                await snapshot.key(key.api_key)
        else:
            assert FUTURES in (await snapshot.account(owner.account_id)).protected

    asyncio.run(walk())


@pytest.mark.bar("B88")
def test_a_process_that_slept_forgets_everything(deployment: Deployment) -> None:
    """What changed meanwhile may have been pruned from the list of changes before it woke."""
    owner = deployment.owner()
    key = owner.key()
    snapshot, _ = snapshot_of(deployment)

    async def walk() -> None:
        await snapshot.key(key.api_key)
        revoke(owner, key.key_id)
        deployment.clock.tick(11 * MINUTE)
        assert deployment.run(lambda tx: tx.prune(limit=100)) > 0
        with refused(Reason.NOT_AUTHENTICATED):
            await snapshot.key(key.api_key)

    asyncio.run(walk())


@pytest.mark.bar("B98")
def test_without_a_database_only_the_outage_view_is_left_and_it_ends(deployment: Deployment) -> None:
    owner = deployment.owner()
    key, other = owner.key(), owner.key("never seen")
    snapshot, _ = snapshot_of(deployment)
    limits = deployment.world.limits

    async def walk() -> None:
        await snapshot.key(key.api_key)
        snapshot.mark_seen(key.api_key)
        deployment.close()
        deployment.clock.tick(limits.snapshot_age_ms + 1)
        with refused(Reason.STORE_UNAVAILABLE):
            await snapshot.key(key.api_key)
        with refused(Reason.STORE_UNAVAILABLE):
            await snapshot.account(owner.account_id)
        assert snapshot.key_of_outage(key.api_key) is not None
        assert snapshot.key_of_outage(other.api_key) is None
        deployment.clock.tick(limits.outage_reads_ms)
        assert snapshot.key_of_outage(key.api_key) is None

    asyncio.run(walk())


@pytest.mark.bar("B98")
def test_a_key_in_use_for_hours_may_cancel_during_an_outage(deployment: Deployment) -> None:
    owner = deployment.owner()
    key, idle = owner.key(), owner.key("idle")
    snapshot, _ = snapshot_of(deployment)
    limits = deployment.world.limits

    async def walk() -> None:
        await snapshot.key(idle.api_key)
        snapshot.mark_seen(idle.api_key)
        for _ in range(40):
            await snapshot.refresh()
            await snapshot.key(key.api_key)
            snapshot.mark_seen(key.api_key)
            deployment.clock.tick(MINUTE)
        deployment.close()
        assert snapshot.key_of_outage(key.api_key) is not None
        assert snapshot.key_of_outage(idle.api_key) is None
        assert limits.outage_key_seen_ms < 40 * MINUTE

    asyncio.run(walk())


@pytest.mark.bar("B83")
def test_a_key_whose_seal_is_broken_is_no_key(deployment: Deployment) -> None:
    alice, bob = deployment.owner("alice"), deployment.owner("bob")
    key, stolen = alice.key(), bob.key()
    with sqlite3.connect(deployment.path) as raw:
        raw.execute(
            "UPDATE api_key SET (nonce, ciphertext) = (SELECT nonce, ciphertext FROM api_key WHERE key_id = ?) "
            "WHERE key_id = ?",
            (stolen.key_id, key.key_id),
        )
    snapshot, _ = snapshot_of(deployment)

    async def walk() -> None:
        with refused(Reason.NOT_AUTHENTICATED):
            await snapshot.key(key.api_key)
        await snapshot.key(stolen.api_key)

    asyncio.run(walk())
