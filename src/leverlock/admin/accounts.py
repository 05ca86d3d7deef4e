"""Operations on accounts, integrators, and on where owners are told."""

from __future__ import annotations

from typing import Any

import msgspec

from leverlock.admin.desk import Desk, account_named
from leverlock.app import accounts
from leverlock.domain.account import canonical_login, must_be_password
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.messages import Address, AddressState, Channel, must_be_target
from leverlock.messengers.webhook_secret import shown_secret, webhook_secret
from leverlock.ports import Transaction

PAGE = 100


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Takes nothing."""


class OfAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names an account by its login or id."""

    account: str


class CreateAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    login: str
    password: str


async def create_account(desk: Desk, wanted: CreateAccount) -> dict[str, Any]:
    login = canonical_login(wanted.login)
    must_be_password(wanted.password)
    password_hash = await desk.passwords.hash(wanted.password)
    account_id = await desk.store.run(
        lambda tx: accounts.create_account(tx, desk.world, login=login, password_hash=password_hash, by=desk.by)
    )
    return {"account": account_id, "login": login}


class ListAccounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of accounts behind the id `after`."""

    after: str = ""
    limit: int = PAGE


async def list_accounts(desk: Desk, wanted: ListAccounts) -> dict[str, Any]:
    limit = min(max(wanted.limit, 1), PAGE)

    def page(tx: Transaction) -> list[dict[str, Any]]:
        return [
            {
                "account": account.account_id,
                "login": account.login,
                "state": account.state.value,
                "protected": sorted(environment.value for environment in tx.protections(account.account_id)),
            }
            for account in tx.accounts(after=wanted.after, limit=limit)
        ]

    found = await desk.store.read(page)
    return {"accounts": found, "next": found[-1]["account"] if len(found) == limit else None}


async def lock_account(desk: Desk, wanted: OfAccount) -> dict[str, Any]:
    account_id = await desk.store.read(lambda tx: account_named(tx, wanted.account))
    await desk.store.run(lambda tx: accounts.lock(tx, desk.world, account_id=account_id, by=desk.by))
    return {"account": account_id, "state": "locked"}


async def unlock_account(desk: Desk, wanted: OfAccount) -> dict[str, Any]:
    account_id = await desk.store.read(lambda tx: account_named(tx, wanted.account))
    await desk.store.run(lambda tx: accounts.unlock(tx, desk.world, account_id=account_id, by=desk.by))
    return {"account": account_id, "state": "active"}


class CreateIntegrator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


async def create_integrator(desk: Desk, wanted: CreateIntegrator) -> dict[str, Any]:
    name = label(wanted.name, field="name")
    integrator_id, token = await desk.store.run(
        lambda tx: accounts.create_integrator(tx, desk.world, name=name, by=desk.by)
    )
    return {"integrator": integrator_id, "name": name, "token": token}


async def list_integrators(desk: Desk, _wanted: Nothing) -> dict[str, Any]:
    found = await desk.store.read(lambda tx: tx.integrators())
    return {"integrators": [{"integrator": i, "name": name, "revoked": revoked} for i, name, revoked in found]}


class RevokeIntegrator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    integrator: str


async def revoke_integrator(desk: Desk, wanted: RevokeIntegrator) -> dict[str, Any]:
    await desk.store.run(lambda tx: accounts.revoke_integrator(tx, integrator_id=wanted.integrator, by=desk.by))
    return {"integrator": wanted.integrator, "revoked": True}


class SetNotice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An owner's address on one channel; a second one of the same channel replaces it."""

    account: str
    channel: str
    target: str


async def set_notice(desk: Desk, wanted: SetNotice) -> dict[str, Any]:
    channel = _channel(wanted.channel, wanted.target)
    account_id = await desk.store.read(lambda tx: account_named(tx, wanted.account))
    address_id = await desk.store.run(
        lambda tx: accounts.set_address(
            tx, desk.world, account_id=account_id, channel=channel, target=wanted.target, by=desk.by
        )
    )
    done = {"account": account_id, "address": address_id, "channel": channel.value, "target": wanted.target}
    if channel is Channel.WEBHOOK:
        done["secret"] = shown_secret(webhook_secret(desk.world.sealer, account_id))
    return done


async def list_notices(desk: Desk, wanted: OfAccount) -> dict[str, Any]:
    found = await desk.store.read(lambda tx: tx.addresses(account_named(tx, wanted.account)))
    return {"addresses": [_shown(address) for address in found]}


def _shown(address: Address) -> dict[str, Any]:
    shown = {
        "address": address.address_id,
        "channel": address.channel.value,
        "target": address.target,
        "state": address.state.value,
    }
    return shown if address.state is AddressState.SERVING else {**shown, "until": address.until}


def label(text: str, *, field: str) -> str:
    """A name that people gave something: 1 to 64 printable characters. Raises Refused(MALFORMED)."""
    if not 1 <= len(text) <= 64 or not text.isprintable() or text != text.strip():
        raise Refused(
            Reason.MALFORMED, f"a {field} has 1 to 64 printable characters, no blanks around them", field=field
        )
    return text


def _channel(word: str, target: str) -> Channel:
    try:
        channel = Channel(word)
    except ValueError:
        raise Refused(Reason.MALFORMED, f"a channel is one of {', '.join(Channel)}", field="channel") from None
    must_be_target(channel, target)
    return channel
