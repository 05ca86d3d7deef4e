"""Authorize and redeem: what a venue asks before it executes, and the last gate right before it does (B40).

An answer `allow` for which no proof is needed is made from the snapshot and touches no database (B88); everything
else is decided inside the transaction that writes its challenge.
"""

from __future__ import annotations

from msgspec import UNSET

from leverlock.api.challenges import step_up
from leverlock.api.endpoint import INTEGRATOR_TOKEN, ApiParts, Call, Caller, Result, must_be_id
from leverlock.api.views import AuthorizeView, DigestView, RedeemedView, View
from leverlock.api.wire import action_of, target_of
from leverlock.app.accounts import integrator_hash
from leverlock.app.decide import Allowed, ask
from leverlock.app.identity import ask_with_statement
from leverlock.app.prove import grant_of
from leverlock.app.redeem import Voided, redeem
from leverlock.domain.action import Intent, digest_of
from leverlock.domain.challenge import State
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.policy import Outcome, Why, decide
from leverlock.metrics import CHALLENGES, DECISIONS
from leverlock.ports import Transaction, World

ALLOW = "allow"
GRANTED = "granted"


def read_action(call: Call) -> None:
    call.action = action_of(call.body)
    call.body.target = target_of(call.body)


async def from_snapshot(parts: ApiParts, call: Call) -> View | None:
    """The answer to an integrator's ordinary request, or None where the store has to decide (B88)."""
    named = call.account_named
    if not call.token.startswith(INTEGRATOR_TOKEN) or named is None or call.body.statement is not UNSET:
        return None
    assert call.action is not None
    await parts.snapshot.integrator(integrator_hash(call.token))
    account = await parts.snapshot.account(must_be_id("acc", named))
    standing = account.standing(call.action.type.environment)
    policy = parts.world.policy()
    decision = decide(policy, call.action, standing)
    if (
        not parts.snapshot.in_force(policy)
        or not account.active
        or decision.outcome is not Outcome.ALLOW
        or decision.why is Why.UNSAFE_ALLOW
    ):
        return None
    return AuthorizeView(ALLOW, decision.why.value)


def authorize(tx: Transaction, world: World, caller: Caller, call: Call) -> AuthorizeView | Refused:
    intent, statement = _intent(caller, call), call.body.statement
    if statement is UNSET:
        answer = ask(tx, world, intent=intent)
    else:
        answer = ask_with_statement(tx, world, intent=intent, statement=statement)
    if isinstance(answer, Allowed):
        return AuthorizeView(ALLOW, answer.why.value)
    challenge = answer.challenge
    if challenge.state is not State.APPROVED:
        return step_up(tx, world, call, answer)
    return AuthorizeView(
        GRANTED,
        challenge=challenge.challenge_id,
        grant=grant_of(world, challenge),
        grant_expires_at=challenge.grant_expires_at,
    )


def show_digest(_tx: Transaction, _world: World, caller: Caller, call: Call) -> DigestView:
    """The canonical form of what is asked and its digest, for who signs a statement about it. Nothing is kept."""
    canonical = _intent(caller, call).canonical()
    return DigestView(digest_of(canonical).hex(), canonical.decode())


def redeem_grant(tx: Transaction, world: World, caller: Caller, call: Call) -> RedeemedView | Refused:
    """Spend the grant. A void one is a refusal that stays: the approval is gone, whatever it was presented for."""
    answer = redeem(tx, world, intent=_intent(caller, call), grant=call.body.grant)
    if isinstance(answer, Voided):
        return Refused(answer.reason)
    challenge = answer.challenge
    return RedeemedView(challenge.challenge_id, challenge.action, challenge.digest.hex())


def _intent(caller: Caller, call: Call) -> Intent:
    assert call.action is not None
    return Intent(caller.account_id, caller.principal, call.body.target, call.action)


def count_decision(call: Call, result: Result) -> None:
    action = call.action.type.name if call.action is not None else ""
    if isinstance(result, AuthorizeView):
        why = result.why if isinstance(result.why, str) else "approved"
        DECISIONS.labels(result.decision, why, action).inc()
    elif isinstance(result, Refused):
        asked = result.reason is Reason.STEP_UP_REQUIRED
        why = Why.RULE_MATCHED.value if asked else result.reason.value
        DECISIONS.labels(Outcome.CHALLENGE.value if asked else Outcome.REFUSE.value, why, action).inc()
        if asked and call.fresh:
            CHALLENGES.labels(State.PENDING.value).inc()


def count_redeem(_call: Call, result: Result) -> None:
    if isinstance(result, RedeemedView):
        CHALLENGES.labels(State.CONSUMED.value).inc()
    elif isinstance(result, Refused) and result.reason in VOIDING:
        CHALLENGES.labels(State.CANCELLED.value).inc()


VOIDING = frozenset({Reason.ACTION_MISMATCH, Reason.FACTS_CHANGED, Reason.POLICY_CHANGED})
