"""Proposals: written down, agreed to by the first and the second operator, refused (semantics 9)."""

from __future__ import annotations

from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.proposal import Proposal, ProposalKind, ProposalState, may_step
from leverlock.ports import Transaction


def made(tx: Transaction, proposal: Proposal) -> Proposal:
    """Write a new proposal down. One of its kind that has run out makes room. Raises Refused(CONFLICT) for another."""
    live = tx.live_proposal(proposal.account_id, proposal.kind)
    if live is not None and live.state_at(tx.now) is ProposalState.EXPIRED:
        close(tx, live, to=ProposalState.EXPIRED, by=proposal.proposed_by)
    if not tx.insert_proposal(proposal):
        raise Refused(Reason.CONFLICT, "another proposal of this kind waits; refuse it first")
    details = {
        "proposal": proposal.proposal_id,
        "kind": proposal.kind.value,
        "version": proposal.version,
        "summary": list(proposal.summary),
        "first": proposal.first_by,
    }
    tx.record(AuditEvent(EventKind.PROPOSAL_MADE, proposal.proposed_by, details))
    return proposal


def approved(
    tx: Transaction, *, account_id: str, proposal_id: str, kind: ProposalKind, voice: str, by: str, due_at: int
) -> tuple[Proposal, bool]:
    """Be one of the two: the proposal as it is then, and whether both have agreed.

    Raises Refused: UNKNOWN_ID, PROPOSAL_STATE, NOT_PERMITTED for whom it is about and for who agreed already.
    """
    tx.if_refused(EventKind.ACTION_REFUSED, by, action="proposal.approve", proposal=proposal_id[:64])
    proposal = known_proposal(tx, account_id, proposal_id)
    if proposal.kind is not kind:
        raise Refused(Reason.UNKNOWN_ID, "no such proposal")
    proposal.must_be(ProposalState.OPEN, now_ms=tx.now)
    proposal.must_not_be_approved_by(voice)
    complete = proposal.first_by != ""
    done = (
        tx.approve_proposal(proposal, by=voice, due_at=due_at) if complete else tx.second_proposal(proposal, by=voice)
    )
    if not done:
        raise Refused(Reason.PROPOSAL_STATE)
    details = {"proposal": proposal_id, "voice": 2 if complete else 1, "due_at": due_at if complete else 0}
    tx.record(AuditEvent(EventKind.PROPOSAL_APPROVED, by, details))
    return known_proposal(tx, account_id, proposal_id), complete


def refuse(tx: Transaction, *, account_id: str, proposal_id: str, voice: str, by: str) -> Proposal:
    """Say no, while it is open or waits for its day. One operator suffices, but not the one whom it is about, unless
    he proposed it himself. Raises Refused: UNKNOWN_ID, PROPOSAL_STATE, NOT_PERMITTED."""
    tx.lock_account(account_id)
    tx.if_refused(EventKind.ACTION_REFUSED, by, action="proposal.refuse", proposal=proposal_id[:64])
    proposal = known_proposal(tx, account_id, proposal_id)
    if voice == account_id and by != proposal.proposed_by:
        raise Refused(Reason.NOT_PERMITTED, "nobody decides about his own role")
    proposal.must_be(ProposalState.OPEN, ProposalState.APPROVED, now_ms=tx.now)
    close(tx, proposal, to=ProposalState.REFUSED, by=by)
    return known_proposal(tx, account_id, proposal_id)


def close(tx: Transaction, proposal: Proposal, *, to: ProposalState, by: str) -> None:
    """End a proposal without effect. Raises Refused(PROPOSAL_STATE) when somebody was quicker."""
    if not may_step(proposal.state, to) or not tx.close_proposal(proposal, to=to, by=by):
        raise Refused(Reason.PROPOSAL_STATE, facts={"state": proposal.state.value})
    details = {"proposal": proposal.proposal_id, "was": proposal.state.value, "state": to.value}
    tx.record(AuditEvent(EventKind.PROPOSAL_CLOSED, by, details))


def known_proposal(tx: Transaction, account_id: str, proposal_id: str) -> Proposal:
    """Raises Refused(UNKNOWN_ID)."""
    proposal = tx.proposal(account_id, proposal_id)
    if proposal is None:
        raise Refused(Reason.UNKNOWN_ID, "no such proposal")
    return proposal
