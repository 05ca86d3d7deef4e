"""Acts on challenges, their grants and the slots that bound them."""

from __future__ import annotations

import json

from leverlock.domain.challenge import Challenge, State
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits
from leverlock.domain.requirement import ProofKind
from leverlock.store import rows
from leverlock.store.transaction import UnitOfWork


class ChallengeActs(UnitOfWork):
    """What was asked, answered and spent."""

    def take_slots(
        self, account_id: str, environment: Environment, *, principal: str, limits: Limits
    ) -> tuple[int, int | None]:
        owner_asks = principal.startswith("session:")
        asker = {"account_id": account_id, "principal": principal}
        key_slot = None
        if not owner_asks:
            taken = {row[0] for row in self._cursor.all("taken_key_slots", asker)}
            key_slot = _lowest_free(taken, limits.key_live_challenges)
            since = self.now - limits.key_new_window_ms
            asked = self._cursor.one("asked_since", {**asker, "since": since, "now": self.now})
            assert asked is not None
            if key_slot is None or asked[0] >= limits.key_new_challenges:
                raise Refused(Reason.TOO_MANY_CHALLENGES, "answer or cancel the waiting challenges of this key first")
        held = {"account_id": account_id, "environment": environment.value}
        occupied = {row[0] for row in self._cursor.all("taken_environment_slots", held)}
        # The last slots are kept for the owner's own sessions, whatever keys did (B81).
        reachable = limits.environment_live_challenges - (0 if owner_asks else limits.environment_slots_for_owner)
        slot = _lowest_free(occupied, reachable)
        if slot is None:
            raise Refused(Reason.TOO_MANY_CHALLENGES, "answer or cancel the waiting challenges first")
        return slot, key_slot

    def insert_challenge(self, challenge: Challenge, *, slots: tuple[int, int | None]) -> None:
        self._cursor.write(
            "insert_challenge",
            {
                "account_id": challenge.account_id,
                "challenge_id": challenge.challenge_id,
                "environment": challenge.environment.value,
                "principal": challenge.principal,
                "action": challenge.action,
                "intent": challenge.intent,
                "digest": challenge.digest,
                "facts": challenge.facts,
                "requirement": challenge.requirement.text(),
                "rules": json.dumps(challenge.rules),
                "policy_version": challenge.policy_version,
                "state": challenge.state.value,
                "created_at": challenge.created_at,
                "expires_at": challenge.expires_at,
                "environment_slot": slots[0],
                "key_slot": slots[1],
                "given": _words(challenge.given),
            },
        )

    def challenge(self, account_id: str, challenge_id: str) -> Challenge | None:
        row = self._cursor.one("challenge", {"account_id": account_id, "challenge_id": challenge_id})
        return None if row is None else rows.challenge(row)

    def challenge_by_grant(self, account_id: str, grant_hash: bytes) -> Challenge | None:
        row = self._cursor.one("challenge_by_grant", {"account_id": account_id, "grant_hash": grant_hash})
        return None if row is None else rows.challenge(row)

    def live_challenge(self, account_id: str, *, principal: str, digest: bytes) -> Challenge | None:
        parameters = {"account_id": account_id, "principal": principal, "digest": digest}
        row = self._cursor.one("live_challenge", parameters)
        return None if row is None else rows.challenge(row)

    def denied_until(self, account_id: str, *, principal: str, digest: bytes) -> int | None:
        asker = {"account_id": account_id, "principal": principal}
        since = self.now - self._limits.challenge_life_ms
        row = self._cursor.one("denied_until", {**asker, "digest": digest, "since": since, "now": self.now})
        return None if row is None else row[0]

    def live_challenges(self, account_id: str, *, principal: str | None = None) -> list[Challenge]:
        found = [rows.challenge(row) for row in self._cursor.all("live_challenges", {"account_id": account_id})]
        return [challenge for challenge in found if principal is None or challenge.principal == principal]

    def waiting_challenges(self, account_id: str) -> list[Challenge]:
        return [c for c in self.live_challenges(account_id) if c.state_at(self.now) is State.PENDING]

    def approve_challenge(self, challenge: Challenge, *, grant_hash: bytes, grant_expires_at: int) -> bool:
        parameters = {**_named(challenge), "given": _words(challenge.given), "now": self.now}
        minted = {"grant_hash": grant_hash, "grant_expires_at": grant_expires_at}
        return self._cursor.write("approve_challenge", {**parameters, **minted}) == 1

    def advance_challenge(self, challenge: Challenge, *, given: frozenset[ProofKind]) -> bool:
        parameters = {**_named(challenge), "before": _words(challenge.given), "after": _words(given), "now": self.now}
        return self._cursor.write("advance_challenge", parameters) == 1

    def vouch_challenge(self, challenge: Challenge, *, given: frozenset[ProofKind]) -> bool:
        parameters = {**_named(challenge), "before": _words(challenge.given), "after": _words(given), "now": self.now}
        return self._cursor.write("vouch_challenge", parameters) == 1

    def approve_vouched(
        self, challenge: Challenge, *, given: frozenset[ProofKind], grant_hash: bytes, grant_expires_at: int
    ) -> bool:
        parameters = {**_named(challenge), "before": _words(challenge.given), "after": _words(given), "now": self.now}
        minted = {"grant_hash": grant_hash, "grant_expires_at": grant_expires_at}
        return self._cursor.write("approve_vouched", {**parameters, **minted}) == 1

    def spend_grant(self, challenge: Challenge) -> bool:
        return self._cursor.write("spend_grant", {**_named(challenge), "now": self.now}) == 1

    def close_challenge(self, challenge: Challenge, *, to: State, because: str) -> bool:
        parameters = {**_named(challenge), "before": challenge.state.value, "after": to.value, "because": because}
        return self._cursor.write("close_challenge", parameters) == 1

    def overdue_accounts(self, *, limit: int) -> list[str]:
        return [str(row[0]) for row in self._cursor.all("overdue_accounts", {"now": self.now, "limit": limit})]


def _words(given: frozenset[ProofKind]) -> str:
    return " ".join(sorted(given))


def _named(challenge: Challenge) -> dict[str, str]:
    return {"account_id": challenge.account_id, "challenge_id": challenge.challenge_id}


def _lowest_free(taken: set[int], size: int) -> int | None:
    return next((slot for slot in range(size) if slot not in taken), None)
