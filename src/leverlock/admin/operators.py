"""Operations on operators: the first one, and what the machine has to say while there are fewer than two (B61)."""

from __future__ import annotations

from typing import Any

import msgspec

from leverlock.admin.desk import Desk, account_named
from leverlock.app import operators
from leverlock.domain.account import canonical_login, must_be_password
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.proposal import Proposal, ProposalState
from leverlock.domain.roles import Role
from leverlock.ports import Transaction

PAGE = 100


class CreateOperator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    login: str
    password: str
    role: str


class GiveRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`role` is empty for none any more."""

    account: str
    role: str


class ApproveRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    account: str
    proposal: str


async def create_operator(desk: Desk, wanted: CreateOperator) -> dict[str, Any]:
    login = canonical_login(wanted.login)
    must_be_password(wanted.password)
    role = _role(wanted.role)
    password_hash = await desk.passwords.hash(wanted.password)
    account_id, proposal = await desk.store.run(
        lambda tx: operators.create_operator(
            tx, desk.world, login=login, password_hash=password_hash, role=role, by=desk.by
        )
    )
    return {"account": account_id, "login": login, "role": role.value, **_outcome(proposal)}


async def give_role(desk: Desk, wanted: GiveRole) -> dict[str, Any]:
    role = _role(wanted.role) if wanted.role else None
    account_id = await desk.store.read(lambda tx: account_named(tx, wanted.account))
    proposal = await desk.store.run(
        lambda tx: operators.propose_by_machine(tx, desk.world, account_id=account_id, role=role, by=desk.by)
    )
    return {"account": account_id, "role": wanted.role, **_outcome(proposal)}


async def approve_role(desk: Desk, wanted: ApproveRole) -> dict[str, Any]:
    account_id = await desk.store.read(lambda tx: account_named(tx, wanted.account))
    proposal = await desk.store.run(
        lambda tx: operators.approve_by_machine(
            tx, desk.world, account_id=account_id, proposal_id=wanted.proposal, by=desk.by
        )
    )
    return {"account": account_id, "proposal": proposal.proposal_id, "state": proposal.state.value}


async def list_operators(desk: Desk, _wanted: msgspec.Struct) -> dict[str, Any]:
    def look(tx: Transaction) -> dict[str, Any]:
        return {
            "operators": [
                {"account": one.account_id, "login": one.login, "role": one.role.value, "active": one.active}
                for one in tx.operators()
            ],
            "proposals": [_shown(one) for one in tx.proposals_in(ProposalState.OPEN, limit=PAGE)],
        }

    return await desk.store.read(look)


def _shown(proposal: Proposal) -> dict[str, Any]:
    return {
        "proposal": proposal.proposal_id,
        "account": proposal.account_id,
        "kind": proposal.kind.value,
        "points": list(proposal.summary),
        "proposed_by": proposal.proposed_by,
    }


def _outcome(proposal: Proposal | None) -> dict[str, Any]:
    return {"in_office": proposal is None, "proposal": None if proposal is None else proposal.proposal_id}


def _role(word: str) -> Role:
    try:
        return Role(word)
    except ValueError:
        raise Refused(Reason.MALFORMED, f"a role is one of {', '.join(Role)}", field="role") from None
