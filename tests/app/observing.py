"""What tests read back: counters, states, and how often an answer was really looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from leverlock.domain.account_actions import AUTHENTICATOR_REPLACE
from leverlock.domain.action import Action
from leverlock.domain.audit import ChainedEvent, EventKind
from leverlock.domain.authenticator import Authenticator
from leverlock.domain.environment import Environment
from leverlock.domain.totp import Match
from leverlock.ports import CodeVerifier
from world import Deployment, Owner

FUTURES, SPOT, MARGIN, LOGIN = Environment.FUTURES, Environment.SPOT, Environment.MARGIN, Environment.LOGIN


def replacing(environment: Environment) -> Action:
    """An action of this environment that needs its code (and the password), whatever the market."""
    return Action(AUTHENTICATOR_REPLACE[environment], {})


def wrong(owner: Owner) -> int:
    """Wrong answers on the account's budget."""
    found = owner.deployment.read(lambda tx: tx.account(owner.account_id))
    assert found is not None
    return len(found.budget.wrong_at_ms)


def factor(owner: Owner, environment: Environment = FUTURES) -> Authenticator:
    found = owner.deployment.read(lambda tx: tx.authenticator(owner.account_id, owner.authenticators[environment]))
    assert found is not None
    return found


def streak(owner: Owner, environment: Environment = FUTURES) -> int:
    return factor(owner, environment).budget.streak


def events(owner: Owner, kind: EventKind | None = None) -> list[ChainedEvent]:
    found = owner.deployment.read(lambda tx: tx.events(owner.account_id, after_seq=0, limit=100_000))
    return [event for event in found if kind is None or event.kind is kind]


@dataclass
class CountingVerifier:
    """The real verifier, which also counts how often it was asked."""

    verifier: CodeVerifier
    asked: int = 0

    def verify(self, authenticator: Authenticator, code: str, *, now_ms: int) -> Match:
        self.asked += 1
        return self.verifier.verify(authenticator, code, now_ms=now_ms)


def count_compares(deployment: Deployment) -> CountingVerifier:
    """From here on every compare of this deployment is counted."""
    counting = CountingVerifier(deployment.world.totp)
    deployment.world = replace(deployment.world, totp=counting)
    return counting


class FixedEntropy:
    """Entropy whose 20-byte draws (the seeds) are given; everything else stays random."""

    def __init__(self, deployment: Deployment, *seeds: bytes) -> None:
        self._entropy: Any = deployment.world.entropy
        self._seeds = list(seeds)

    def bytes(self, count: int) -> bytes:
        return self._seeds.pop(0) if count == 20 and self._seeds else self._entropy.bytes(count)
