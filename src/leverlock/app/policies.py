"""Policies: which one is in force, and how another takes its place (semantics 9).

The one in force is kept with its text, and every transaction compares its version. One that demands as much everywhere
takes its place at once; one that demands less anywhere is proposed, needs two operators, and waits a day in which the
owners it touches are told. The first policy of a deployment is free: there is nothing yet that it could loosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from leverlock.app.notices import notify
from leverlock.app.proposals import approved, close, made
from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.policy import Policy
from leverlock.domain.policy_compare import environments_of, weakenings
from leverlock.domain.policy_file import PolicyError, load_policy
from leverlock.domain.proposal import Proposal, ProposalKind, ProposalState
from leverlock.domain.roles import operator_principal
from leverlock.ports import Transaction, World

IN_FORCE: Final = "policy_version"
TEXT: Final = "policy_text"
ALL_TOLD: Final = "~"
MOST_POINTS: Final = 50  # of a proposal's summary


@dataclass(frozen=True, slots=True)
class Adopted:
    """What came of it. `replaced` is the version before, None where nothing was put in force.

    `kept` is the policy that stays in force instead, with the proposal that waits, where the new one demands less;
    `weaker` says where.
    """

    replaced: str | None
    kept: Policy | None = None
    proposal: Proposal | None = None
    weaker: tuple[str, ...] = ()


class PolicyUnreadable(Exception):
    """The policy in force cannot be read by this release, or says nothing about actions that it knows; nothing can
    be compared with it. The message says what to do."""


def adopt(tx: Transaction, world: World, *, policy: Policy, by: str, agent: str = "") -> Adopted:
    """Put `policy` in force, or propose it where it demands less anywhere than the one that is.

    `agent` is the operator who wants it, the first of the two. Raises Refused: CLOCK_BEHIND, CONFLICT where an
    operator's proposal waits already; PolicyUnreadable.
    """
    tx.lock_account(SYSTEM_ACCOUNT)
    version, text = tx.setting(IN_FORCE), tx.setting(TEXT)
    if version == policy.version:
        if text != policy.text:
            tx.set_setting(TEXT, policy.text)
        return Adopted(None)
    before = _in_force(version, text)
    found = [] if before is None else weakenings(before, policy)
    if not found:
        return Adopted(put_in_force(tx, policy=policy, by=by))
    kept = _whole(text or "", tuple(str(each) for each in found))
    points = tuple(str(each) for each in found[:MOST_POINTS])
    touched = tuple(sorted(environments_of(found)))
    return Adopted(None, kept, _proposed(tx, world, policy, points, touched, by=by, agent=agent), points)


def put_in_force(tx: Transaction, *, policy: Policy, by: str) -> str | None:
    """Make `policy` the one in force; the version it replaces, None where it was in force already.

    From this commit on a process that still holds another version refuses what is gated (`decide.judge`), and what
    waited to take this one's place is void: it was approved as a change of another. Raises Refused(CLOCK_BEHIND).
    """
    tx.lock_account(SYSTEM_ACCOUNT)
    before = tx.setting(IN_FORCE)
    if before == policy.version:
        return None
    tx.set_setting(IN_FORCE, policy.version)
    tx.set_setting(TEXT, policy.text)
    live = tx.live_proposal(SYSTEM_ACCOUNT, ProposalKind.POLICY)
    if live is not None:
        close(tx, live, to=ProposalState.SUPERSEDED, by=by)
    details = {
        "policy": policy.name,
        "version": policy.version,
        "before": before,
        "rules": len(policy.rules),
        "require_enrolment": policy.require_enrolment,
        "unsafe_allow": sorted(policy.unsafe_allow),
    }
    tx.record(AuditEvent(EventKind.POLICY_LOADED, by, details))
    return before or ""


def approve_policy(tx: Transaction, world: World, *, agent: str, proposal_id: str) -> Proposal:
    """Be one of the two operators; with the second its day begins.

    Raises Refused: UNKNOWN_ID, NOT_PERMITTED, PROPOSAL_STATE.
    """
    tx.lock_account(SYSTEM_ACCOUNT)
    due_at = tx.now + world.limits.policy_wait_ms
    proposal, _ = approved(
        tx,
        account_id=SYSTEM_ACCOUNT,
        proposal_id=proposal_id,
        kind=ProposalKind.POLICY,
        voice=agent,
        by=operator_principal(agent),
        due_at=due_at,
    )
    return proposal


def tell_owner(tx: Transaction, world: World, *, proposal: Proposal, account_id: str) -> None:
    """Tell one owner what will be demanded no longer, and from when."""
    tx.lock_account(account_id)
    on = tx.protections(account_id)
    concerned = [word for word in proposal.environments if Environment(word) in on]
    if concerned:
        notify(
            tx,
            world,
            account_id,
            kind="policy.looser",
            environments=", ".join(concerned),
            takes_effect_at=proposal.due_at,
            demands_less="; ".join(proposal.summary[:5]),
        )


def note_told(tx: Transaction, *, proposal: Proposal, after: str) -> Proposal | None:
    """The owners up to `after` are told; the proposal to go on with, None where it waits no longer."""
    tx.lock_account(SYSTEM_ACCOUNT)
    tx.note_told(proposal, after=after)
    known = tx.proposal(SYSTEM_ACCOUNT, proposal.proposal_id)
    return known if known is not None and known.state is ProposalState.APPROVED else None


def carry_out(tx: Transaction, *, proposal_id: str) -> bool:
    """Put an approved policy in force once its day is over and its owners are told; whether that was now."""
    tx.lock_account(SYSTEM_ACCOUNT)
    proposal = tx.proposal(SYSTEM_ACCOUNT, proposal_id)
    if proposal is None or proposal.state is not ProposalState.APPROVED:
        return False
    try:
        policy = load_policy(proposal.content)
    except PolicyError:  # this release knows actions that it says nothing about
        close(tx, proposal, to=ProposalState.REFUSED, by="sweeper:")
        return False
    if not tx.carry_out_proposal(proposal):
        return False
    by = operator_principal(proposal.second_by)
    tx.record(AuditEvent(EventKind.PROPOSAL_DONE, by, {"proposal": proposal_id}))
    put_in_force(tx, policy=policy, by=by)
    return True


def policy_in_force(tx: Transaction) -> Policy | None:
    """The policy in force, from its stored text; None before the first. Raises PolicyUnreadable."""
    version, text = tx.setting(IN_FORCE), tx.setting(TEXT)
    return None if version is None or text is None else _whole(text, ())


def _in_force(version: str | None, text: str | None) -> Policy | None:
    """What to compare with; None for a new deployment, and once for one that is older than the keeping of texts."""
    if version is None or text is None:
        return None
    try:
        policy = load_policy(text, whole=False)
    except PolicyError as problem:
        raise PolicyUnreadable(f"the policy in force cannot be read by this release: {problem}") from None
    return policy if policy.version == version else None


def _whole(text: str, weaker: tuple[str, ...]) -> Policy:
    try:
        return load_policy(text)
    except PolicyError as problem:
        said = "".join(f"\n  {line}" for line in weaker)
        raise PolicyUnreadable(
            f"the policy in force says nothing about an action that is new in this release ({problem}), and this one "
            f"demands less than it; start with one that demands as much everywhere, then propose the other:{said}"
        ) from None


def _proposed(
    tx: Transaction,
    world: World,
    policy: Policy,
    points: tuple[str, ...],
    touched: tuple[Environment, ...],
    *,
    by: str,
    agent: str,
) -> Proposal | None:
    """The proposal that waits for this policy. What no operator wanted makes room; what one wanted stays."""
    live = tx.live_proposal(SYSTEM_ACCOUNT, ProposalKind.POLICY)
    if live is not None and live.state_at(tx.now) is not ProposalState.EXPIRED:
        if live.version == policy.version and not agent:
            return live
        if live.first_by:
            if agent:
                raise Refused(Reason.CONFLICT, "another policy waits; refuse it first")
            return None
        close(tx, live, to=ProposalState.SUPERSEDED, by=by)
    proposal = Proposal(
        account_id=SYSTEM_ACCOUNT,
        proposal_id=make_id("prop", world.entropy.bytes(ID_BYTES)),
        kind=ProposalKind.POLICY,
        content=policy.text,
        version=policy.version,
        summary=points,
        environments=tuple(environment.value for environment in touched),
        state=ProposalState.OPEN,
        proposed_by=by,
        proposed_at=tx.now,
        expires_at=tx.now + world.limits.proposal_life_ms,
        first_by=agent,
    )
    return made(tx, proposal)
