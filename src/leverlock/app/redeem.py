"""Redeem: spend an approval, once, for exactly the action that was approved (B40, B42, B44, B45, B51).

Policy, key and risk facts are compared again in the same transaction that spends the grant; the caller executes after
its commit, so what crashed in between was spent and not executed, never the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

from leverlock.app.closing import close
from leverlock.app.decide import Allowed, Asked, ask, current, judge
from leverlock.app.prove import grant_hash
from leverlock.domain.action import Intent, digest_of
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.policy import Outcome
from leverlock.ports import Transaction, World


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The grant is spent and committed: execute now, once. Trouble afterwards never brings it back."""

    challenge: Challenge


@dataclass(frozen=True, slots=True)
class Voided:
    """The grant was presented for something else, or the world changed: it is void and nothing may be executed."""

    challenge: Challenge
    reason: Reason


def redeem(tx: Transaction, world: World, *, intent: Intent, grant: str) -> Redeemed | Voided:
    """Spend `grant` for `intent`. A grant of another asker is as unknown as one that never was.

    Raises Refused: UNKNOWN_ID, GRANT_SPENT, GRANT_EXPIRED, NOT_APPROVED, and whatever `judge` raises.
    """
    tx.lock_account(intent.account_id)
    tx.if_refused(EventKind.ACTION_REFUSED, intent.principal, action=intent.action.type.name)
    challenge = tx.challenge_by_grant(intent.account_id, grant_hash(grant))
    if challenge is None or challenge.principal != intent.principal:
        raise Refused(Reason.UNKNOWN_ID, "no such grant")
    challenge.must_be_granted(tx.now)
    if challenge.digest != digest_of(intent.canonical()):
        return _void(tx, challenge, Reason.ACTION_MISMATCH, intent)
    if challenge.policy_version != world.policy().version:
        return _void(tx, challenge, Reason.POLICY_CHANGED, intent)
    if not intent.action.facts_known:
        raise Refused(Reason.FACTS_UNKNOWN, "the venue's facts of this action are not known now")
    if challenge.facts != intent.action.bound_facts():
        return _void(tx, challenge, Reason.FACTS_CHANGED, intent)
    return _spend(tx, world, challenge, intent)


def redeem_or_ask(tx: Transaction, world: World, *, intent: Intent) -> Redeemed | Allowed | Asked:
    """The repeated call: spend the approval this very intent has, or ask for one. What the gateway calls.

    An approval whose facts cannot be read now is kept and not spent: the caller is told to come again.
    """
    tx.lock_account(intent.account_id)
    tx.if_refused(EventKind.ACTION_REFUSED, intent.principal, action=intent.action.type.name)
    live = current(tx, world, intent=intent, digest=digest_of(intent.canonical()))
    if live is not None and live.state is State.APPROVED:
        if not intent.action.facts_known:
            judge(tx, world, intent=intent)
            return Asked(live)
        return _spend(tx, world, live, intent)
    return ask(tx, world, intent=intent)


def _spend(tx: Transaction, world: World, challenge: Challenge, intent: Intent) -> Redeemed:
    decision = judge(tx, world, intent=intent)
    if decision.outcome is Outcome.CHALLENGE:
        assert decision.requirement is not None
        if not challenge.requirement.covers(decision.requirement):
            raise Refused(Reason.POLICY_CHANGED)
    if not tx.spend_grant(challenge):
        raise Refused(Reason.GRANT_SPENT)
    tx.record(
        AuditEvent(
            EventKind.GRANT_SPENT,
            intent.principal,
            {"challenge": challenge.challenge_id, "action": challenge.action, "digest": challenge.digest.hex()},
        )
    )
    return Redeemed(challenge)


def _void(tx: Transaction, challenge: Challenge, reason: Reason, intent: Intent) -> Voided:
    close(tx, challenge, to=State.CANCELLED, because=reason, principal=intent.principal)
    return Voided(challenge, reason)
