"""The gate next to execution: allowed from the snapshot, or decided and paid for in one transaction (B40, B45)."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from leverlock.app.decide import Allowed, Asked
from leverlock.app.proofs import Proof
from leverlock.app.prove import prove
from leverlock.app.redeem import Redeemed, redeem_or_ask
from leverlock.app.unknown import note_unknown
from leverlock.domain.action import Action, Intent, parse
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.policy import Outcome, Why, decide
from leverlock.domain.requirement import ProofKind
from leverlock.domain.totp import is_code
from leverlock.domain.trading_actions import ORDER_CANCEL
from leverlock.gateway import refusals
from leverlock.gateway.parts import GatewayParts
from leverlock.gateway.refusals import Answer
from leverlock.gateway.venue import VenueAccount

_log = structlog.get_logger("leverlock.gateway")


class CancelRuled(Exception):
    """A rule of the policy demands a proof for this cancel, which no call through this door can have."""


class Gate:
    """Decides about judged actions. What it lets through may be forwarded once."""

    def __init__(self, parts: GatewayParts) -> None:
        self._parts = parts

    def allowed_from_snapshot(self, account: VenueAccount, action: Action) -> bool:
        """Whether the action is allowed without asking the database. Raises Refused(ACCOUNT_LOCKED)."""
        view = account.view
        if not view.account.active:
            raise Refused(Reason.ACCOUNT_LOCKED)
        standing = view.account.standing(action.type.environment, legacy_key=self._legacy(account))
        policy = self._parts.world.policy()
        if not self._parts.snapshot.in_force(policy):
            return False
        decision = decide(policy, action, standing)
        self._parts.meter.decision(decision.outcome.value, decision.why.value, action.type.name)
        if decision.why is Why.LEGACY_KEY:
            self._parts.spared.note(view.key, action.type.name, now_ms=self._parts.clock.now_ms())
        # What the policy leaves open on purpose is written down each time, so it takes the way through the store.
        return decision.outcome is Outcome.ALLOW and decision.why is not Why.UNSAFE_ALLOW

    def cancel_must_pass(self, account: VenueAccount, scope: str, parameters: Mapping[str, str]) -> None:
        """Cancels pass, whatever else is down, unless the policy in force has a rule of its own against this one.

        What exactly is cancelled is no field of the action, so no approval could be bound to it: where such a rule
        matches, the cancel is refused. Raises CancelRuled.
        """
        policy = self._parts.world.policy()
        if ORDER_CANCEL.name not in policy.buckets:
            self._parts.meter.decision(Outcome.ALLOW.value, Why.FREE.value, ORDER_CANCEL.name)
            return
        named = {"symbol": parameters["symbol"]} if "symbol" in parameters else {}
        action = parse(ORDER_CANCEL, {"scope": scope, **named})
        standing = account.view.account.standing(ORDER_CANCEL.environment, legacy_key=self._legacy(account))
        decision = decide(policy, action, standing)
        self._parts.meter.decision(decision.outcome.value, decision.why.value, action.type.name)
        if decision.outcome is not Outcome.ALLOW:
            raise CancelRuled

    async def redeem(self, account: VenueAccount, action: Action, code: str) -> Answer | Challenge | None:
        """Spend the approval this very call has, or ask for one. Unless it is an answer, it may be forwarded, once."""
        key, parts = account.view.key, self._parts
        intent = Intent(key.account_id, key.principal, account.upstream_id, action)
        answer = await parts.store.run(lambda tx: redeem_or_ask(tx, parts.world, intent=intent))
        if isinstance(answer, Asked) and code and key.otp_allowed and _a_code_answers(answer.challenge):
            await self._prove(key.account_id, key.principal, answer.challenge.challenge_id, code)
            answer = await parts.store.run(lambda tx: redeem_or_ask(tx, parts.world, intent=intent))
        if isinstance(answer, Allowed):
            if answer.why is Why.LEGACY_KEY:
                parts.spared.note(key, action.type.name, now_ms=parts.clock.now_ms())
            return None
        if isinstance(answer, Redeemed):
            return answer.challenge
        challenge = answer.challenge
        return refusals.step_up(
            challenge,
            url=parts.world.approval_url.format(challenge=challenge.challenge_id),
            now_ms=parts.clock.now_ms(),
            otp_allowed=key.otp_allowed and _a_code_answers(challenge),
            waiting_for_facts=challenge.state is State.APPROVED,
        )

    def _legacy(self, account: VenueAccount) -> bool:
        return account.view.key.legacy_at(self._parts.clock.now_ms())

    async def note_unknown(self, challenge: Challenge, reason: str) -> None:
        """Behind a spent grant, an outcome that nobody knows is recorded and told to the owner (B45)."""
        parts = self._parts
        try:
            await parts.store.run(lambda tx: note_unknown(tx, parts.world, challenge=challenge, reason=reason))
        except Refused:
            _log.exception("an unknown outcome could not be recorded", challenge=challenge.challenge_id)

    async def _prove(self, account_id: str, principal: str, challenge_id: str, code: str) -> None:
        """A code that came with the call, from a key that opted in: for terminals with a human in front."""
        if not is_code(code):
            raise Refused(Reason.WRONG_CODE)
        world = self._parts.world
        await self._parts.store.run(
            lambda tx: prove(
                tx,
                world,
                account_id=account_id,
                answered_by=principal,
                challenge_ids=[challenge_id],
                proof=Proof(code=code),
            )
        )


def _a_code_answers(challenge: Challenge) -> bool:
    """Whether one code is all that is still asked for: nothing else comes with a call."""
    return challenge.state is State.PENDING and challenge.remaining.proofs == {ProofKind.TOTP}
