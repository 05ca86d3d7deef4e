"""Decide: may this action pass, or must the owner be asked first? (M15, semantics 2, 9, 11)

An ordinary action never comes here: the doors decide it from a snapshot and touch no database. What comes here is
decided again inside the transaction, against the policy, the key and the protection as they are stored now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from leverlock.app.closing import close
from leverlock.app.holds import must_not_be_held
from leverlock.app.notices import ring
from leverlock.domain.account import AccountState
from leverlock.domain.account_actions import PASSWORD_RESET
from leverlock.domain.action import Intent, digest_of
from leverlock.domain.api_key import KeyState
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.policy import Decision, Outcome, Standing, Why, decide
from leverlock.domain.requirement import KEY_ALONE, LATER_CODE, ProofKind, Requirement
from leverlock.domain.security_key import SecurityKeyState
from leverlock.ports import Transaction, World


@dataclass(frozen=True, slots=True)
class Allowed:
    """The action may be executed without a proof."""

    why: Why


@dataclass(frozen=True, slots=True)
class Asked:
    """The owner has been asked. `challenge` is pending, or already approved and waiting to be redeemed.

    `new`: it was made just now, and not found waiting from the same question before.
    """

    challenge: Challenge
    new: bool = False


def ask(tx: Transaction, world: World, *, intent: Intent, told: frozenset[ProofKind] = frozenset()) -> Allowed | Asked:
    """Allow the action, or have its owner asked: the same intent twice is one challenge, one ring.

    `told` is what the host vouches for; `identity` alone passes it, once that holds.

    What the owner denied is not asked again while that challenge would have lived: he is not to be tired out.
    Raises Refused: ACCOUNT_LOCKED, KEY_REVOKED, KEY_FROZEN, POLICY_CHANGED, ENROLMENT_REQUIRED, NO_USABLE_FACTOR,
    TOO_MANY_CHALLENGES, DENIED, ON_HOLD.
    """
    tx.lock_account(intent.account_id)
    tx.if_refused(EventKind.ACTION_REFUSED, intent.principal, action=intent.action.type.name)
    decision = judge(tx, world, intent=intent)
    digest = digest_of(intent.canonical())
    live = current(tx, world, intent=intent, digest=digest)
    if decision.outcome is Outcome.ALLOW:
        if live is not None:
            close(tx, live, to=State.CANCELLED, because="no_longer_needed", principal=intent.principal)
        if decision.why is Why.UNSAFE_ALLOW:
            tx.record(AuditEvent(EventKind.UNSAFE_ALLOWED, intent.principal, {"action": intent.action.type.name}))
        return Allowed(decision.why)
    if live is not None:
        return Asked(live)
    denied = tx.denied_until(intent.account_id, principal=intent.principal, digest=digest)
    if denied is not None:
        raise Refused(Reason.DENIED, retry_after_ms=denied - tx.now)
    return Asked(_create(tx, world, intent=intent, digest=digest, decision=decision, told=told), new=True)


def judge(tx: Transaction, world: World, *, intent: Intent) -> Decision:
    """The decision as of this transaction. Raises Refused where it is a refusal or where nothing may be decided."""
    policy = world.policy()
    if tx.setting("policy_version") != policy.version:
        raise Refused(Reason.POLICY_CHANGED, "the policy in force is being replaced; try again")
    account = tx.account(intent.account_id)
    if account is None or account.state is not AccountState.ACTIVE:
        raise Refused(Reason.ACCOUNT_LOCKED)
    decision = decide(policy, intent.action, standing(tx, intent))
    if decision.outcome is Outcome.REFUSE:
        reason = Reason.ENROLMENT_REQUIRED if decision.why is Why.ENROLMENT_REQUIRED else Reason.NO_USABLE_FACTOR
        raise Refused(reason, facts={"environment": intent.action.type.environment.value})
    if decision.outcome is Outcome.CHALLENGE:
        must_not_be_held(tx, intent.account_id, intent.action)
        assert decision.requirement is not None
        return replace(decision, requirement=_settled(tx, intent.account_id, decision.requirement))
    return decision


def _settled(tx: Transaction, account_id: str, requirement: Requirement) -> Requirement:
    """Layer 2 as this account has to prove it: with a security key where one serves, and then with nothing less (B20).

    Raises Refused(NO_USABLE_FACTOR) where the only ones that could are suspended (B27).
    """
    if ProofKind.MOVEMENT not in requirement.proofs:
        return requirement
    keys = tx.security_keys(account_id)
    if any(key.serves_movements(tx.now) for key in keys):
        return requirement.settled(KEY_ALONE)
    if any(key.state is SecurityKeyState.SUSPENDED for key in keys):
        raise Refused(Reason.NO_USABLE_FACTOR, "the account's security key is suspended; remove it first")
    return requirement.settled(LATER_CODE)


def standing(tx: Transaction, intent: Intent) -> Standing:
    """How the account and the asking key stand now. Raises Refused for a key that is not active."""
    legacy = False
    kind, _, name = intent.principal.partition(":")
    if kind == "key":
        key = tx.key(intent.account_id, name)
        if key is None or key.state is KeyState.REVOKED:
            raise Refused(Reason.KEY_REVOKED)
        if key.state is KeyState.FROZEN:
            raise Refused(Reason.KEY_FROZEN)
        legacy = key.legacy_at(tx.now)
    environment = intent.action.type.environment
    bound = tx.bound_authenticator(intent.account_id, environment)
    return Standing(
        protected=environment in tx.protections(intent.account_id),
        usable_factor=bound is not None and not bound.budget.disabled,
        legacy_key=legacy,
    )


def current(tx: Transaction, world: World, *, intent: Intent, digest: bytes) -> Challenge | None:
    """The live challenge of this very intent, if it was asked under today's facts and policy.

    One that is overdue, or that was asked under other facts, is closed here: an approval never outlives a change of
    what was approved (B51).
    """
    live = tx.live_challenge(intent.account_id, principal=intent.principal, digest=digest)
    if live is None:
        return None
    if live.state_at(tx.now) is State.EXPIRED:
        close(tx, live, to=State.EXPIRED, because="overdue", principal=intent.principal)
        return None
    if live.facts != intent.action.bound_facts():
        if not intent.action.facts_known:
            return live  # nothing is known to have changed; what cannot be read is not spent either (`redeem`)
        close(tx, live, to=State.CANCELLED, because=Reason.FACTS_CHANGED, principal=intent.principal)
        return None
    if live.policy_version != world.policy().version:
        close(tx, live, to=State.CANCELLED, because=Reason.POLICY_CHANGED, principal=intent.principal)
        return None
    return live


def _create(
    tx: Transaction,
    world: World,
    *,
    intent: Intent,
    digest: bytes,
    decision: Decision,
    told: frozenset[ProofKind],
) -> Challenge:
    assert decision.requirement is not None
    action = intent.action
    challenge = Challenge(
        account_id=intent.account_id,
        challenge_id=make_id("ch", world.entropy.bytes(ID_BYTES)),
        environment=action.type.environment,
        principal=intent.principal,
        action=action.type.name,
        intent=intent.canonical(),
        digest=digest,
        facts=action.bound_facts(),
        requirement=decision.requirement,
        rules=tuple(world.policy().matching(action)),
        policy_version=world.policy().version,
        state=State.PENDING,
        created_at=tx.now,
        expires_at=tx.now + world.limits.challenge_life_ms,
        given=_given(tx, intent, decision.requirement) | (told & decision.requirement.proofs),
    )
    for overdue in tx.live_challenges(intent.account_id):
        if overdue.state_at(tx.now) is State.EXPIRED:
            close(tx, overdue, to=State.EXPIRED, because="overdue", principal=intent.principal)
    slots = tx.take_slots(intent.account_id, challenge.environment, principal=intent.principal, limits=world.limits)
    tx.insert_challenge(challenge, slots=slots)
    tx.record(
        AuditEvent(
            EventKind.CHALLENGE_CREATED,
            intent.principal,
            {
                "challenge": challenge.challenge_id,
                "action": challenge.action,
                "digest": digest.hex(),
                "environment": challenge.environment.value,
                "requires": decision.requirement.words(),
                "given": sorted(challenge.given),
                "rules": list(challenge.rules),
                "policy": challenge.policy_version,
                "expires_at": challenge.expires_at,
            },
        )
    )
    if challenge.remaining.proofs:
        ring(tx, world, challenge)
    return challenge


def _given(tx: Transaction, intent: Intent, requirement: Requirement) -> frozenset[ProofKind]:
    """What holds already: a wallet that this very session opened is open (M17); a link in the owner's mail stands for
    the password that is forgotten, for setting a new one and for nothing else."""
    kind, _, session_id = intent.principal.partition(":")
    if ProofKind.WALLET in requirement.proofs and kind == "session":
        environment = intent.action.type.environment
        if tx.wallet_open_until(intent.account_id, session_id, environment) is not None:
            return frozenset({ProofKind.WALLET})
    if kind == "session" and intent.action.type in PASSWORD_RESET.values():
        session = tx.session(intent.account_id, session_id)
        if session is not None and session.by_mail:
            return frozenset({ProofKind.PASSWORD})
    return frozenset()
