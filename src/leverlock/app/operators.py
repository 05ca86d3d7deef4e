"""Operators: who may have a role, and the two who decide it (semantics 9, B61).

There is none until a command on the machine makes the first, who can then decide about others. A further one, or
another role, takes two different operators who may decide about operators, neither of whom it is about. While there are
fewer than two of these, the command on the machine stands in for the one that is missing; whoever can give it could
write the database as well.
"""

from __future__ import annotations

from leverlock.app.accounts import create_account
from leverlock.app.notices import notify
from leverlock.app.proposals import approved, made
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.proposal import Proposal, ProposalKind, ProposalState
from leverlock.domain.roles import Permission, Role, may, operator_principal
from leverlock.ports import Transaction, World

VOICES = 2


def must_have_login_factor(tx: Transaction, account_id: str) -> None:
    """Raises Refused(ENROLMENT_REQUIRED) unless signing in asks this account for more than its password.

    Every full session of such an account has passed the login challenge, or bound the factor that asks it: binding a
    login authenticator or a security key ends all others.
    """
    if tx.security_keys(account_id):
        return
    bound = tx.bound_authenticator(account_id, Environment.LOGIN)
    if Environment.LOGIN not in tx.protections(account_id) or bound is None or bound.budget.disabled:
        raise Refused(
            Reason.ENROLMENT_REQUIRED,
            "an operator binds a login authenticator or a security key first",
            facts={"environment": Environment.LOGIN.value},
        )


def create_operator(
    tx: Transaction, world: World, *, login: str, password_hash: str, role: Role, by: str
) -> tuple[str, Proposal | None]:
    """An account that is to have a role; by a command on the machine. The first operator has it at once.

    Raises Refused: NAME_TAKEN, NOT_PERMITTED where two operators are there to decide, MALFORMED for a first one who
    could decide nothing about others.
    """
    if not tx.operators() and not may(role, Permission.CHANGE_OPERATORS):
        raise Refused(Reason.MALFORMED, "the first operator is an admin, who then decides about others", field="role")
    account_id = create_account(tx, world, login=login, password_hash=password_hash, by=by)
    return account_id, propose_by_machine(tx, world, account_id=account_id, role=role, by=by)


def propose_by_machine(
    tx: Transaction, world: World, *, account_id: str, role: Role | None, by: str
) -> Proposal | None:
    """The same for an account that is there. None where nobody else has to agree and it is done.

    Raises Refused: UNKNOWN_ID, CONFLICT, NOT_PERMITTED.
    """
    tx.lock_account(account_id)
    deciding = _others_deciding(tx, account_id)
    if deciding >= VOICES:
        raise Refused(Reason.NOT_PERMITTED, "two operators decide this: one of them proposes it, another approves")
    if deciding == 0:
        change_role(tx, world, account_id=account_id, role=role, by=(by,))
        return None
    return _propose(tx, world, account_id=account_id, role=role, by=by, first_by=by)


def approve_by_machine(tx: Transaction, world: World, *, account_id: str, proposal_id: str, by: str) -> Proposal:
    """Agree to what the only operator who can decide has proposed. Raises Refused: as `approve`."""
    tx.lock_account(account_id)
    if _others_deciding(tx, account_id) >= VOICES:
        raise Refused(Reason.NOT_PERMITTED, "two operators decide this")
    return approve_role(tx, world, account_id=account_id, proposal_id=proposal_id, voice=by, by=by)


def propose_role(tx: Transaction, world: World, *, agent: str, account_id: str, role: Role | None) -> Proposal:
    """Propose that an account has this role, or none. Who proposes it about himself is neither of the two.

    Raises Refused: UNKNOWN_ID, CONFLICT.
    """
    tx.lock_account(account_id)
    first_by = agent if agent != account_id else ""
    return _propose(tx, world, account_id=account_id, role=role, by=operator_principal(agent), first_by=first_by)


def approve_role(tx: Transaction, world: World, *, account_id: str, proposal_id: str, voice: str, by: str) -> Proposal:
    """Be one of the two; with the second the role is given.

    Raises Refused: UNKNOWN_ID, NOT_PERMITTED, PROPOSAL_STATE, CONFLICT.
    """
    tx.lock_account(account_id)
    proposal, complete = approved(
        tx, account_id=account_id, proposal_id=proposal_id, kind=ProposalKind.ROLE, voice=voice, by=by, due_at=tx.now
    )
    if not complete:
        return proposal
    if not tx.carry_out_proposal(proposal):
        raise Refused(Reason.PROPOSAL_STATE)
    tx.record(AuditEvent(EventKind.PROPOSAL_DONE, by, {"proposal": proposal_id}))
    role = Role(proposal.content) if proposal.content else None
    change_role(tx, world, account_id=account_id, role=role, by=(proposal.first_by, proposal.second_by))
    done = tx.proposal(account_id, proposal_id)
    assert done is not None
    return done


def change_role(tx: Transaction, world: World, *, account_id: str, role: Role | None, by: tuple[str, ...]) -> None:
    """Give or take the role, on record with those who decided it. Raises Refused(CONFLICT)."""
    present = tx.operator(account_id)
    before = None if present is None else present.role
    if before is role or not tx.set_role(account_id, before=before, after=role):
        raise Refused(Reason.CONFLICT, "the account has this role already")
    details = {"before": before or "", "role": role or "", "decided_by": list(by)}
    tx.record(AuditEvent(EventKind.ROLE_CHANGED, by[0], details))
    notify(tx, world, account_id, kind="operator.role_changed", role=role or "none")


def _propose(tx: Transaction, world: World, *, account_id: str, role: Role | None, by: str, first_by: str) -> Proposal:
    present = tx.operator(account_id)
    before = None if present is None else present.role
    if before is role:
        raise Refused(Reason.CONFLICT, "the account has this role already")
    account = tx.account(account_id)
    assert account is not None
    proposal = Proposal(
        account_id=account_id,
        proposal_id=make_id("prop", world.entropy.bytes(ID_BYTES)),
        kind=ProposalKind.ROLE,
        content=role or "",
        version="",
        summary=(f"{account.login}: {before or 'no role'} becomes {role or 'no role'}",),
        environments=(),
        state=ProposalState.OPEN,
        proposed_by=by,
        proposed_at=tx.now,
        expires_at=tx.now + world.limits.proposal_life_ms,
        first_by=first_by,
    )
    return made(tx, proposal)


def _others_deciding(tx: Transaction, account_id: str) -> int:
    """How many can decide about this account's role now: not counting itself, and who is locked decides nothing."""
    return sum(
        1
        for operator in tx.operators()
        if operator.active and operator.account_id != account_id and may(operator.role, Permission.CHANGE_OPERATORS)
    )
