"""Prove: the owner answers, and what he marked may be executed, once, soon.

One page, from top to bottom: load what was marked, refuse what cannot be answered, charge the attempt *before* looking
at the answer, check every proof that is demanded, burn what was used, approve. All of it is one transaction; the answer
leaves after its commit. One code may approve up to five orders, leverage raises or margin-mode switches together
(semantics 12); a movement of funds is answered in two layers, each by an answer of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from leverlock.app.ceremonies import taken_for
from leverlock.app.proofs import (
    Checking,
    Proof,
    answered_right,
    charge_answer,
    check,
    factor_of,
    must_fit,
    standing_in,
)
from leverlock.app.sms_proof import tell_of_use
from leverlock.domain.actions import action_type
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.challenge import Challenge
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.requirement import Backup, ProofKind, Requirement, join_all
from leverlock.ports import Transaction, World


@dataclass(frozen=True, slots=True)
class Approved:
    """One approved challenge. `grant` is given only to the asker himself; keys fetch theirs (B44)."""

    challenge: Challenge
    grant: str
    grant_expires_at: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """One layer is proved; the challenge waits for the rest."""

    challenge: Challenge


def prove(
    tx: Transaction,
    world: World,
    *,
    account_id: str,
    answered_by: str,
    challenge_ids: Sequence[str],
    proof: Proof,
) -> list[Approved | Advanced]:
    """Approve the marked challenges with one answer, or bring the one that was marked a layer further.

    Raises Refused: UNKNOWN_ID, CANNOT_GROUP, CHALLENGE_EXPIRED, CHALLENGE_FAILED, CHALLENGE_NOT_PENDING,
    PROOF_MISSING, PROOF_NOT_ACCEPTED, CEREMONY_OVER, ACCOUNT_LOCKED, FACTOR_BLOCKED, FACTOR_DISABLED,
    ACCOUNT_BUDGET_SPENT, WRONG_CODE, CODE_ALREADY_USED. Whatever is raised after the charge leaves the charge in place.
    """
    account = tx.lock_account(account_id)
    tx.if_refused(EventKind.ANSWER_REFUSED, answered_by, challenges=[text[:64] for text in challenge_ids])
    marked = _marked(tx, world, account_id, challenge_ids)
    environment, demand = marked[0].environment, _demand(marked)
    must_fit(demand, proof)
    backup = standing_in(demand, proof)
    if backup is not None and len(marked) > 1:
        raise Refused(Reason.CANNOT_GROUP, "an SMS code answers the one challenge it was sent for")
    authenticator = factor_of(tx, world, account_id, environment, demand, backup=backup)
    asking = taken_for(tx, marked[0], answered_by=answered_by) if ProofKind.SECURITY_KEY in demand.proofs else None
    charge = charge_answer(tx, world, account, authenticator, tuple(c.challenge_id for c in marked))
    checking = Checking(account, environment, authenticator, proof, backup, marked[0].challenge_id, asking)
    found = check(tx, world, demand, checking)
    answered_right(tx, world, charge, account)
    settled = [_settle(tx, world, challenge, demand) for challenge in marked]
    details = {
        "challenges": [challenge.challenge_id for challenge in marked],
        "digest": _list_digest(marked).hex(),
        "environment": environment.value,
        "proofs": demand.words(),
        **found,
    }
    whole = isinstance(settled[0], Approved)
    kind = EventKind.CHALLENGE_APPROVED if whole else EventKind.CHALLENGE_ADVANCED
    tx.record(AuditEvent(kind, answered_by, details))
    if backup is Backup.SMS:
        tell_of_use(tx, world, marked[0])
    return settled


def _marked(tx: Transaction, world: World, account_id: str, challenge_ids: Sequence[str]) -> list[Challenge]:
    """What the owner marked. Several must be pending, of one environment and of kinds that may share a code."""
    if not 1 <= len(challenge_ids) <= world.limits.group_size or len(set(challenge_ids)) != len(challenge_ids):
        raise Refused(Reason.CANNOT_GROUP, f"one code answers 1 to {world.limits.group_size} different challenges")
    marked = []
    for challenge_id in challenge_ids:
        challenge = tx.challenge(account_id, challenge_id)
        if challenge is None:
            raise Refused(Reason.UNKNOWN_ID, "no such challenge")
        challenge.must_be_pending(tx.now)
        marked.append(challenge)
    if len(marked) > 1:
        ungroupable = [c for c in marked if not action_type(c.action).groupable]
        if ungroupable or len({challenge.environment for challenge in marked}) > 1:
            raise Refused(Reason.CANNOT_GROUP, "these challenges need a code each")
    return marked


def _demand(marked: Sequence[Challenge]) -> Requirement:
    """What this answer has to prove: the next layer of all that was marked. Never nothing."""
    demand = join_all([challenge.remaining.layer for challenge in marked])
    if demand is None or not demand.proofs:
        raise Refused(Reason.PROOF_NOT_ACCEPTED)
    return demand


def _settle(tx: Transaction, world: World, challenge: Challenge, proved: Requirement) -> Approved | Advanced:
    given = challenge.given | (proved.proofs & challenge.requirement.proofs)
    if given < challenge.requirement.proofs:
        if not tx.advance_challenge(challenge, given=given):
            raise Refused(Reason.CHALLENGE_NOT_PENDING)
        return Advanced(replace(challenge, given=given))
    grant = grant_of(world, challenge)
    expires_at = tx.now + world.limits.grant_life_ms
    if not tx.approve_challenge(challenge, grant_hash=grant_hash(grant), grant_expires_at=expires_at):
        raise Refused(Reason.CHALLENGE_NOT_PENDING)
    return Approved(challenge, grant, expires_at)


def grant_of(world: World, challenge: Challenge) -> str:
    """The grant's token: derived, so that it can be given again while only its hash is stored (B44)."""
    return "gr_" + world.sealer.mac("grant", f"{challenge.challenge_id}|{challenge.principal}".encode()).hex()


def grant_hash(grant: str) -> bytes:
    """How a grant is stored and looked up; whatever text was sent as one has a hash, and is unknown by it."""
    return hashlib.sha256(grant.encode("utf-8", "surrogatepass")).digest()


def _list_digest(marked: Sequence[Challenge]) -> bytes:
    """What the code was bound to: the digest of the marked list, order included."""
    return hashlib.sha256(b"".join(challenge.digest for challenge in marked)).digest()
