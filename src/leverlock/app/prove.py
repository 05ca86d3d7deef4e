"""Prove: the owner answers, and what he marked may be executed, once, soon.

One page, from top to bottom: load what was marked, refuse what cannot be answered, charge the attempt *before* looking
at the answer, verify, burn the step, approve. All of it is one transaction; the answer leaves after its commit.
One code may approve up to five orders, leverage raises or margin-mode switches together (semantics 12).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from leverlock.domain.account import Account
from leverlock.domain.actions import action_type
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.authenticator import Authenticator
from leverlock.domain.challenge import Challenge
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.requirement import ProofKind
from leverlock.domain.totp import NoMatch, StepUsed
from leverlock.ports import Charge, PasswordFinding, SealBroken, Transaction, World


@dataclass(frozen=True, slots=True)
class Approved:
    """One approved challenge. `grant` is given only to the asker himself; keys fetch theirs (B44)."""

    challenge: Challenge
    grant: str
    grant_expires_at: int


def prove(
    tx: Transaction,
    world: World,
    *,
    account_id: str,
    answered_by: str,
    challenge_ids: Sequence[str],
    code: str,
    password: PasswordFinding | None = None,
) -> list[Approved]:
    """Approve the marked challenges with one live code (and the master password where one of them demands it).

    Raises Refused: UNKNOWN_ID, CANNOT_GROUP, CHALLENGE_EXPIRED, CHALLENGE_FAILED, CHALLENGE_NOT_PENDING,
    ACCOUNT_LOCKED, FACTOR_BLOCKED, FACTOR_DISABLED, ACCOUNT_BUDGET_SPENT, WRONG_CODE, CODE_ALREADY_USED. Whatever is
    raised after the charge leaves the charge in place.
    """
    account = tx.lock_account(account_id)
    tx.if_refused(EventKind.ANSWER_REFUSED, answered_by, challenges=[text[:64] for text in challenge_ids])
    marked = _marked(tx, world, account_id, challenge_ids)
    authenticator = tx.bound_authenticator(account_id, marked[0].environment)
    charge = charge_answer(tx, world, account, authenticator, tuple(c.challenge_id for c in marked))

    step = verify_code(tx, world, authenticator, code)
    if any(ProofKind.PASSWORD in challenge.requirement.proofs for challenge in marked):
        verify_password(account, password)
    assert authenticator is not None
    if not tx.advance_totp_step(account_id, authenticator.authenticator_id, step=step):
        raise Refused(Reason.CODE_ALREADY_USED)

    tx.take_back(charge, account=account.budget)
    approved = [_approve(tx, world, challenge) for challenge in marked]
    tx.record(
        AuditEvent(
            EventKind.CHALLENGE_APPROVED,
            answered_by,
            {
                "challenges": [challenge.challenge_id for challenge in marked],
                "digest": _list_digest(marked).hex(),
                "environment": marked[0].environment.value,
                "authenticator": authenticator.authenticator_id,
                "step": step,
                "proofs": sorted({word for challenge in marked for word in challenge.requirement.words()}),
            },
        )
    )
    return approved


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


def charge_answer(
    tx: Transaction,
    world: World,
    account: Account,
    authenticator: Authenticator | None,
    challenge_ids: tuple[str, ...] = (),
) -> Charge:
    """Count one wrong answer, of the account and of the factor, before anything is compared (B74, B77).

    Where the environment has no authenticator the account alone is charged, so that the answer is the same.
    A locked account is refused before anything is evaluated.
    """
    account.must_be_active()
    spent = account.budget.charged(tx.now, world.limits)
    if authenticator is None:
        charge = Charge(spent, challenge_ids=challenge_ids)
    else:
        after = authenticator.budget.charged(tx.now, world.limits)
        charge = Charge(spent, authenticator.authenticator_id, authenticator.budget, after, challenge_ids)
    tx.charge(charge)
    return charge


def verify_code(tx: Transaction, world: World, authenticator: Authenticator | None, code: str) -> int:
    """The step this code proves. *Wrong*, *other environment* and *no such factor* are one answer (B62)."""
    if authenticator is None:
        raise Refused(Reason.WRONG_CODE)
    try:
        return world.totp.verify(authenticator, code, now_ms=tx.now).step
    except StepUsed:
        raise Refused(Reason.CODE_ALREADY_USED, "wait for the next code") from None
    except (NoMatch, SealBroken):
        raise Refused(Reason.WRONG_CODE) from None


def verify_password(account: Account, finding: PasswordFinding | None) -> None:
    """The master password was typed, matches, and was checked against the hash that is still stored."""
    if finding is None or not finding.matched:
        raise Refused(Reason.WRONG_CODE)
    if finding.account_id != account.account_id or finding.checked_hash != account.password_hash:
        raise Refused(Reason.WRONG_CODE)


def grant_of(world: World, challenge: Challenge) -> str:
    """The grant's token: derived, so that it can be given again while only its hash is stored (B44)."""
    return "gr_" + world.sealer.mac("grant", f"{challenge.challenge_id}|{challenge.principal}".encode()).hex()


def grant_hash(grant: str) -> bytes:
    """How a grant is stored and looked up; whatever text was sent as one has a hash, and is unknown by it."""
    return hashlib.sha256(grant.encode("utf-8", "surrogatepass")).digest()


def _approve(tx: Transaction, world: World, challenge: Challenge) -> Approved:
    grant = grant_of(world, challenge)
    expires_at = tx.now + world.limits.grant_life_ms
    if not tx.approve_challenge(challenge, grant_hash=grant_hash(grant), grant_expires_at=expires_at):
        raise Refused(Reason.CHALLENGE_NOT_PENDING)
    return Approved(challenge, grant, expires_at)


def _list_digest(marked: Sequence[Challenge]) -> bytes:
    """What the code was bound to: the digest of the marked list, order included."""
    return hashlib.sha256(b"".join(challenge.digest for challenge in marked)).digest()
