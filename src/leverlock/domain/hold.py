"""Holds: for a day after somebody came back or changed a factor, what a thief would do next is refused (semantics 3).

A hold refuses; no proof lifts it. It concerns one environment; one of `login`, and one on addresses, concerns them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leverlock.domain.environment import Environment


class HoldScope(StrEnum):
    """What is held."""

    MOVEMENTS = "movements"  # withdrawals and transfers out
    KEYS = "keys"  # making and changing API keys
    ADDRESSES = "addresses"  # where notices go
    OPENING = "opening"  # challenged orders that open or add to a position
    VOUCHING = "vouching"  # speaking for the account beyond its own environment, where an older factor can


# What a recovery holds. Whoever comes back with what he has left must be able to take his account back with it.
ALL_SCOPES = (HoldScope.MOVEMENTS, HoldScope.KEYS, HoldScope.ADDRESSES, HoldScope.OPENING)


@dataclass(frozen=True, slots=True)
class Hold:
    """A stored hold. `until` is in server milliseconds."""

    environment: Environment
    scope: HoldScope
    until: int

    def stops(self, scope: HoldScope, environment: Environment, now_ms: int) -> bool:
        """Whether it refuses an action of this scope and environment now."""
        if self.scope is not scope or now_ms >= self.until:
            return False
        everywhere = self.environment is Environment.LOGIN or scope is HoldScope.ADDRESSES
        return everywhere or self.environment is environment
