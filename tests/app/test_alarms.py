"""A stored secret that does not open in its place is refused, and somebody hears of it (B83)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from leverlock.app import accounts
from leverlock.app.alarms import report_broken
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.messages import Channel
from leverlock.metrics import REGISTRY, watch_store
from leverlock.store.snapshot import Snapshot
from trail_state import must_agree
from world import Deployment, Owner, order, refused

FUTURES, SPOT = Environment.FUTURES, Environment.SPOT
SEALED = ("key_version", "nonce", "ciphertext")


def paste(deployment: Deployment, table: str, source: str, target: str) -> None:
    """Put the sealed secret of one row over that of another, by SQL, behind everybody's back."""
    name = {"authenticator": "authenticator_id", "api_key": "key_id", "upstream": "upstream_id"}[table]
    with sqlite3.connect(deployment.path) as raw:
        values = ", ".join(f"{column} = (SELECT {column} FROM {table} WHERE {name} = :source)" for column in SEALED)
        raw.execute(f"UPDATE {table} SET {values} WHERE {name} = :target", {"source": source, "target": target})


def events(owner: Owner, kind: str = "seal.broken") -> list[dict[str, Any]]:
    chain = owner.deployment.read(lambda tx: tx.events(owner.account_id, after_seq=0, limit=1000))
    must_agree(owner.deployment.path, owner.account_id, chain)
    return [json.loads(event.body)["details"] for event in chain if event.kind.value == kind]


def told(owner: Owner, kind: str = "seal.broken") -> list[dict[str, Any]]:
    due = owner.deployment.read(lambda tx: tx.due_messages(limit=1000))
    bodies = [json.loads(message.body) for message in due if message.account_id == owner.account_id]
    return [body for body in bodies if body["type"] == kind]


def reachable(owner: Owner) -> Owner:
    deployment = owner.deployment
    for channel, target in ((Channel.EMAIL, "owner@example.test"), (Channel.WEBHOOK, "https://example.test/")):
        given = {"account_id": owner.account_id, "channel": channel, "target": target, "by": "test:"}
        deployment.run(lambda tx, given=given: accounts.set_address(tx, deployment.world, **given))  # type: ignore[misc, arg-type]
    return owner


def from_spot(owner: Owner) -> str:
    return owner.authenticators[SPOT]


def from_bob(owner: Owner) -> str:
    return owner.deployment.owner("bob", enrolled=[FUTURES]).authenticators[FUTURES]


def old_generation(owner: Owner) -> str:
    before = owner.authenticators[FUTURES]
    owner.enrol(FUTURES)
    return before


@pytest.mark.bar("B83")
@pytest.mark.parametrize("source", [from_spot, from_bob, old_generation], ids=lambda source: source.__name__)
def test_a_seed_in_another_row_is_refused_with_an_alarm(deployment: Deployment, source: Callable[[Owner], str]) -> None:
    """Record, log, count and notices stay although the use case took everything back but the charge."""
    owner = reachable(deployment.owner("alice", enrolled=[SPOT, FUTURES]))
    pasted = source(owner)
    paste(deployment, "authenticator", pasted, owner.authenticators[FUTURES])
    challenge = owner.asked(order())
    with capture_logs() as logs, refused(Reason.WRONG_CODE):
        owner.prove(challenge)
    assert events(owner) == [
        {"table": "authenticator", "row": owner.authenticators[FUTURES], "key_version": 1},
    ]
    assert owner.challenge(challenge).wrong_answers == 1
    assert [(line["log_level"], line["kind"], line["row"]) for line in logs if line["event"] == "alarm"] == [
        ("error", "seal.broken", owner.authenticators[FUTURES])
    ]
    assert deployment.store.alarms == {"seal.broken": 1}
    assert len(told(owner)) == 2, "one for each address"


@pytest.mark.bar("B83")
def test_alarms_are_a_metric(deployment: Deployment) -> None:
    watch_store(deployment.store)
    assert b'leverlock_alarms_total{kind="seal.broken"}' in generate_latest(REGISTRY)


def key_view(deployment: Deployment, *names: str) -> list[str]:
    """What the gateway's snapshot answers to each of these keys."""

    async def ask() -> list[str]:
        broken = report_broken(deployment.world, by="test:snapshot")
        snapshot = Snapshot(
            deployment.store, deployment.sealer, deployment.clock, deployment.world.limits, broken=broken
        )
        found = []
        for name in names:
            try:
                await snapshot.key(name)
                found.append("known")
            except Refused as why:
                found.append(why.reason.value)
        return found

    return asyncio.run(ask())


@pytest.mark.bar("B83")
@pytest.mark.parametrize("table", ["api_key", "upstream"])
def test_a_key_in_another_row_is_no_key_and_raises_one_alarm(deployment: Deployment, table: str) -> None:
    alice, bob = reachable(deployment.owner("alice")), deployment.owner("bob")
    hers, his = alice.key(), bob.key()
    rows = {"api_key": (his.key_id, hers.key_id), "upstream": (his.upstream_id, hers.upstream_id)}
    paste(deployment, table, *rows[table])
    asked = (hers.api_key, hers.api_key, his.api_key, hers.api_key)
    assert key_view(deployment, *asked) == ["not_authenticated", "not_authenticated", "known", "not_authenticated"]
    assert events(alice) == [{"table": table, "row": rows[table][1], "key_version": 1}]
    assert not events(bob)
    assert deployment.store.alarms == {"seal.broken": 1}
    assert len(told(alice)) == 2


@pytest.mark.bar("B83")
def test_a_whole_seal_raises_none(deployment: Deployment) -> None:
    owner = reachable(deployment.owner("alice", enrolled=[FUTURES]))
    with refused(Reason.WRONG_CODE):
        owner.prove(owner.asked(order()), code=owner.wrong_code())
    assert owner.approved(order(symbol="ETHUSDT"))
    assert not events(owner)
    assert not told(owner)
    assert not deployment.store.alarms
