"""Operations on the public keys with which a host signs what it says about its users (semantics 14)."""

from __future__ import annotations

from typing import Any

import msgspec

from leverlock.admin.accounts import Nothing
from leverlock.admin.desk import Desk
from leverlock.app import accounts
from leverlock.domain.host_statement import IntegratorKey
from leverlock.verifiers.host_statement import integrator_public_key


class AddKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`public_key` is a PEM: Ed25519, whose statements are signed with EdDSA, or P-256 with ES256."""

    integrator: str
    public_key: str


async def add_key(desk: Desk, wanted: AddKey) -> dict[str, Any]:
    algorithm, public_key = integrator_public_key(wanted.public_key)
    added = await desk.store.run(
        lambda tx: accounts.add_integrator_key(
            tx,
            desk.world,
            integrator_id=wanted.integrator,
            algorithm=algorithm,
            public_key=public_key,
            by=desk.by,
        )
    )
    return {**_key(added), "audience": desk.world.statements.audience}


async def list_keys(desk: Desk, _wanted: Nothing) -> dict[str, Any]:
    found = await desk.store.read(lambda tx: tx.integrator_keys())
    return {"keys": [_key(key) for key in found], "audience": desk.world.statements.audience}


class RemoveKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str


async def remove_key(desk: Desk, wanted: RemoveKey) -> dict[str, Any]:
    await desk.store.run(lambda tx: accounts.remove_integrator_key(tx, key_id=wanted.key, by=desk.by))
    return {"key": wanted.key, "removed": True}


def _key(key: IntegratorKey) -> dict[str, Any]:
    return {
        "key": key.key_id,
        "integrator": key.integrator_id,
        "algorithm": key.algorithm.value,
        "created_at": key.created_at,
        "removed": key.removed,
    }
