"""The policy that this process decides with, and how it follows the one in force.

Another process, or an approved proposal whose day is over, may put another one in force at any time. Until this process
has taken it over nothing gated is decided here (`decide.judge` compares versions), so following late costs waiting and
never safety.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from leverlock.app.policies import PolicyUnreadable, policy_in_force
from leverlock.domain.errors import Refused
from leverlock.domain.policy import Policy
from leverlock.ports import Store
from leverlock.store.snapshot import Snapshot

FOLLOW_SECONDS: Final = 0.2

_log = structlog.get_logger("leverlock.policy")


class PolicyHolder:
    """Hands out the policy; `World.policy` is one of these."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def __call__(self) -> Policy:
        return self._policy

    def take(self, policy: Policy) -> None:
        """Decide with this one from now on."""
        self._policy = policy

    async def follow(self, store: Store, snapshot: Snapshot) -> None:
        """Take over what is put in force, until cancelled. One that cannot be read here is told once."""
        unreadable = ""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            version = snapshot.policy_version
            if version in (None, self._policy.version, unreadable):
                continue
            try:
                policy = await store.read(policy_in_force)
            except PolicyUnreadable as problem:
                _log.error("policy in force cannot be read; nothing gated is decided here", trouble=str(problem))
                unreadable = version or ""
                continue
            except Refused:
                continue
            if policy is not None and policy.version == version:
                self.take(policy)
                _log.warning("policy in force", policy=policy.name, version=policy.version)
