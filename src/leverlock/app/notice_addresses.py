"""Where the owner is rung and told: named with full re-authentication, serving once it has answered (semantics 3).

A new address is sent a code and serves when the owner types it in, so that nobody is told in vain. What it replaces is
told of it, and of every security event for a week more: who takes an account over cannot do so in silence.
"""

from __future__ import annotations

from dataclasses import dataclass

from leverlock.app.consent import consent, voucher
from leverlock.app.decide import Asked
from leverlock.app.holds import must_not_be_held
from leverlock.app.mailed_secrets import ADDRESS_CODE, address_code
from leverlock.app.notices import notify, send
from leverlock.domain import recovery_code
from leverlock.domain.account import Session
from leverlock.domain.account_actions import ADDRESS_CHANGE
from leverlock.domain.action import parse
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.messages import Address, AddressState, Channel
from leverlock.ports import Transaction, World

MOST = 8  # addresses of one account that serve or are named


@dataclass(frozen=True, slots=True)
class Change:
    """What the owner wants: another target on a channel, in place of the address `replaces` where that is given."""

    channel: Channel
    target: str
    replaces: str | None = None
    environment: Environment | None = None


def name_address(tx: Transaction, world: World, *, session: Session, change: Change) -> Address | Asked:
    """Name a new address, and send it the code that will make it serve.

    Raises Refused: ACCOUNT_LOCKED, UNKNOWN_ID for what it should replace, CONFLICT, and whatever `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    present = tx.addresses(account_id)
    replaced = None if change.replaces is None else _serving(present, change.replaces)
    known = [one for one in present if one.state is not AddressState.LEAVING]
    if any(one.state is AddressState.SERVING and _same(one, change) for one in known):
        raise Refused(Reason.CONFLICT, "you are told there already")
    if len(known) >= MOST:
        raise Refused(Reason.CONFLICT, f"an account has at most {MOST} addresses")
    fields = {"channel": change.channel.value, "target": change.target}
    if replaced is not None:
        fields["replaces"] = replaced.target
    action = voucher(tx, account_id, ADDRESS_CHANGE, chosen=change.environment)
    asked = consent(tx, world, session=session, action=action, fields=fields)
    if asked is not None:
        return asked
    address = Address(
        account_id=account_id,
        address_id=make_id("adr", world.entropy.bytes(ID_BYTES)),
        channel=change.channel,
        target=change.target,
        state=AddressState.NAMED,
        until=tx.now + world.limits.address_confirm_ms,
        replaces="" if replaced is None else replaced.address_id,
    )
    code = address_code(world.sealer, account_id, address.address_id)
    if not tx.set_address(address, code_hash=_code_hash(world, address, code)):
        raise Refused(Reason.CONFLICT, "you are told there already")
    details = {"address": address.address_id, "channel": address.channel.value, "replaces": address.replaces}
    tx.record(AuditEvent(EventKind.NOTICE_ADDRESS_NAMED, session.principal, details))
    notify(tx, world, account_id, kind="address.named", channel=address.channel.value, target=address.target)
    told = {"address": address.address_id}
    send(tx, world, address, kind=ADDRESS_CODE, expires_at=address.until, details=told)
    return address


def confirm_address(tx: Transaction, world: World, *, session: Session, address_id: str, code: str) -> Address:
    """The code came back, so the address serves; what it replaces leaves.

    120 random bits need no budget. Raises Refused: ACCOUNT_LOCKED, UNKNOWN_ID, ON_HOLD, WRONG_CODE.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    found = [one for one in tx.addresses(account_id) if one.address_id == address_id]
    if not found or found[0].state is not AddressState.NAMED:
        raise Refused(Reason.UNKNOWN_ID)
    address = found[0]
    # A recovery may have begun since: then it is not the time for another address, whoever named this one.
    must_not_be_held(tx, account_id, parse(ADDRESS_CHANGE[Environment.LOGIN], {"channel": address.channel.value}))
    stored = _code_hash(world, address, recovery_code.canonical(code))
    if not tx.serve_address(account_id, address_id, code_hash=stored):
        raise Refused(Reason.WRONG_CODE)
    details = {"address": address_id, "channel": address.channel.value}
    tx.record(AuditEvent(EventKind.NOTICE_ADDRESS_SET, session.principal, details))
    if address.replaces:
        retire(tx, world, account_id, address.replaces, by=session.principal)
    notify(tx, world, account_id, kind="address.serves", channel=address.channel.value, target=address.target)
    return address


def remove_address(
    tx: Transaction, world: World, *, session: Session, address_id: str, environment: Environment | None = None
) -> Asked | None:
    """Be told at one address less, after a week. The last one stays.

    Raises Refused: ACCOUNT_LOCKED, UNKNOWN_ID, CONFLICT, and whatever `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    present = tx.addresses(account_id)
    address = _serving(present, address_id)
    if sum(one.state is AddressState.SERVING for one in present) == 1:
        raise Refused(Reason.CONFLICT, "the last address stays: name another one first")
    fields = {"channel": address.channel.value, "replaces": address.target}
    action = voucher(tx, account_id, ADDRESS_CHANGE, chosen=environment)
    asked = consent(tx, world, session=session, action=action, fields=fields)
    if asked is not None:
        return asked
    retire(tx, world, account_id, address_id, by=session.principal)
    notify(tx, world, account_id, kind="address.leaves", channel=address.channel.value, target=address.target)
    return None


def retire(tx: Transaction, world: World, account_id: str, address_id: str, *, by: str) -> None:
    """From here on it is told of security events for a week, and rung for nothing."""
    until = tx.now + world.limits.address_farewell_ms
    if tx.retire_address(account_id, address_id, until=until):
        tx.record(AuditEvent(EventKind.NOTICE_ADDRESS_LEAVES, by, {"address": address_id, "until": until}))


def _serving(present: list[Address], address_id: str) -> Address:
    found = [one for one in present if one.address_id == address_id and one.state is AddressState.SERVING]
    if not found:
        raise Refused(Reason.UNKNOWN_ID)
    return found[0]


def _same(address: Address, change: Change) -> bool:
    return (address.channel, address.target) == (change.channel, change.target)


def _code_hash(world: World, address: Address, code: str) -> bytes:
    return world.sealer.mac("address", f"{address.account_id}|{address.address_id}|{code}".encode())
