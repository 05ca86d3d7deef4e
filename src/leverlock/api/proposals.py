"""What two operators decide: another policy, and who is an operator (semantics 9)."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from leverlock.api.endpoint import Call, Caller, must_be_id
from leverlock.api.views import AccountId, Millis, View
from leverlock.api.wire import Form
from leverlock.app import operators, policies, proposals
from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import is_id
from leverlock.domain.policy import Policy
from leverlock.domain.policy_file import PolicyError, load_policy
from leverlock.domain.proposal import Proposal, ProposalKind, ProposalState
from leverlock.domain.roles import Permission, Role, may
from leverlock.ports import Transaction, World

PAGE = 100
MAX_POLICY = 32 * 1024  # characters; a body has twice as many bytes

ProposalId = Annotated[str, Meta(extra_json_schema={"pattern": "^prop_[a-z2-7]{26}$"})]
Subject = Annotated[str, Meta(extra_json_schema={"pattern": "^(acc_[a-z2-7]{26}|system)$"})]


class PolicyForm(Form):
    """The whole text of a policy file."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_POLICY)]


class RoleForm(Form):
    """The role that the account is to have; null for none any more."""

    role: Role | None


class ProposalsQuery(Form):
    state: ProposalState = ProposalState.OPEN


class ProposalView(View, kw_only=True):
    """A proposal. `points` say what it comes to, `voices` how many of the two operators have agreed.

    `account` is whom it is about, `system` for a policy; `due_at` is when an approved policy takes effect.
    """

    id: ProposalId
    account: Subject
    kind: str
    state: str
    points: list[str]
    content: str
    version: str | UnsetType = UNSET
    proposed_by: str
    proposed_at: Millis
    expires_at: Millis
    voices: int
    due_at: Millis | UnsetType = UNSET


class ProposalList(View):
    proposals: list[ProposalView]


class PolicyOutcome(View):
    """`in_force` is the version in force now; `proposal` is there where another one waits for its two operators."""

    in_force: str
    proposal: ProposalView | UnsetType = UNSET


class PolicyView(View):
    """The policy in force, with its text."""

    name: str
    version: str
    text: str


class OperatorEntry(View):
    account: AccountId
    login: str
    role: str
    active: bool
    since: Millis


class OperatorList(View):
    operators: list[OperatorEntry]


def proposal_view(tx: Transaction, proposal: Proposal) -> ProposalView:
    view = ProposalView(
        id=proposal.proposal_id,
        account=proposal.account_id,
        kind=proposal.kind.value,
        state=proposal.state_at(tx.now).value,
        points=list(proposal.summary),
        content=proposal.content,
        proposed_by=proposal.proposed_by,
        proposed_at=proposal.proposed_at,
        expires_at=proposal.expires_at,
        voices=(proposal.first_by != "") + (proposal.second_by != ""),
    )
    if proposal.version:
        view.version = proposal.version
    if proposal.due_at:
        view.due_at = proposal.due_at
    return view


def list_proposals(tx: Transaction, _world: World, _caller: Caller, call: Call) -> ProposalList:
    found = tx.proposals_in(call.query.state, limit=PAGE)
    return ProposalList([proposal_view(tx, proposal) for proposal in found])


def list_operators(tx: Transaction, _world: World, _caller: Caller, _call: Call) -> OperatorList:
    return OperatorList(
        [OperatorEntry(one.account_id, one.login, one.role.value, one.active, one.since) for one in tx.operators()]
    )


def show_policy(tx: Transaction, world: World, _caller: Caller, _call: Call) -> PolicyView:
    policy = world.policy()
    return PolicyView(policy.name, policy.version, policy.text)


def policy_read(call: Call) -> None:
    """The form's text as a policy. Raises Refused(POLICY_REFUSED) naming the line."""
    try:
        call.extra = load_policy(call.body.text)
    except PolicyError as problem:
        raise Refused(Reason.POLICY_REFUSED, str(problem), field="$.text") from None


def propose_policy(tx: Transaction, world: World, caller: Caller, call: Call) -> PolicyOutcome:
    """In force at once where it demands as much everywhere; else it waits for a second operator and its day."""
    policy: Policy = call.extra
    try:
        adopted = policies.adopt(tx, world, policy=policy, by=caller.principal, agent=caller.agent)
    except policies.PolicyUnreadable as problem:
        raise Refused(Reason.POLICY_REFUSED, str(problem)[:300]) from None
    outcome = PolicyOutcome(tx.setting(policies.IN_FORCE) or policy.version)
    if adopted.proposal is not None:
        outcome.proposal = proposal_view(tx, adopted.proposal)
    return outcome


def propose_role(tx: Transaction, world: World, caller: Caller, call: Call) -> ProposalView:
    account_id = must_be_id("acc", call.path["account"])
    role = call.body.role
    return proposal_view(tx, operators.propose_role(tx, world, agent=caller.agent, account_id=account_id, role=role))


def approve(tx: Transaction, world: World, caller: Caller, call: Call) -> ProposalView:
    account_id, proposal_id = _proposal(tx, caller, call)
    if account_id == SYSTEM_ACCOUNT:
        done = policies.approve_policy(tx, world, agent=caller.agent, proposal_id=proposal_id)
    else:
        done = operators.approve_role(
            tx, world, account_id=account_id, proposal_id=proposal_id, voice=caller.agent, by=caller.principal
        )
    return proposal_view(tx, done)


def refuse(tx: Transaction, _world: World, caller: Caller, call: Call) -> ProposalView:
    account_id, proposal_id = _proposal(tx, caller, call)
    return proposal_view(
        tx,
        proposals.refuse(tx, account_id=account_id, proposal_id=proposal_id, voice=caller.agent, by=caller.principal),
    )


_DECIDED_BY = {ProposalKind.POLICY: Permission.CHANGE_POLICY, ProposalKind.ROLE: Permission.CHANGE_OPERATORS}


def _proposal(tx: Transaction, caller: Caller, call: Call) -> tuple[str, str]:
    """The proposal that the path names, if this operator may decide about its kind. Raises Refused: UNKNOWN_ID,
    NOT_PERMITTED."""
    account_id, proposal_id = call.path["subject"], must_be_id("prop", call.path["proposal"])
    if account_id != SYSTEM_ACCOUNT and not is_id("acc", account_id):
        raise Refused(Reason.UNKNOWN_ID)
    proposal = proposals.known_proposal(tx, account_id, proposal_id)
    assert caller.operator is not None
    if not may(caller.operator.role, _DECIDED_BY[proposal.kind]):
        raise Refused(Reason.NOT_PERMITTED)
    return account_id, proposal_id
